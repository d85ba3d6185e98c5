"""Camera: plays a recording into the memory of the live image, frame by frame."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    import numpy as np

    from dmlink.simulator.frames import Frames

    class Target(Protocol):
        """An image to write frames into: `memory` is (h, w), with the frames' shape and type."""

        memory: np.ndarray


_CATCH_UP = 0.5
"""Seconds by which the camera may be late and still make up for it."""

_LOOK_AGAIN = 5e-4
"""Seconds after which a camera that holds a frame back asks again whether it has to."""


class Camera:
    """Writes a frame into the live image every 1 / `fps` seconds.

    A recording with uneven times plays with its own intervals, and `fps` is the mean.

    Frames are written in place while others may read (a frame can tear), in `bands` of rows; after each band
    `on_frame(image, written)` is called.

    Attributes
    ----------
    written : int
        Frames written since the start.
    position : int
        Index in the recording of the last frame written; -1 before the first.
    ended : threading.Event
        Set once the last frame was written and `loop` is off.
    fault : str
        Why the last frame that cannot be read was left out; empty if all could.
    hold : callable
        Returns whether the next frame must wait although it is due.
    """

    def __init__(
        self, frames: Frames, fps: float, on_frame: Callable[[Any, int], None], *, loop: bool, bands: int
    ) -> None:
        self._frames = frames
        self._on_frame = on_frame
        self._loop = loop
        self._bands = bands
        self.written = 0
        self.position = -1
        self.ended = threading.Event()
        self.fault = ""
        self._unread = 0  # frames in a row that cannot be read
        self.hold: Callable[[], bool] = bool  # a camera does not wait
        self._target: Target | None = None
        self._binning = 1
        self._period = _period(fps)
        self._due = 0.0
        self._next = 0
        self._paused = False
        self._steps = 0
        self._closing = False
        self._turn = 0  # changes when a prepared frame is no longer wanted
        self._changed = threading.Condition()
        self._writing = threading.RLock()  # from the first pixel to the event; taken before `_changed`
        self._thread = threading.Thread(target=self._run, name="dm-camera", daemon=True)

    @property
    def fps(self) -> float:
        """Frames per second, `inf` for as many as possible; can be set while the camera runs."""
        return 1 / self._period if self._period else math.inf

    @fps.setter
    def fps(self, fps: float) -> None:
        period = _period(fps)
        self._command(_period=period, _due=time.perf_counter() + period)

    @property
    def loop(self) -> bool:
        """Whether the frames start again after the last one; can be set while the camera runs."""
        return self._loop

    @loop.setter
    def loop(self, loop: bool) -> None:
        with self._writing:
            if loop:
                self.ended.clear()
            self._command(_loop=loop, _due=time.perf_counter())

    @property
    def paused(self) -> bool:
        """Whether the camera waits for `resume` or `step`."""
        return self._paused

    def start(self) -> None:
        """Start; nothing is written until there is a target."""
        self._thread.start()

    def aim(self, target: Target | None, binning: int = 1) -> None:
        """Write into `target` from the next frame on, and no longer into the old one."""
        self._command(_target=target, _binning=binning, _due=time.perf_counter())

    def pause(self) -> None:
        """Write no more frames until `resume` or `step`."""
        self._command(_paused=True)

    def resume(self) -> None:
        """Continue after `pause`."""
        self._command(_paused=False, _due=time.perf_counter())

    def seek(self, index: int) -> None:
        """Make frame `index` of the recording the next one."""
        if not 0 <= index < len(self._frames):
            raise IndexError(f"Frame {index}: the recording has {len(self._frames)}, counted from 0.")
        with self._writing:
            self.ended.clear()
            self._command(_next=index)

    def step(self, timeout: float = 120.0) -> int:
        """Write one frame while paused, wait until it is written, and return its number in the recording."""
        if not self._paused:
            raise RuntimeError("step: the camera is running; pause() it first.")
        if self.ended.is_set():
            raise RuntimeError("step: that was the last frame; seek() another one first.")
        with self._changed:
            wanted = self.written + self._steps + 1
            self._steps += 1
            self._changed.notify_all()
            over = self.ended.is_set
            if not self._changed.wait_for(lambda: self.written >= wanted or self._closing or over(), timeout):
                self._steps = 0
                raise TimeoutError(f"No frame within {timeout} s: the view is closed.")
            if self.written < wanted and over():
                raise RuntimeError(f"step: {self.fault}")
        with self._writing:  # until DM has its event
            return self.position

    def close(self) -> None:
        """End the thread."""
        self._command(_closing=True)
        if self._thread.ident is not None:
            self._thread.join()

    def _command(self, **values: Any) -> None:
        with self._writing, self._changed:  # or a frame that is not counted yet would be written again
            self.__dict__.update(values)
            self._turn += 1
            self._changed.notify_all()

    def _ready(self) -> bool:
        going = self._steps > 0 or not self._paused
        return self._closing or (going and self._target is not None and not self.ended.is_set())

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._ready)
                if self._closing:
                    return
                turn, number, binning, target = self._turn, self._next, self._binning, self._target
                stepping = self._paused
            try:
                pixels = self._frames.read(number, binning)
            except Exception as error:  # noqa: BLE001 - whatever a damaged file causes; others may be sound
                self._skip(number, turn, error)
                continue
            if target is not None:
                self._write(target, pixels, number, turn, stepping=stepping)
                del target  # or a closed view's image would live until the next frame

    def _skip(self, number: int, turn: int, error: Exception) -> None:
        """Go on with the next frame; end if none can be read."""
        with self._changed:
            if self._turn != turn:
                return
            self.fault = f"Frame {number} cannot be read: {error}"
            self._unread += 1
            self._next = (number + 1) % len(self._frames)
            if self._unread >= len(self._frames) or (self._next == 0 and not self._loop):
                self._steps = 0
                self.ended.set()
            self._changed.notify_all()

    def _write(self, target: Target, pixels: np.ndarray, number: int, turn: int, *, stepping: bool) -> None:
        """Write a frame at its time, unless a command comes before that."""
        height = len(pixels)
        edges = [height * band // self._bands for band in range(self._bands + 1)]
        for band, (top, bottom) in enumerate(zip(edges, edges[1:])):
            due = 0.0 if stepping else self._due + band * self._period / self._bands
            if not self._wait(due, turn):
                return
            with self._writing:
                if self._turn != turn:
                    return
                target.memory[top:bottom] = pixels[top:bottom]
                if bottom == height:
                    self._count(number, stepping=stepping)
                self._on_frame(target, self.written)

    def _wait(self, due: float, turn: int) -> bool:
        with self._changed:
            while time.perf_counter() < due and self._turn == turn:
                self._changed.wait(max(0.0, due - time.perf_counter()))
            while self._turn == turn and self.hold():
                self._changed.wait(_LOOK_AGAIN)
            return self._turn == turn

    def _advanced(self, due: float, number: int) -> float:
        now = time.perf_counter()
        period = self._period * self._frames.lasts(number)
        return due + period if now - due < _CATCH_UP else now + period

    def _count(self, number: int, *, stepping: bool) -> None:
        with self._changed:
            self.written += 1
            self._unread = 0
            self.position = number
            self._due = self._advanced(self._due, number)
            if stepping:
                self._steps = max(0, self._steps - 1)
            self._next = (number + 1) % len(self._frames)
            if self._next == 0 and not self._loop:
                self.ended.set()
            self._changed.notify_all()


def _period(fps: float) -> float:
    if not fps > 0:
        raise ValueError(f"fps={fps}: the camera needs a positive number of frames per second.")
    return 1 / fps
