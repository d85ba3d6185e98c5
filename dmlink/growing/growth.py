"""Growth: how much of a recording has been written, polled on a thread, and how much has been seen."""

from __future__ import annotations

import bisect
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from dmlink.growing.find import find_layout
from dmlink.growing.layout import GIVE_UP_SECONDS
from dmlink.rate import Rate
from dmlink.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from dmlink.growing.layout import Layout
    from dmlink.recordings.recording import Recording

#: Minimum and maximum seconds between two looks at the disk.
SHORTEST, LONGEST = 0.05, 2.0

#: If nothing is new, a look is followed by a pause of this many times its computing time.
RESTS = 250

#: Minimum seconds for which reading a frame is retried, until it is known whether the disk
#: can be reached at all.
TRY_SECONDS = 2 * LONGEST

#: Seconds without a new frame after which a recording counts as paused.
PAUSE_SECONDS = 2.0

#: Looks kept, to know when each frame was there.
MARKS = 10_000


class Seer(Protocol):
    """Something that takes frames."""

    @property
    def seen(self) -> int:
        """Frames that were taken or are bad."""


class Growth:
    """Polls a recording on disk while it is being written, on a thread, and counts frames written and seen.

    Attributes
    ----------
    path : pathlib.Path
        Where the recording is, or will be.
    newest_first : bool
        Whether readers get the newest frame first, and earlier ones when there is no newer one.
    idle : float or None
        Seconds without a new frame after which it counts as finished; None: never.
    bad : dict of int to str
        Numbers of the frames that cannot be read, and why.
    """

    def __init__(
        self, path: str | PathLike[str], *, newest_first: bool = False, idle: float | None = 30.0
    ) -> None:
        if idle is not None and not idle > 0:
            raise ValueError(f"idle={idle}: give a number of seconds above zero, or None.")
        self.path = Path(path).expanduser()
        self.newest_first = newest_first
        self.idle = idle
        self.bad: dict[int, str] = {}
        self.changed = threading.Condition()
        self._layout: Layout | None = None
        self._reason = f"There is nothing at {self.path} yet."
        self._away = False
        self._came = time.perf_counter()  # time of the last change
        self._marks: list[tuple[int, float]] = []  # number of frames there, and since when
        self._rate, self._pace = Rate(40), Rate(40)
        self._failing: dict[int, float] = {}  # since when a frame cannot be read
        self._readers: list[Seer] = []
        self._most_seen = 0
        self._closed = self._settled = False
        self._watchers = Watchers(self)
        self._thread = threading.Thread(target=self._run, name="dmlink-follow", daemon=True)
        self._thread.start()

    # Counts

    @property
    def written(self) -> int:
        """Frames that are complete on disk."""
        return self._layout.whole if self._layout else 0

    @property
    def seen(self) -> int:
        """Frames that the slowest reader has taken or found bad."""
        with self.changed:
            return min((reader.seen for reader in self._readers), default=self._most_seen)

    @property
    def behind(self) -> int:
        """Frames written but not yet seen."""
        return max(0, self.written - self.seen)

    @property
    def lag(self) -> float:
        """How long the first unseen frame has been there, in seconds; 0.0 if all have been seen."""
        seen = self.seen
        return self.age(seen) if seen < self.written else 0.0

    @property
    def rate(self) -> float:
        """Frames written per second, over the last looks."""
        return self._rate.per_second(time.perf_counter() - 3 * PAUSE_SECONDS)

    @property
    def pace(self) -> float:
        """Frames per second taken by the slowest reader, over the last looks."""
        return self._pace.per_second(time.perf_counter() - 3 * PAUSE_SECONDS)

    @property
    def catches_up(self) -> float | None:
        """Seconds until all frames have been seen, at the current rates; None if it falls further behind."""
        faster = self.pace - self.rate
        return self.behind / faster if faster > 0 else None

    def age(self, i: int) -> float:
        """Return how long frame `i` has been complete on disk, in seconds; 0.0 if it is not."""
        marks = self._marks
        at = bisect.bisect_right(marks, (i, float("inf")))
        if at == len(marks):
            return 0.0
        return max(0.0, time.perf_counter() - marks[at][1])

    @property
    def state(self) -> str:
        """The state: "waiting", "growing", "paused", "unreachable", "finished" or "closed"."""
        if self._closed:
            return "closed"
        if self.finished:
            return "finished"
        if self._away and self.written:
            return "unreachable"
        if not self.written:
            return "waiting"
        return "paused" if self._quiet > PAUSE_SECONDS else "growing"

    @property
    def reason(self) -> str:
        """What it waits for, or what was left out, in a sentence; empty if all is well."""
        if self.bad:
            last = max(self.bad)
            return f"{len(self.bad)} frames cannot be read; the last of them is {last}: {self.bad[last]}"
        if self._layout and self._layout.notes:
            return self._layout.notes[-1]
        return self._reason if self._away or not self.written else ""

    @property
    def finished(self) -> bool:
        """Whether the recording says that it has ended, or nothing new has been written for `idle` seconds.

        If more is written later, it is still read.
        """
        return bool(self._layout and self._layout.complete) or self._idle

    @property
    def _quiet(self) -> float:
        """Seconds since the last change."""
        return time.perf_counter() - self._came

    @property
    def _idle(self) -> bool:
        return self.idle is not None and self._settled

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change, from the polling thread; return a function that ends this."""
        return self._watchers.add(callback)

    def recording(self) -> Recording:
        """Open what is complete now, as `dmlink.open` would if the recording were finished.

        Raises
        ------
        ValueError
            If no frame is complete yet.
        """
        if self._layout is None:
            raise ValueError(self._reason)
        return self._layout.recording()

    def close(self) -> None:
        """Stop polling; threads waiting for a frame get a ConnectionError. Frames already read stay valid."""
        with self.changed:
            if self._closed:
                return
            self._closed = True
            self.changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._watchers.tell()

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        bad = f", {len(self.bad)} bad" if self.bad else ""
        return f"<Following {self.path.name!r}, {self.state}, {self.seen} of {self.written} frames seen{bad}>"

    # For readers

    def tell(self) -> None:
        """Wake up waiting threads, and call the watchers."""
        with self.changed:
            self.changed.notify_all()
        self._watchers.tell()

    def wait(self, timeout: float) -> None:
        """Wait for a change, up to `timeout` seconds."""
        with self.changed:
            if not self._closed:
                self.changed.wait(timeout)

    def add(self, reader: Seer) -> None:
        """Add a reader to the counts."""
        with self.changed:
            self._readers.append(reader)

    def remove(self, reader: Seer) -> None:
        """Remove a reader from the counts."""
        with self.changed:
            if reader in self._readers:
                self._readers.remove(reader)
            self._most_seen = max(self._most_seen, reader.seen)
            self.changed.notify_all()

    def failed(self, i: int, error: Exception) -> bool:
        """Record that frame `i` cannot be read now; return whether to give it up."""
        now = time.perf_counter()
        with self.changed:
            since = self._failing.setdefault(i, now)
            still = self._layout.still_for(i, now) if self._layout else 0.0
            tried = now - since >= TRY_SECONDS or i - 1 in self.bad
            if self._away or not tried or still < GIVE_UP_SECONDS:
                return False
            self._failing.pop(i, None)
            self.bad[i] = " ".join(str(error).split())
        self._watchers.tell()
        return True

    def succeeded(self, i: int) -> None:
        """Record that frame `i` was read."""
        self._failing.pop(i, None)

    # The thread

    def _run(self) -> None:
        while not self._closed:
            began = time.thread_time()
            changed = self._look()
            if changed:
                self._watchers.tell()
            took = time.thread_time() - began
            rest = max(SHORTEST, min(LONGEST, took * (4 if changed else RESTS)))
            with self.changed:
                if self._closed:
                    return
                if changed:
                    self.changed.notify_all()
                self.changed.wait_for(lambda: self._closed, rest)

    def _look(self) -> bool:
        """Look once; return whether anything has changed."""
        now = time.perf_counter()
        before = self.written
        state = self._away, self._settled, bool(self._layout and self._layout.complete)
        changed = False
        try:
            if self._layout is None:
                self._layout = find_layout(self.path)
                self._reason = f"There is nothing in {self.path} yet whose format can be recognised."
            if self._layout is not None:
                changed = self._layout.look(now)
                self.bad |= self._layout.bad
                self._reason = f"{self.path} has no complete frame yet."
            self._away = False
        except FileNotFoundError:
            self._away = True
            self._reason = f"There is nothing at {self.path}" + (" any more." if before else " yet.")
        except (OSError, ValueError) as error:
            self._away = isinstance(error, OSError)
            self._reason = str(error)
        except Exception as error:  # noqa: BLE001 - keep looking, whatever a damaged file causes
            self._reason = f"{self.path} cannot be read ({error!r})."
        if changed:
            self._came, self._settled = now, False
        elif self.idle is not None and now - self._came >= self.idle and not self._settled:
            if self._layout is not None:
                self._layout.settle()
            self._settled = True
        if self.written > before:
            self._marks = [*self._marks[-MARKS:], (self.written, now)]  # others may still use the old list
        self._rate.add(now, self.written)
        self._pace.add(now, self.seen)
        return (
            changed
            or self.written > before
            or state != (self._away, self._settled, bool(self._layout and self._layout.complete))
        )
