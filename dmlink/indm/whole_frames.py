"""Whole frames: which of DigitalMicrograph's events announce a frame, and when it is complete.

An event of a camera's view announces a frame, whatever its pixels. The In-Situ Player sends its event twice
for each frame, and a scan (STEM) fills the image from the top with events on the way. Only a view that was
known to do one of these is judged by its pixels, all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Seen(NamedTuple):
    """The result of a look at the image.

    `late` holds the pixels of the previous frame, as bytes, if only now it is known to be whole. After it,
    `passed` frames were overwritten before this look; `whole`: the image now holds a whole frame.
    """

    late: bytes | None
    whole: bool
    passed: int = 0


class Rows(NamedTuple):
    """The rows that have changed: first, last, end of the first run, and whether that is the only run."""

    first: int
    last: int
    end: int
    together: bool


class WholeFrames:
    """Watches the events of one view.

    Attributes
    ----------
    unsure : int
        Events that may have announced a frame that could not be copied completely.
    sample : list of bytes
        Some bytes of the image at the last look: of the first row, of two in between, and of the last.
    """

    CAMERA, UNDECIDED, SCANNING = "camera", "undecided", "scanning"
    SURE = 8  # consecutive whole frames that show that a view is a camera's
    REPEATS = 6  # consecutive frames announced more than once that show that a view repeats its events
    BLOCKS = 64  # blocks of rows that are compared one by one
    SAMPLED = 512  # bytes of each of four rows by which a camera's view is watched
    PATIENCE = 16, 1024  # events before a camera's view is first re-examined; at most

    def __init__(self) -> None:
        self.unsure = 0
        self.sample: list[bytes] = []
        self._patience = self.PATIENCE[0]
        self._announced = True
        self._known = False  # assume a camera's view, unless the watched rows show otherwise
        self._mode = self.UNDECIDED
        self._repeated = 0
        self._owed = 0  # events still expected for frames that were seen without one
        self._like: tuple[Any, ...] = ()
        self._sampled: list[slice] = []  # the bytes in `sample`
        self._places: list[tuple[int, int]] = []  # ends of the blocks, in bytes
        self._blocks: list[bytearray] = []  # the image at the last look

    def see(self, array: Any, events: int = 1) -> Seen:
        """Look at the image; `events` is the number of events since the last look, 0 if none arrive."""
        flat, like = bytes_of(array), (array.shape, array.dtype)
        if like != self._like:
            passed = self._passed(events)
            self._owed = 1 if self._like and not events else 0
            self._like = like
            self._height, self._bottom = len(array), len(array) - 1  # the last row that ever changes
            row = len(flat) // self._height
            n = min(row, self.SAMPLED)
            between = (self._height * i // 3 * row + (row - n) // 2 for i in (1, 2))
            self._sampled = [slice(begin, begin + n) for begin in (0, *between, len(flat) - n)]
            self.sample = self.sample_of(flat)
            self._watch_closely(flat)
            self._known = False
            return Seen(None, True, passed)
        before, self.sample = self.sample, self.sample_of(flat)
        if self._mode == self.CAMERA:
            same, doubtful = self._glance(before)
            if doubtful or not events:
                self._watch_closely(flat)
            if not events:
                self._owed = 0 if same else 1
                return Seen(None, not same)
            if same and self._owed:  # the late event of a frame that was seen without one
                self._owed, events = 0, events - 1
            return Seen(None, events > 0, max(0, events - 1))
        return self._see_all(flat, events)

    def _see_all(self, flat: memoryview, events: int) -> Seen:
        """Compare the whole image with the last look."""
        changed = self._changed_blocks(flat)
        late = self._release() if events and self._known else None  # the event it was held back for
        owed = min(self._owed, events - bool(changed)) if events else 0  # each change is a frame
        self._owed -= owed
        if events and events == owed:
            return Seen(late, False)
        events -= owed
        self._announced, known, unsure = events > 0, self._known, self.unsure
        seen = self._judge(self._changed_rows(changed, flat)) if changed else self._judge_same()
        if self._mode != self.CAMERA:
            for i in changed:
                self._blocks[i][:] = flat[slice(*self._places[i])]
        self._known = self._known and self._mode != self.SCANNING and self._repeated < self.REPEATS
        if known and self._known:  # it counts as a camera's view until something else is seen
            self.unsure, self._repeats = unsure, 0
            if events:
                self._held = False
                return Seen(late, True, events - 1)
        if changed and not events and seen.whole:
            self._owed += 1
        return Seen(late or seen.late, seen.whole, self._passed(events))

    def _passed(self, events: int) -> int:
        """Return how many frames were overwritten before this look; if unknown, increase `unsure`."""
        passed = max(0, events - 1)
        if self._known:
            return passed
        if self._mode == self.UNDECIDED and self._repeated < self.REPEATS:
            self.unsure += passed
        return 0

    def _watch_closely(self, flat: memoryview) -> None:
        """From now on, compare whole images until it is clear what kind of view this is."""
        self._mode = self.UNDECIDED
        self._whole = self._same = 0
        self._repeated = self._repeats = 0  # consecutive frames announced more than once; the surplus events
        self._times = 0  # surplus events of each of them
        self._single = 0  # consecutive frames announced once, by a view thought to repeat its events
        self._rows = Rows(0, self._bottom, self._bottom, True)  # that changed last
        self._part_end = -1  # the last row of a scan that has arrived
        self._held = False  # the previous image may have been a part, so it was not taken
        self._held_owed = False  # that was seen without an event
        row = len(flat) // self._height
        step = -(-self._height // self.BLOCKS)
        self._places = [(i * row, min(i + step, self._height) * row) for i in range(0, self._height, step)]
        self._blocks = [bytearray(flat[begin:end]) for begin, end in self._places]

    def _take_for_camera(self) -> None:
        if self._announced and self._repeated < self.REPEATS:  # otherwise only the pixels can tell
            self._mode, self._blocks, self._countdown = self.CAMERA, [], self._patience
            self._known = True
            self._patience = min(2 * self._patience, self.PATIENCE[1])

    def _glance(self, before: list[bytes]) -> tuple[bool, bool]:
        """Compare the sample of a camera's view with the one before.

        Return whether it is unchanged, and whether the view should be watched closely again.
        """
        now = self.sample
        self._countdown -= 1
        doubtful = self._countdown < 0 and (now[0] == before[0] or now[-1] == before[-1])
        return now == before, doubtful

    def sample_of(self, flat: memoryview) -> list[bytes]:
        """Return the sample of an image like the last one, given as bytes."""
        return [bytes(flat[place]) for place in self._sampled]

    def _judge_same(self) -> Seen:
        """Judge a look at an unchanged image."""
        if not self._announced:
            if self._mode == self.UNDECIDED and self._repeated < self.REPEATS and not self._known:
                self.unsure += self._same
                self._same = 0
            held = self._mode == self.UNDECIDED and self._release() is not None
            return Seen(None, held)  # no event has followed, so it was not a part
        self._same += 1
        if self._mode == self.SCANNING or self._repeated >= self.REPEATS:
            self._whole = 0
            return Seen(None, False)
        if self._same < self.SURE:
            return Seen(None, False)  # perhaps another event for the same frame
        self.unsure += self._same - 1 + self._held  # the image held back is the frame, and is taken now
        self._held = False
        self._take_for_camera()  # that sees the same again and again
        return Seen(None, True)

    def _judge(self, rows: Rows) -> Seen:
        """Judge a change of these rows."""
        self._count_repeats()
        if self._mode == self.UNDECIDED:
            continues = self._part_end < rows.first <= self._part_end + 1 + self._height // self.BLOCKS
            if self._part_end < 0 or not (continues and rows.together):
                return self._judge_undecided(rows)
            self._mode, self._held, self._whole = self.SCANNING, False, 0
        return self._judge_scan(rows)

    def _count_repeats(self) -> None:
        """Treat earlier events after which nothing had changed as repeated, if this continues.

        A view repeats events equally often. If they are merely late, sometimes many, sometimes few or none
        come with the same image.
        """
        same, self._same = self._same, 0
        if self._mode == self.SCANNING:
            return
        if self._repeated >= self.REPEATS:
            self._single = 0 if same else self._single + 1
            if self._single >= self.SURE:
                self._repeated = self._repeats = self._single = 0
            return
        self.unsure += same
        if same and same == (self._times or same):
            self._repeated, self._repeats, self._times = self._repeated + 1, self._repeats + same, same
            if self._repeated >= self.REPEATS:
                self.unsure -= self._repeats  # these events announced nothing
        else:
            self._repeated, self._repeats, self._times = int(same > 0), same, same

    def _judge_undecided(self, rows: Rows) -> Seen:
        """Take the image or, if it looks like part of a scan, hold it back until the next event."""
        late = self._release()
        self._held = rows.together and rows.last < self._bottom
        self._held_owed = not self._announced
        self._part_end = rows.last if self._held else -1
        whole = not self._held
        # a camera changes much the same rows each time, a scan seen late different ones
        before, self._rows = self._rows, rows
        alike = max(abs(rows.first - before.first), abs(rows.last - before.last)) <= self._height // 8
        self._whole = self._whole + 1 if alike and self._announced else 0
        if self._whole >= self.SURE:
            whole = True
            self._take_for_camera()
        return Seen(late, whole)

    def _release(self) -> bytes | None:
        """Return the image held back, if there is one: it is a frame after all."""
        if not self._held:
            return None
        self._held = False
        self._owed += self._held_owed
        return b"".join(self._blocks)

    def _judge_scan(self, rows: Rows) -> Seen:
        """Wait for the last row of a scan that ever changes."""
        before, self._part_end = self._part_end, rows.last
        late = None
        if rows.first <= before and rows.last <= before:  # a new scan, without any row further down
            late = b"".join(self._blocks)
            self._bottom = before
            self._whole += 1
        elif rows.first <= before:  # the end of one scan and the start of the next, in one event
            self.unsure += 1
            self._whole = 0
            if not rows.together:
                self._part_end = rows.end
                return Seen(None, False)
        whole = rows.last >= self._bottom
        if whole:
            self._bottom, self._part_end = rows.last, -1
            self._whole = self._whole + 1 if rows.first == 0 and before < 0 else 0
        if self._whole >= self.SURE:  # frames now arrive in one piece
            self._take_for_camera()
        return Seen(late, whole)

    def _changed_blocks(self, flat: memoryview) -> list[int]:
        blocks = enumerate(zip(self._blocks, self._places))
        return [i for i, (block, place) in blocks if block != flat[slice(*place)]]

    def _changed_rows(self, changed: list[int], flat: memoryview) -> Rows:
        run = next((i for i, j in zip(changed, changed[1:]) if j > i + 1), changed[-1])
        first, end = self._rows_of(changed[0], flat)[0], self._rows_of(run, flat)[-1]
        together = run == changed[-1]
        return Rows(first, end if together else self._rows_of(changed[-1], flat)[-1], end, together)

    def _rows_of(self, block: int, flat: memoryview) -> list[int]:
        """Return the changed rows of a block."""
        row = len(flat) // self._height
        begin, end = self._places[block]
        now, before = bytes(flat[begin:end]), bytes(self._blocks[block])
        starts = range(0, end - begin, row)
        changed = [(begin + i) // row for i in starts if now[i : i + row] != before[i : i + row]]
        return changed or [begin // row, (end - 1) // row]  # the camera has just written it as it was


def bytes_of(array: Any) -> memoryview:
    """Return the memory of an array as bytes, in C order.

    After each frame, little of NumPy is left in the processor's cache; a memoryview needs the least.
    """
    try:
        return memoryview(array).cast("B")
    except (TypeError, ValueError, NotImplementedError):  # complex numbers, or not in C order
        contiguous: Any = np.ascontiguousarray(array).view(np.uint8)
        return memoryview(contiguous).cast("B")
