"""The wire format between a companion in DigitalMicrograph and a link: pure functions over bytes, no sockets.

A message is a fixed prefix (magic, kind, two lengths), a JSON header in UTF-8, and a payload: the pixels,
C-ordered and little-endian. Both ends use this file; docs/protocol.md describes the format.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import re
import struct
from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np

VERSION = 1
MAGIC = b"DML1"
PREFIX = struct.Struct("<4sBxxxIQ")  # magic, kind, three spare bytes, header length, payload length

# The conversation: HELLO -> HELLO -> AUTH -> WELCOME, then SUBSCRIBE and CREDIT for each FRAME, finally BYE.
HELLO, AUTH, WELCOME, SOURCES, SUBSCRIBE, CREDIT, FRAME, ROI = range(1, 9)
SHOW, HIDE, PING, PONG, EVENT, ERROR, BYE = range(9, 16)
KINDS = range(HELLO, BYE + 1)
STATES = ("live", "waiting")  # of a subscription
BLOSC = "blosc"  # how the pixels of a FRAME can be packed: a Blosc 1 buffer, LZ4 of shuffled bits
WITH_PIXELS = (FRAME, SHOW)  # only these kinds have a payload

MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 2 * 1024**3
MAX_UNKNOWN = 4 * 1024  # bytes of a message from a peer that has not yet proved that it has the token
HANDSHAKE_SECONDS = 3.0
PING_SECONDS = 3.0  # silence after which a PING is sent
DEAD_SECONDS = 8.0  # silence after which the other end is considered dead

MAX_NAME = 200  # characters in the name of a view, an ROI or a shown result
NONCE = re.compile(r"[0-9A-Za-z_-]{32,128}")

# Data types of DigitalMicrograph (dtype.str without byte order): real, complex, and boolean images.
DTYPES = frozenset(["b1", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "c8", "c16"])


class ProtocolError(ValueError):
    """The peer sent an invalid message; the text names the fault."""


class RefusedError(ValueError):
    """The peer's request cannot be granted; the text says why. Its connection continues."""


# What may be raised when a header is a JSON object but does not follow this protocol.
MALFORMED = (ProtocolError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class Message(NamedTuple):
    """One message: its kind, its header, and its payload (bytes-like)."""

    kind: int
    header: dict[str, Any]
    payload: Any = b""


def pack(kind: int, header: dict[str, Any] | None = None, payload: Any = b"") -> list[Any]:
    """Return the buffers of one message, for `socket.sendmsg`; the payload is not copied.

    Raises
    ------
    ProtocolError
        If the header or the payload is larger than a receiver accepts, or cannot be written as JSON.
    """
    try:
        text = _encode(header or {}).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"This cannot be the header of a message: {error}.") from None
    size = memoryview(payload).nbytes
    _check_lengths(len(text), size, MAX_HEADER, MAX_PAYLOAD)
    head = PREFIX.pack(MAGIC, kind, len(text), size) + text
    return [head, payload] if size else [head]


def unpack_prefix(
    data: Any, max_header: int = MAX_HEADER, max_payload: int = MAX_PAYLOAD
) -> tuple[int, int, int]:
    """Return (kind, header length, payload length) from the first `PREFIX.size` bytes of a message.

    Raises
    ------
    ProtocolError
        On a wrong magic, an unknown kind or a length beyond the limits.
    """
    magic, kind, header, payload = PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise ProtocolError(f"The peer does not speak dmlink: a message began with {bytes(magic)!r}.")
    if kind not in KINDS:
        raise ProtocolError(f"Unknown kind of message: {kind}.")
    _check_lengths(header, payload, max_header, max_payload)
    return kind, header, payload


def unpack_header(data: Any) -> dict[str, Any]:
    """Return the header from its bytes.

    Raises
    ------
    ProtocolError
        If the bytes are not a JSON object in UTF-8.
    """
    try:
        text = bytes(data).decode("utf-8")
        header = (_decode_checked if _LARGE_NUMBER.search(text) else _decode)(text)
        if "\\ud" in text.lower():  # escapes can contain lone surrogates, which are not valid text
            json.dumps(header, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The header of a message is not JSON in UTF-8: {error}.") from None
    if not isinstance(header, dict):
        raise ProtocolError(f"The header of a message is a {type(header).__name__}, not an object.")
    return header


def check_payload(kind: int, header: dict[str, Any], size: int) -> None:
    """Refuse a payload that does not match its header, before memory is allocated.

    Raises
    ------
    ProtocolError
        If its size is wrong, or this kind of message has no payload.
    """
    if kind == SHOW and ("packing" in header or "slot" in header):
        raise ProtocolError("The pixels of a SHOW cannot be packed or in shared memory.")
    if kind in WITH_PIXELS:
        pixels(header, size)
    elif size:
        raise ProtocolError(f"A message of kind {kind} came with a payload of {size} bytes; it has none.")


def pixels(header: dict[str, Any], payload_length: int) -> tuple[tuple[int, ...], np.dtype]:
    """Return (shape, dtype) announced by a FRAME or a SHOW, after checking them against the payload's length.

    Packed pixels (`header["packing"]`) have fewer bytes, those in shared memory (`header["slot"]`) none.

    Raises
    ------
    ProtocolError
        If they do not match, or describe something that cannot be an image in DigitalMicrograph.
    """
    shape, dtype = header.get("shape"), header.get("dtype")
    sizes_ok = (
        isinstance(shape, list)
        and 1 <= len(shape) <= 3
        and all(type(n) is int and 0 < n < 2**31 for n in shape)
    )
    if not sizes_ok or not isinstance(dtype, str) or not _is_known(dtype):
        raise ProtocolError(f"A message announces shape {shape!r} and dtype {dtype!r}."[:500])
    size = np.dtype(dtype).itemsize
    for n in shape or []:
        size *= n
    packing = header.get("packing")
    if packing not in (None, BLOSC):
        raise ProtocolError(f"Pixels are packed in an unknown format: {packing!r:.100}.")
    if "slot" in header:
        fits = payload_length == 0 and not packing
    else:
        fits = 0 < payload_length < size <= MAX_PAYLOAD if packing else payload_length == size
    if not fits:
        raise ProtocolError(f"Shape {shape} and dtype {dtype} were announced with {payload_length} bytes.")
    return tuple(shape or []), np.dtype(dtype)


class Decoder:
    """Decodes messages from bytes as they arrive; `limits` are the largest header and payload accepted now.

    Memory for a payload is allocated only after its size has been checked against its header.
    """

    def __init__(self, max_header: int = MAX_HEADER, max_payload: int = MAX_PAYLOAD) -> None:
        self.limits = (max_header, max_payload)
        self._bytes = bytearray()
        self._begun: tuple[int, dict[str, Any]] | None = None  # a message whose payload is incomplete
        self._payload = bytearray()
        self._filled = 0  # bytes of the payload so far

    def feed(self, data: Any) -> Iterator[Message]:
        """Add `data` and yield each message that is now complete.

        Raises
        ------
        ProtocolError
            As soon as the bytes can no longer become a message.
        """
        self._bytes += data
        while self._begun or self._begin():
            kind, header = self._begun or (0, {})
            n = min(len(self._payload) - self._filled, len(self._bytes))
            if n:
                self._payload[self._filled : self._filled + n] = self._bytes[:n]
                del self._bytes[:n]
                self._filled += n
            if self._filled < len(self._payload):
                return
            message = Message(kind, header, self._payload)
            self._begun, self._payload = None, bytearray()
            yield message

    def _begin(self) -> bool:
        """Read prefix and header of the next message, if they are complete."""
        if len(self._bytes) < PREFIX.size:
            return False
        kind, length, size = unpack_prefix(self._bytes, *self.limits)
        if len(self._bytes) < PREFIX.size + length:
            return False
        header = unpack_header(self._bytes[PREFIX.size : PREFIX.size + length])
        check_payload(kind, header, size)
        del self._bytes[: PREFIX.size + length]
        self._begun, self._payload, self._filled = (kind, header), bytearray(size), 0
        return True


def in_parts(
    items: Sequence[Any], room: int = MAX_HEADER // 2
) -> Iterator[tuple[list[Any], dict[str, bool]]]:
    """Split a list into parts that each fit into a header with `room` bytes for them.

    Yield each part, and flags for its header: `continued` if it is not the first, `more` if it is not the
    last. An empty list has one empty part.
    """
    parts: list[list[Any]] = [[]]
    left = room
    for item in items:
        size = len(_encode(item)) + 1
        if size > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(item)
        left -= size
    for i, part in enumerate(parts):
        flags = {"continued": i > 0, "more": i + 1 < len(parts)}
        yield part, {name: True for name, on in flags.items() if on}


def is_name(text: Any) -> bool:
    """Return whether this is a valid name of a view, an ROI or a shown result."""
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME and text.isprintable()


def is_nonce(text: Any) -> bool:
    """Return whether this is 32 to 128 letters, digits, - and _."""
    return isinstance(text, str) and bool(NONCE.fullmatch(text))


def state_in(header: dict[str, Any]) -> tuple[str, str]:
    """Return the (state, reason) that a companion reports for a subscription.

    Raises
    ------
    ProtocolError
        If there is no such state.
    """
    state, reason = header.get("state"), header.get("reason", "")
    if state not in STATES or not isinstance(reason, str):
        raise ProtocolError(f"A subscription must be live or waiting, not {state!r:.50} for {reason!r:.50}.")
    return state, reason


def nonce() -> str:
    """Return 32 random bytes as hexadecimal text."""
    return os.urandom(32).hex()


def proof(token: str, role: str, client_nonce: str, server_nonce: str) -> str:
    """Return the proof that `role` ("client" or "server") has the token, without revealing the token."""
    text = f"dmlink {VERSION} {role} {client_nonce} {server_nonce}"
    return hmac.new(token.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).hexdigest()


def proves(claimed: Any, token: str, role: str, client_nonce: str, server_nonce: str) -> bool:
    """Return whether `claimed` is the proof of `role`, in constant time."""
    expected = proof(token, role, client_nonce, server_nonce)
    return isinstance(claimed, str) and hmac.compare_digest(
        claimed.encode("utf-8", "replace"), expected.encode("utf-8")
    )


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not valid JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20}... is too large a number")
    return value


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > 20:
        raise ValueError(f"{text:.20}... is too large a number")
    return int(text)


# created once: json.dumps and json.loads would create them for each message, which doubles its cost
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder(parse_constant=_not_json).decode
_decode_checked = json.JSONDecoder(parse_constant=_not_json, parse_float=_number, parse_int=_whole).decode
# Checking each number takes four times as long as decoding, so only for texts in which one may be too large.
_LARGE_NUMBER = re.compile("[0-9]{20}|[0-9][eE][+]?[0-9]{3}")


def _is_known(dtype: str) -> bool:
    return dtype[1:] in DTYPES and dtype[0] == ("<" if int(dtype[2:]) > 1 else "|")


def _check_lengths(header: int, payload: int, max_header: int, max_payload: int) -> None:
    if header > max_header:
        raise ProtocolError(f"A header of {header} bytes is larger than the {max_header} allowed.")
    if payload > max_payload:
        raise ProtocolError(f"A payload of {payload} bytes is larger than the {max_payload} allowed.")
