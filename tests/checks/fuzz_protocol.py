"""A coverage-guided fuzz target for the wire.

    .venv/bin/python tests/checks/fuzz_protocol.py -max_total_time=600

For any bytes, in any pieces, the decoder returns messages or raises a ProtocolError, and nothing else; and
each message is unchanged after being packed and decoded again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dmlink.indm"]):
    from dmlink.indm import protocol

PIXELS = {"shape": [2, 3], "dtype": "<u2"}
SEEDS = [
    (protocol.HELLO, {"version": 1, "nonce": "00"}, b""),
    (protocol.CREDIT, {"n": 1}, b""),
    (protocol.ROI, {"name": "roi", "rectangle": [0, 0, 8, 8]}, b""),
    (protocol.FRAME, {"index": 1, "x": [0, 0.5, "nm"], **PIXELS}, bytes(12)),
    (protocol.SHOW, {"name": "a", "kind": "image", **PIXELS}, bytes(12)),
]


def decode(data: bytes) -> None:
    """Feed the data in two pieces, cut where its first byte says."""
    decoder = protocol.Decoder(4096, 1 << 16)
    cut = data[0] if data else 0
    try:
        for piece in (data[1 : 1 + cut], data[1 + cut :]):
            for message in decoder.feed(piece):
                check(message)
    except protocol.ProtocolError:
        return


def check(message: protocol.Message) -> None:
    """Pack and decode a message again."""
    packed = b"".join(protocol.pack(*message))
    (again,) = protocol.Decoder().feed(packed)
    if (again.kind, again.header, bytes(again.payload)) != (*message[:2], bytes(message.payload)):
        raise AssertionError(f"{message} became {again}")


def main() -> None:
    """Fuzz, starting with valid messages."""
    with tempfile.TemporaryDirectory() as corpus:
        for i, seed in enumerate(SEEDS):
            (Path(corpus) / str(i)).write_bytes(b"\x07" + b"".join(protocol.pack(*seed)))
        atheris.Setup([*sys.argv, corpus], decode)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
