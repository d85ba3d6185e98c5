"""The door: the listening socket, and the file that tells this user's links where it is."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from dmlink.indm.renaming import give_name

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ON_WINDOWS = os.name == "nt"
NOT_PRIVATE = (
    "{} is outside your user folder, so others could read its token. Set DMLINK_HOME to a folder inside it, "
    "or unset it."
)
BACKLOG = 64  # connections that the system accepts in advance


def listen(host: str, port: int, *, expose: bool) -> socket.socket:
    """Return a server on the port, or on the next free one.

    Raises
    ------
    ValueError
        If other computers could connect without EXPOSE.
    OSError
        If no port is free.
    """
    if host not in LOOPBACK and not expose:
        raise ValueError(
            f"HOST = {host!r} would let other computers connect. An SSH tunnel is safer; if you want this "
            "anyway, set EXPOSE = True."
        )
    for candidate in [*range(port, min(port + 20, 1 << 16)), 0]:
        try:
            server = _bound(host, candidate)
            server.listen(BACKLOG)  # fails if another companion has just begun to
        except OSError as error:
            why = error
            continue
        server.setblocking(False)
        return server
    raise OSError(f"There is no free port on {host}: {why}.")


def endpoint_file() -> Path:
    """Return the path where this user's links look for the endpoint."""
    return Path(os.environ.get("DMLINK_HOME") or Path.home() / ".dmlink") / "endpoint.json"


def write_endpoint(host: str, port: int, token: str) -> None:
    """Write the endpoint for this user's links, readable only by this user.

    It is in `endpoint.json` until another companion is started, and under its port in `endpoints/` until this
    one ends, so that the remaining companion is found when the other has ended.

    Raises
    ------
    OSError
        If it cannot be written, or if others could read it on Windows.
    """
    if ON_WINDOWS and not in_profile(endpoint_file()):
        raise OSError(NOT_PRIVATE.format(endpoint_file()))
    fields = {"host": host, "port": port, "token": token, "pid": os.getpid()}
    for path in _left():
        if not serves(path):  # left by a companion that was killed
            _remove(path)
    for path in (_file_of(port), endpoint_file()):
        _write_private(path, json.dumps(fields))


def remove_endpoint(token: str) -> None:
    """Remove the endpoint; if it was the newest, the previous one becomes the newest again."""
    mine = [path for path in (endpoint_file(), *_left()) if _fields_of(path).get("token") == token]
    for path in mine:
        _remove(path)
    others = running()
    if endpoint_file() in mine and others:
        with contextlib.suppress(OSError):
            _write_private(endpoint_file(), others[0].read_text())


def running() -> list[Path]:
    """Return the files of running companions, newest first."""
    return [path for path in _left() if serves(path)]


def serves(path: Path) -> bool:
    """Return whether a companion listens at the endpoint in this file."""
    fields = _fields_of(path)
    try:
        _bound(str(fields["host"]), int(fields["port"])).close()
    except OSError:
        return True
    except (ValueError, KeyError, TypeError, OverflowError):
        pass
    return False


def in_profile(path: Path) -> bool:
    """Return whether the file is in this user's own folder, which nobody else can read on Windows."""
    return Path.home().resolve() in path.resolve().parents


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port. Raises an OSError if the port is in use."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if ON_WINDOWS:  # on Windows, SO_REUSEADDR would let another program listen on the same port
            server.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # type: ignore[attr-defined]
        else:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
    except OSError:
        server.close()
        raise
    return server


def _file_of(port: int) -> Path:
    return endpoint_file().parent / "endpoints" / f"{port}.json"


def _left() -> list[Path]:
    """Return the files in `endpoints/`, newest first, including those of killed companions."""
    try:
        files = list((endpoint_file().parent / "endpoints").glob("*.json"))
        return sorted(files, key=lambda path: -path.stat().st_mtime)
    except OSError:
        return []


def _fields_of(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; whoever reads it gets the old text or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(str(made), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
    try:
        give_name(made, path, overwrite=True)
    except OSError:
        _remove(made)
        raise
