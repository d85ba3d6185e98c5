"""Helpers for what a cell remembers from frame to frame, to be kept in its `state`.

Each is created once and then found again: `average = state.setdefault("average", RunningAverage(10))`. They
keep copies, so the frame's own memory is free for the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class RunningAverage:
    """The average over about the last `n` frames, in which older ones fade.

    With p = (n - 1) / (n + 1), the average becomes p * average + (1 - p) * frame: the convention of Gatan's
    live scripts (Miller et al., 2022), also known as an exponential average with span n. With n = 1 or less
    it is the newest frame. `n` can be changed at any time, for example by a slider.

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

        A frame with a different shape starts a new average.
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
    """The last `n` frames. `n` can be changed at any time, for example by a slider."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._frames: list[Any] = []

    def add(self, frame: Any) -> None:
        """Add a frame (h, w), dropping the oldest when there are `n`; a different shape starts again."""
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
        A copy of the reference frame, (h, w); None until one is taken.
    """

    def __init__(self) -> None:
        self.frame: Any = None

    def take(self, frame: Any) -> Any:
        """Make a frame (h, w) the reference; return the copy."""
        self.frame = np.array(frame)
        return self.frame


class FrameCounter:
    """Counts frames, or things found in them.

    Attributes
    ----------
    n : int
        The count so far.
    """

    def __init__(self) -> None:
        self.n = 0

    def add(self, n: int = 1) -> int:
        """Count `n` more; return the new count."""
        self.n += int(n)
        return self.n


class Tracks:
    """Moving objects, each with a number that it keeps from frame to frame, even while it is not found.

    A track is expected to continue as it moved, also while it touches another: the position found then
    belongs to neither. `assign` matches tracks to objects: given costs of shape (n, m), it returns rows and
    columns of the least total cost, as `scipy.optimize.linear_sum_assignment` does. The cost is the squared
    distance from a track's expected position; leaving it out costs `reach` squared (Crocker and Grier, J.
    Colloid Interface Sci. 179, 298 (1996)).

    Attributes
    ----------
    ids : array of int, (n,)
        The numbers of the tracks, from 1; none is used twice.
    yx, velocity : array, (n, 2)
        Where each was last found on its own, in px, and its velocity in px per frame: the mean of its last
        steps.
    tails : list of array, (k, 2)
        Positions where each has been found, oldest first.
    """

    def __init__(self, assign: Any) -> None:
        self._assign = assign
        self._frame, self._begun = -1, 0
        self._before: dict[str, Any] = {}  # as it was before the last frame
        self._given = -1  # the number of that frame
        self.ids, self._last, self._steps = np.zeros((3, 0), int)
        self.yx, self.velocity = np.zeros((2, 0, 2))
        self.tails: list[Any] = []

    def add(
        self, yx: Any, frame: int, reach: float, memory: int = 3, tail: int = 20, again: bool = False
    ) -> Any:
        """Add the objects found in frame number `frame`, (n, 2) in px; return their tracks, (n,).

        An object without a track starts one. A track not found for more than `memory` frames ends;
        immediately if it was found only once; after three times as many if another is found in its place.
        `tail` positions are kept. The returned values are indices into `ids` and the other arrays. `again`
        replaces what was added last: the same frame has been processed with other parameters.
        """
        if again and self._given == frame:
            vars(self).update(self._before)
        now = {name: value for name, value in vars(self).items() if name != "_before"}
        self._before = {k: np.copy(v) if isinstance(v, np.ndarray) else v for k, v in now.items()}
        self._given = frame
        yx = np.asarray(yx, float).reshape(-1, 2)
        self._frame = max(int(frame), self._frame + 1)  # a recording may start again
        waited = (self._frame - self._last)[:, None]
        expected = self.yx + self.velocity * waited
        apart = ((expected[:, None] - yx) ** 2).sum(axis=2)
        old, new = self._assign(np.minimum(apart, reach**2))
        near = apart[old, new] < reach**2
        old, new = old[near], new[near]
        lost = np.setdiff1d(np.flatnonzero(self._steps), old)
        beside = apart[lost] < reach**2
        clear = ~beside[:, new].any(axis=0)
        one, its = old[clear], new[clear]
        self._steps[one] += 1
        step = (yx[its] - self.yx[one]) / waited[one]
        self.velocity[one] += (step - self.velocity[one]) / np.minimum(self._steps[one], 8)[:, None]
        self.yx[one], self._last[one] = yx[its], self._frame

        patience = np.where(self._steps > 0, memory, 0)
        patience[lost] *= np.where(beside.any(axis=1), 3, 1)
        kept = self._frame - self._last <= patience
        kept[old] = True
        which = np.full(len(yx), -1)
        which[new] = (np.cumsum(kept) - 1)[old]
        born = np.flatnonzero(which < 0)
        which[born] = np.count_nonzero(kept) + np.arange(len(born))
        self.ids = np.append(self.ids[kept], self._begun + 1 + np.arange(len(born)))
        self._begun += len(born)
        self._last = np.append(self._last[kept], np.full(len(born), self._frame))
        self._steps = np.append(self._steps[kept], np.zeros(len(born), int))
        self.yx = np.concatenate([self.yx[kept], yx[born]])
        self.velocity = np.concatenate([self.velocity[kept], np.zeros((len(born), 2))])
        self.tails = [self.tails[i] for i in np.flatnonzero(kept)] + [yx[:0]] * len(born)
        for i, at in zip(which, yx):
            self.tails[i] = np.concatenate([self.tails[i], [at]])[-tail:]
        return which
