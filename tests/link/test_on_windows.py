"""What a link does differently on Windows, tested on any system."""

import socket
from pathlib import Path

import pytest
from microscopes import Noise, linked

from dmlink.indm.companion import door
from dmlink.link import connection, endpoint


@pytest.fixture
def windows(monkeypatch, tmp_path):
    """Return the folder of a Windows user."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(door, "ON_WINDOWS", True)
    return home


def test_frames_arrive_with_select(monkeypatch):
    monkeypatch.setattr(connection, "WAIT_WITH_SELECT", True)
    recording = Noise(shape=(600, 1000))  # 1.2 MB per frame, which arrives in parts
    with linked(recording, fps=30) as (_, link):
        assert [recording.has(link.next(60)) for _ in range(5)] == [True] * 5
        timed = link._connection._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        assert not any(timed)


def test_token_stays_in_the_profile(monkeypatch, windows):
    monkeypatch.setenv("DMLINK_HOME", str(windows / "mine"))
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR, raising=False)
    door.write_endpoint("127.0.0.1", 1, "secret")
    assert endpoint.of_file().token == "secret"  # noqa: S105 - it is one


def test_token_elsewhere_is_refused(monkeypatch, windows, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "shared"))
    with pytest.raises(OSError, match="outside of your user folder"):
        door.write_endpoint("127.0.0.1", 1, "secret")
    assert not (tmp_path / "shared").exists()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "endpoint.json").write_text("{}", "utf-8")
    with pytest.raises(ConnectionError, match="outside of your user folder"):
        endpoint.of_file()
