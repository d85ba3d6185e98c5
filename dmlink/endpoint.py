"""Where a companion listens, and the token that lets a link in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Endpoint(NamedTuple):
    """Address and token of a companion; as text `dmlink://HOST:PORT?token=...`."""

    host: str
    port: int
    token: str

    def __str__(self) -> str:
        return f"dmlink://{self.host}:{self.port}?token={self.token}"

    @property
    def address(self) -> str:
        """`HOST:PORT`, without the token, for messages and logs."""
        return f"{self.host}:{self.port}"


def file() -> Path:
    """Return where companions of this user leave their endpoint: `~/.dmlink/endpoint.json`."""
    return Path(os.environ.get("DMLINK_HOME") or Path.home() / ".dmlink") / "endpoint.json"


def find(text: str | Endpoint | None = None) -> Endpoint:
    """Return the endpoint that `text` names, else `DMLINK_ENDPOINT`, else the last companion of this user.

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
    """Return the endpoint that the last companion of this user has left.

    Raises
    ------
    ConnectionError
        If there is none, or others could read its token.
    """
    path = file()
    try:
        _check_private(path)
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Endpoint(str(fields["host"]), int(fields["port"]), str(fields["token"]))
    except FileNotFoundError:
        raise ConnectionError(
            f"No companion is known: {path} does not exist. Run dm_companion.py in DigitalMicrograph, or "
            "`dmlink simulate RECORDING` here, or give the dmlink://... line that the companion printed."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConnectionError):
            raise
        raise ConnectionError(
            f"{path} cannot be used ({error!r}). Start the companion again; it writes a new one."
        ) from None


def parse(text: str) -> Endpoint:
    """Return the endpoint written as `dmlink://HOST:PORT?token=...`."""
    url = urlsplit(text.strip())
    token = parse_qs(url.query).get("token", [""])[0]
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme != "dmlink" or not url.hostname or not port or not token:
        raise ValueError(
            f"{text!r} is not an endpoint. It looks like dmlink://127.0.0.1:52370?token=..., as the "
            "companion prints it."
        )
    return Endpoint(url.hostname, port, token)


def _check_private(path: Path) -> None:
    """Refuse a token that others have been able to read, or to put there."""
    if os.name == "nt":
        return  # the user's own folder is private there
    status = path.stat()
    if status.st_mode & 0o077:
        raise ConnectionError(
            f"{path} can be read by others (mode {status.st_mode & 0o777:o}), so its token is no secret. "
            "Start the companion again; it writes a new one."
        )
    if status.st_uid != os.getuid():
        raise ConnectionError(
            f"{path} belongs to somebody else (user {status.st_uid}). Remove it and run the companion again."
        )
