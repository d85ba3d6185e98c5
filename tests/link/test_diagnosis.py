"""`dmlink doctor` and `dmlink view` say what is wrong and what to do."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from microscopes import until

import dmlink
from dmlink.cli import main
from dmlink.simulator import Microscope


@pytest.fixture
def microscope(tmp_path, monkeypatch):
    """Run a microscope, with time to show its frames."""
    for name in ("FIRST_SECONDS", "NEXT_SECONDS"):
        monkeypatch.setattr(f"dmlink.link.diagnosis.{name}", 60.0)
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)
    np.save(tmp_path / "view.npy", np.random.default_rng(0).integers(0, 99, (30, 32, 32), np.uint16))
    with Microscope(dmlink.open(tmp_path / "view.npy", scale=0.5, unit="nm"), fps=50) as microscope:
        yield microscope


def doctor(capsys, *arguments):
    code = main(["doctor", *arguments])
    return code, capsys.readouterr().out


def test_everything_works(microscope, capsys):
    code, said = doctor(capsys, microscope.start_companion())
    assert code == 0
    assert "everything works" in said


def test_no_companion_was_started(microscope, capsys):
    code, said = doctor(capsys)
    assert code == 1
    assert "dm_companion.py" in said


def test_companion_is_gone(microscope, capsys):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    code, said = doctor(capsys, f"dmlink://127.0.0.1:{port}?token=x")
    assert code == 1
    assert "Nothing listens" in said


def test_token_is_old(microscope, capsys):
    endpoint = microscope.start_companion()
    code, said = doctor(capsys, endpoint.split("=", maxsplit=1)[0] + "=old")
    assert code == 1
    assert "token" in said
    assert "Copy the latest" in said


def test_roi_does_not_exist(microscope, capsys):
    code, said = doctor(capsys, microscope.start_companion(), "--roi", "nowhere")
    assert code == 1
    assert "'nowhere'" in said


def test_view_was_closed(microscope, capsys, monkeypatch):
    monkeypatch.setattr("dmlink.link.diagnosis.FIRST_SECONDS", 1.0)
    endpoint = microscope.start_companion()
    with dmlink.connect(endpoint) as link:
        microscope.close_view()
        until(link, lambda: link.state == "waiting")
    code, said = doctor(capsys, endpoint)
    assert code == 1
    assert "closed in DigitalMicrograph" in said


def test_image_does_not_change(microscope, capsys, monkeypatch):
    monkeypatch.setattr("dmlink.link.diagnosis.NEXT_SECONDS", 5.0)
    endpoint = microscope.start_companion()
    microscope.camera.pause()
    microscope.settle()
    code, said = doctor(capsys, endpoint)
    assert code == 1
    assert "does not change" in said


def test_view_prints_the_newest_frame(microscope, capsys):
    assert main(["view", microscope.start_companion(), "--lines", "1"]) == 0
    said = capsys.readouterr().out
    assert "32 x 32 uint16  0.5 nm/px" in said
    assert "age" in said
