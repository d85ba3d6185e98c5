"""Endpoint: where a companion listens, and the token that a link needs."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from dmlink.indm.companion import door


class Endpoint(NamedTuple):
    """Address and token of a companion; as text `dmlink://HOST:PORT?token=...`."""

    host: str
    port: int
    token: str

    def __repr__(self) -> str:
        """Leave the token out, because a repr ends up in notebooks, logs and tracebacks."""
        return f"<Endpoint {self.address}>"

    def __str__(self) -> str:
        return f"dmlink://{self.host}:{self.port}?token={self.token}"

    @property
    def address(self) -> str:
        """`HOST:PORT`, without the token, for messages and logs."""
        return f"{self.host}:{self.port}"


def file() -> Path:
    """Return the file in which this user's companions store their endpoint: `~/.dmlink/endpoint.json`."""
    return Path(os.environ.get("DMLINK_HOME") or Path.home() / ".dmlink") / "endpoint.json"


def find(text: str | Endpoint | None = None) -> Endpoint:
    """Return the endpoint from `text`, else `DMLINK_ENDPOINT`, else this user's last companion's.

    Raises
    ------
    ValueError
        If the text is not an endpoint.
    ConnectionError
        If there is nothing to connect to.
    """
    if isinstance(text, Endpoint):
        return text
    text = text or os.environ.get("DMLINK_ENDPOINT")
    if text:
        return parse(text)
    return of_file()


def of_file() -> Endpoint:
    """Return the endpoint of this user's most recently started companion that is still running.

    Raises
    ------
    ConnectionError
        If there is none, or others could read its token.
    """
    path = file()
    if not door.serves(path):
        path = next(iter(door.running()), path)  # the newest one was killed
    try:
        _check_private(path)
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(str(fields["host"]), int(fields["port"]), str(fields["token"]))
    except FileNotFoundError:
        raise ConnectionError(
            f"No companion found: {path} does not exist. Run dm_companion.py in DigitalMicrograph, or "
            "`dmlink simulate RECORDING` here, or pass the dmlink://... line that the companion printed."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConnectionError):
            raise
        raise ConnectionError(
            f"{path} cannot be used ({error!r}). Start the companion again; it writes a new one."
        ) from None


def candidates(last: Endpoint, wanted: str | Endpoint | None) -> list[Endpoint]:
    """Return where to look for a companion that was at `last`; after a restart it has another token."""
    found = [last]
    with contextlib.suppress(ConnectionError, ValueError):
        found.insert(0, find(wanted))
    with contextlib.suppress(ConnectionError):
        left = of_file()
        if left[:2] in {endpoint[:2] for endpoint in found}:
            found.insert(0, left)
    return list(dict.fromkeys(found))


def parse(text: str) -> Endpoint:
    """Return the endpoint written as `dmlink://HOST:PORT?token=...`."""
    url = urlsplit(text.strip())
    token = parse_qs(url.query).get("token", [""])[0]
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme != "dmlink" or not url.hostname or not port or not token:
        without_token = re.sub(r"[\w-]{20,}|\?.*", "...", text)  # even in the wrong place
        raise ValueError(
            f"{without_token!r:.200} is not an endpoint. It looks like dmlink://127.0.0.1:52370?token=..., "
            "as the companion prints it."
        )
    return Endpoint(url.hostname, port, token)


def _check_private(path: Path) -> None:
    """Refuse a token that other users could have read or replaced."""
    if door.ON_WINDOWS:  # file modes mean nothing there
        if not door.in_profile(path):
            raise ConnectionError(door.NOT_PRIVATE.format(path))
        return
    status = path.stat()
    if status.st_mode & 0o077:
        raise ConnectionError(
            f"Other users can read {path} (mode {status.st_mode & 0o777:o}), so its token is not secret. "
            "Start the companion again; it writes a new one."
        )
    if status.st_uid != os.getuid():
        raise ConnectionError(
            f"{path} belongs to another user ({status.st_uid}). Remove it and run the companion again."
        )
