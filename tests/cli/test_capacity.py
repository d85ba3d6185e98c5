"""`dmlink doctor --speed` measures this computer and leaves nothing behind."""

from __future__ import annotations

import re

from dmlink.cli import capacity, main


def test_speed_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(capacity, "SIZE", 256)
    monkeypatch.setattr(capacity, "CELLS", 2)
    monkeypatch.setattr(capacity, "MEASURE_SECONDS", 0.5)
    assert main(["doctor", "--speed", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    carried = re.search(r"handles 256 x 256 at (\d+) frames/s into 2 cells of 10 ms; disk (\d+)", said)
    assert carried, said
    assert int(carried[2]) > 0
    assert not list(tmp_path.iterdir()), "what was written is deleted again"


def test_folder_must_exist(tmp_path, capsys):
    assert main(["doctor", "--speed", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_speed_needs_no_endpoint(capsys):
    assert main(["doctor", "dmlink://127.0.0.1:1?token=x", "--speed"]) == 1
    assert "takes no endpoint" in capsys.readouterr().err
