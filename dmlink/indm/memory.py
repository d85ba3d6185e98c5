"""What a cell remembers from frame to frame, to be kept in its `state`.

Each is made once and then found again: `average = state.setdefault("average", RunningAverage(10))`. What it
keeps are copies: the frame's own memory is free for the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class RunningAverage:
    """The average over about the last `n` frames, in which the older ones fade.

    With p = (n - 1) / (n + 1), the average becomes p * average + (1 - p) * frame: the convention of Gatan's
    live scripts (Miller et al., 2022), elsewhere called an exponential average of span n. With n = 1 or less
    it is the newest frame. `n` may be changed at any time, such as by a slider.

    Attributes
    ----------
    n : float
    average : array or None
        None before the first frame.
    """

    def __init__(self, n: float) -> None:
        self.n = n
        self.average: Any = None

    def add(self, frame: Any) -> Any:
        """Add a frame (h, w); return the average, of the same shape, float32 or, for 32-bit counts, float64.

        A frame of another shape begins a new average.
        """
        frame = np.asarray(frame)
        frame = frame.astype(np.result_type(frame.dtype, np.float32))
        if self.average is None or self.average.shape != frame.shape or self.n <= 1:
            self.average = frame
        else:
            p = (self.n - 1) / (self.n + 1)
            self.average = p * self.average + (1 - p) * frame
        return self.average


class LastFrames:
    """The last `n` frames. `n` may be changed at any time, such as by a slider."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._frames: list[Any] = []

    def add(self, frame: Any) -> None:
        """Add a frame (h, w); the oldest goes when there are `n`. One of another shape begins anew."""
        frame = np.array(frame)
        if self._frames and self._frames[0].shape != frame.shape:
            self._frames.clear()
        self._frames.append(frame)
        del self._frames[: -max(1, int(self.n))]

    @property
    def frames(self) -> Any:
        """The frames, shape (k, h, w), oldest first; k is at most `n`, and at least 1 once one was added."""
        return np.array(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


class Reference:
    """A frame to compare others with.

    Attributes
    ----------
    frame : array or None
        A copy of the frame that was taken, (h, w); None before.
    """

    def __init__(self) -> None:
        self.frame: Any = None

    def take(self, frame: Any) -> Any:
        """Make a frame (h, w) the reference; return the copy that is kept."""
        self.frame = np.array(frame)
        return self.frame


class FrameCounter:
    """Counts frames, or what is found in them.

    Attributes
    ----------
    n : int
        What has been counted.
    """

    def __init__(self) -> None:
        self.n = 0

    def add(self, n: int = 1) -> int:
        """Count `n` more; return how many there are now."""
        self.n += int(n)
        return self.n
