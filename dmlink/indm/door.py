"""The door: where links knock, and the file that tells those of this user where it is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BACKLOG = 64  # connections that the system accepts before we look


def listen(host: str, port: int, *, expose: bool) -> socket.socket:
    """Return a server at the port, or at the next free one.

    Raises
    ------
    ValueError
        If other computers could connect and nobody has said that they may.
    OSError
        If there is no port.
    """
    if host not in LOOPBACK and not expose:
        raise ValueError(
            f"HOST = {host!r} would let other computers connect. An SSH tunnel is safer; if you want it all "
            "the same, set EXPOSE = True."
        )
    for candidate in [*range(port, port + 20), 0]:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two companions share a port
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, candidate))
        except OSError:
            server.close()
            continue
        server.listen(BACKLOG)
        server.setblocking(False)
        return server
    raise OSError(f"No port can be had on {host}.")


def endpoint_file() -> Path:
    """Return where links of this user look for the endpoint."""
    return Path(os.environ.get("DMLINK_HOME") or Path.home() / ".dmlink") / "endpoint.json"


def write_endpoint(host: str, port: int, token: str) -> None:
    """Leave the endpoint for links of this user, readable by this user alone."""
    path = endpoint_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fields = {"host": host, "port": port, "token": token, "pid": os.getpid()}
    if path.exists():
        path.unlink()  # what is there may be readable by others
    with open(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        json.dump(fields, file)


def remove_endpoint(token: str) -> None:
    """Take the endpoint away, unless it is already that of another companion."""
    path = endpoint_file()
    with contextlib.suppress(OSError, ValueError):
        if json.loads(path.read_text())["token"] == token:
            path.unlink()
