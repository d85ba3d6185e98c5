"""Packing: compresses a frame's pixels, for a network that is slower than the camera."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from dmlink.indm.protocol import ProtocolError

HEAD = struct.Struct("<4xIII")  # of a Blosc 1 buffer: versions and flags; bytes unpacked, per block, packed


def packer() -> Any:
    """Return the codec, or None if numcodecs is not installed."""
    try:
        from numcodecs import Blosc, blosc  # noqa: PLC0415 - GMS does not come with it
    except Exception:  # noqa: BLE001 - for whatever reason, frames are then sent uncompressed
        return None
    blosc.use_threads = False  # leave the other cores to DM; the interpreter lock is released meanwhile
    return Blosc(cname="lz4", clevel=1, shuffle=Blosc.BITSHUFFLE)


def packed(packer: Any, pixels: bytearray, dtype: str) -> Any:
    """Return the pixels packed, or unchanged if packing would not make them smaller."""
    data = packer.encode(np.frombuffer(pixels, dtype))
    return data if len(data) < len(pixels) else pixels


def unpack(packer: Any, data: Any, out: Any) -> None:
    """Unpack bytes into `out`, which has exactly the size announced in the header.

    Raises
    ------
    ProtocolError
        If they do not match.
    """
    size, _block, length = HEAD.unpack_from(data) if data.nbytes >= HEAD.size else (0, 0, 0)
    if (size, length) != (out.nbytes, data.nbytes):
        raise ProtocolError(
            f"A frame of {data.nbytes} packed bytes for {out.nbytes} claims to be {length} for {size}."
        )
    try:
        packer.decode(data, out)
    except (ValueError, RuntimeError) as error:
        raise ProtocolError(f"The pixels of a frame cannot be unpacked: {error}.") from None
