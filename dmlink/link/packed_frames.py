"""Packed frames: a look-back's older frames, compressed in a separate thread."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm import packing

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame

COST = 4096  # bytes of a frame's objects in addition to its pixels
NOTHING = np.empty((0, 0), np.uint8)


class KeptFrame:
    """A frame that is kept, as it was received or packed.

    Attributes
    ----------
    index : int
        Its number.
    time : float
        When it was taken, in seconds.
    size : int
        Bytes that it uses now.
    """

    def __init__(self, frame: Frame) -> None:
        self.index, self.time = frame.index, frame.time
        self._frame = frame  # without its pixels once it is packed
        self._layout = frame.data.shape, frame.data.dtype
        self._packed: Any = None
        self.size = frame.data.nbytes + COST

    @property
    def frame(self) -> Frame:
        """The frame with its pixels, which are unpacked each time if it is packed."""
        if self._packed is None:
            return self._frame
        shape, dtype = self._layout
        data = np.empty(shape, dtype)
        packing.unpack(
            packing.packer(), np.frombuffer(self._packed, np.uint8), data.view(np.uint8).reshape(-1)
        )
        data.flags.writeable = False
        return replace(self._frame, data=data, block="")

    @property
    def about(self) -> Frame:
        """The frame; once it is packed, without its pixels."""
        return self._frame

    def pack(self, packed: Any) -> int:
        """Keep these bytes instead of the pixels; return how many bytes that saves."""
        before = self.size
        self._packed, self.size = packed, len(packed) + COST
        self._frame = replace(self._frame, data=NOTHING, block="")
        return before - self.size


class Packer:
    """Packs frames one after another in its own thread.

    Parameters
    ----------
    next_frame : callable
        Waits for the next frame to pack and returns it; None to end.
    packed : callable
        Called with the frame and its bytes.
    """

    def __init__(
        self, next_frame: Callable[[], KeptFrame | None], packed: Callable[[KeptFrame, Any], None]
    ) -> None:
        self._next, self._packed = next_frame, packed
        self._thread = threading.Thread(target=self._run, name="dmlink-packer", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        packer = packing.packer()
        while (kept := self._next()) is not None:
            pixels = np.ascontiguousarray(kept.about.data)
            data = packer.encode(pixels)
            self._packed(kept, data if len(data) < pixels.nbytes else None)
