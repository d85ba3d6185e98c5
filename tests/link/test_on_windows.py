"""What a link does differently on Windows, tested on any system."""

import socket
from pathlib import Path

import pytest
from microscopes import Noise, linked

from dmlink.indm import renaming
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
    with linked(recording, fps=30, patient=True) as (_, link):
        assert [recording.has(link.next(60)) for _ in range(5)] == [True] * 5
        timed = link._connection._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        assert not any(timed)


def test_token_stays_in_the_profile(monkeypatch, windows):
    monkeypatch.setenv("DMLINK_HOME", str(windows / "mine"))
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR, raising=False)
    door.write_endpoint("127.0.0.1", 1, "secret")
    assert endpoint.of_file().token == "secret"  # noqa: S105 - it is one


def test_endpoint_is_written_while_a_link_reads_it(monkeypatch, windows):
    monkeypatch.setenv("DMLINK_HOME", str(windows))
    real, attempts = Path.replace, []

    def held(path, to):
        attempts.append(path)
        if len(attempts) < 3:
            raise PermissionError(13, "somebody has it open", str(to))
        return real(path, to)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(renaming, "HELD_SECONDS", 60.0)
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR, raising=False)
    door.write_endpoint("127.0.0.1", 1, "secret")
    assert endpoint.of_file().token == "secret"  # noqa: S105 - it is one
    assert {path.name for path in windows.rglob("*.json*")} == {"1.json", "endpoint.json"}


def test_token_elsewhere_is_refused(monkeypatch, windows, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "shared"))
    with pytest.raises(OSError, match="outside your user folder"):
        door.write_endpoint("127.0.0.1", 1, "secret")
    assert not (tmp_path / "shared").exists()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "endpoint.json").write_text("{}", "utf-8")
    with pytest.raises(ConnectionError, match="outside your user folder"):
        endpoint.of_file()
