"""Growth: how far a recording is written, looked for on a thread, and how far it was seen."""

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

#: Seconds between two looks at the disk at least, and at most.
SHORTEST, LONGEST = 0.05, 2.0

#: While nothing comes, a look is followed by a rest of so many times the computing time that it took.
RESTS = 250

#: Seconds for which a frame that cannot be read is tried again at least, until it is known whether the disk
#: can be reached at all.
TRY_SECONDS = 2 * LONGEST

#: Seconds without a new frame after which a recording is called paused.
PAUSE_SECONDS = 2.0

#: Looks that are remembered, for when which frame was there.
MARKS = 10_000


class Seer(Protocol):
    """Whoever takes frames."""

    @property
    def seen(self) -> int:
        """Frames that were taken, or are bad."""


class Growth:
    """Looks at a recording on disk while it is written, on a thread, and counts what is written and seen.

    Attributes
    ----------
    path : pathlib.Path
        Where the recording is, or will be.
    newest_first : bool
        Whether readers get the newest frame first and the others when there is no newer one.
    idle : float or None
        Seconds without a new frame after which it counts as finished; None: never.
    bad : dict of int to str
        Numbers of the frames that cannot be had, and why.
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
        self._came = time.perf_counter()  # when something changed last
        self._marks: list[tuple[int, float]] = []  # frames that were there, and since when
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
        """Frames that stand whole on disk."""
        return self._layout.whole if self._layout else 0

    @property
    def seen(self) -> int:
        """Frames that the reader furthest behind has taken, or found bad."""
        with self.changed:
            return min((reader.seen for reader in self._readers), default=self._most_seen)

    @property
    def behind(self) -> int:
        """Frames that are written and not yet seen."""
        return max(0, self.written - self.seen)

    @property
    def lag(self) -> float:
        """For how long the first frame that is not seen has been there, in seconds; 0.0 if all are seen."""
        seen = self.seen
        return self.age(seen) if seen < self.written else 0.0

    @property
    def rate(self) -> float:
        """Frames per second that are written, over the last looks."""
        return self._rate.per_second(time.perf_counter() - 3 * PAUSE_SECONDS)

    @property
    def pace(self) -> float:
        """Frames per second that the reader furthest behind takes, over the last looks."""
        return self._pace.per_second(time.perf_counter() - 3 * PAUSE_SECONDS)

    @property
    def catches_up(self) -> float | None:
        """Seconds until all is seen, at these rates; None if it falls further behind."""
        faster = self.pace - self.rate
        return self.behind / faster if faster > 0 else None

    def age(self, i: int) -> float:
        """Return for how long frame `i` has been whole on disk, in seconds; 0.0 if it is not."""
        marks = self._marks
        at = bisect.bisect_right(marks, (i, float("inf")))
        if at == len(marks):
            return 0.0
        return max(0.0, time.perf_counter() - marks[at][1])

    @property
    def state(self) -> str:
        """The state: "waiting" (for the first frame), "growing", "paused", "away", "finished" or "closed"."""
        if self._closed:
            return "closed"
        if self.finished:
            return "finished"
        if self._away and self.written:
            return "away"
        if not self.written:
            return "waiting"
        return "paused" if self._quiet > PAUSE_SECONDS else "growing"

    @property
    def reason(self) -> str:
        """What it waits for, or what was left out, in a sentence; empty if all is well."""
        if self.bad:
            last = max(self.bad)
            return f"{len(self.bad)} frames cannot be had, {last} the last of them: {self.bad[last]}"
        if self._layout and self._layout.notes:
            return self._layout.notes[-1]
        return self._reason if self._away or not self.written else ""

    @property
    def finished(self) -> bool:
        """Whether the recording says that it has ended, or nothing has come for `idle` seconds.

        If more comes after all, it is read, too.
        """
        return bool(self._layout and self._layout.complete) or self._idle

    @property
    def _quiet(self) -> float:
        """Seconds since something changed."""
        return time.perf_counter() - self._came

    @property
    def _idle(self) -> bool:
        return self.idle is not None and self._settled

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on every change, from the thread that looks; return how to end that."""
        return self._watchers.add(callback)

    def recording(self) -> Recording:
        """Open what is whole now, as `dmlink.open` would if it were finished.

        Raises
        ------
        ValueError
            If there is no whole frame yet.
        """
        if self._layout is None:
            raise ValueError(self._reason)
        return self._layout.recording()

    def close(self) -> None:
        """End looking; who waits for a frame gets a ConnectionError. Frames already read stay valid."""
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
        """Wake up who waits, and call who watches."""
        with self.changed:
            self.changed.notify_all()
        self._watchers.tell()

    def wait(self, timeout: float) -> None:
        """Wait for a change, up to `timeout` seconds."""
        with self.changed:
            if not self._closed:
                self.changed.wait(timeout)

    def add(self, reader: Seer) -> None:
        """Count with a reader."""
        with self.changed:
            self._readers.append(reader)

    def remove(self, reader: Seer) -> None:
        """Count without a reader."""
        with self.changed:
            if reader in self._readers:
                self._readers.remove(reader)
            self._most_seen = max(self._most_seen, reader.seen)
            self.changed.notify_all()

    def failed(self, i: int, error: Exception) -> bool:
        """Take note that frame `i` cannot be read now; return whether it is given up."""
        now = time.perf_counter()
        with self.changed:
            since = self._failing.setdefault(i, now)
            still = self._layout.still_for(i, now) if self._layout else 0.0
            tried = now - since >= TRY_SECONDS or i - 1 in self.bad
            if self._away or not tried or still < GIVE_UP_SECONDS:
                return False
            del self._failing[i]
            self.bad[i] = " ".join(str(error).split())
        self._watchers.tell()
        return True

    def succeeded(self, i: int) -> None:
        """Take note that frame `i` could be read."""
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
                self._reason = f"There is nothing in {self.path} yet that tells what it will be."
            if self._layout is not None:
                changed = self._layout.look(now)
                self.bad |= self._layout.bad
                self._reason = f"{self.path} has no whole frame yet."
            self._away = False
        except FileNotFoundError:
            self._away = True
            self._reason = f"There is nothing at {self.path}" + (" any more." if before else " yet.")
        except (OSError, ValueError) as error:
            self._away = isinstance(error, OSError)
            self._reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of it, looking goes on
            self._reason = f"{self.path} cannot be looked at ({error!r})."
        if changed:
            self._came, self._settled = now, False
        elif self.idle is not None and now - self._came >= self.idle and not self._settled:
            if self._layout is not None:
                self._layout.settle()
            self._settled = True
        if self.written > before:
            self._marks = [*self._marks[-MARKS:], (self.written, now)]  # others may look at the old list
        self._rate.add(now, self.written)
        self._pace.add(now, self.seen)
        return (
            changed
            or self.written > before
            or state != (self._away, self._settled, bool(self._layout and self._layout.complete))
        )
