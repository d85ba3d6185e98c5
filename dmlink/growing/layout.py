"""Layout: how a growing recording lies on disk; it says how many frames are whole, and opens them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from dmlink.recordings.recording import Recording

#: Seconds for which a file has to be seen unchanged before it is taken to be whole.
STILL_SECONDS = 0.25

#: Seconds for which a file has to be seen unchanged before a frame that cannot be read is given up. A share
#: may go away for ten.
GIVE_UP_SECONDS = 15.0

#: Seconds without a change after which a header that announces as many frames as there are is believed.
COMPLETE_SECONDS = 2.0

#: What changes when a file does: size, time of modification, file number. Compared with itself only, never
#: with a clock: the writer's computer may have another one.
Signature: TypeAlias = tuple[int, int, int]


def signature(path: str | PathLike[str]) -> Signature | None:
    """Return the signature of a file; None if it is not there or cannot be reached."""
    try:
        return signature_of(os.stat(path))  # noqa: PTH116 - takes strings, too: a folder may hold a million
    except OSError:
        return None


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature that a file's status holds."""
    return status.st_size, status.st_mtime_ns, status.st_ino


class Layout(ABC):
    """A recording on disk while it grows. Times are those of `time.perf_counter`.

    One thread looks; others may open what is whole at the same time.

    Attributes
    ----------
    path : pathlib.Path
        What `dmlink.open` opens once the recording is finished.
    whole : int
        Frames, from the first, that stand whole on disk; it never becomes less.
    complete : bool
        Whether the recording itself says that it has ended.
    bad : dict of int to str
        Numbers of frames below `whole` that cannot be had, and why.
    notes : list of str
        What was left out, a sentence each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole = 0
        self.complete = False
        self.bad: dict[int, str] = {}
        self.notes: list[str] = []

    @abstractmethod
    def look(self, now: float) -> bool:
        """Look at the disk; return whether anything has changed since the last look.

        Raises
        ------
        OSError
            If the disk cannot be reached; what was known stays.
        """

    def settle(self) -> None:  # noqa: B027 - most know by themselves
        """Count what stands there as all that will come: nothing has come for long."""

    @abstractmethod
    def recording(self) -> Recording:
        """Open the frames that are whole now. Another process can unpickle it, with the same frames.

        Raises
        ------
        OSError, ValueError
            As `dmlink.open`.
        """

    @abstractmethod
    def still_for(self, i: int, now: float) -> float:
        """Return for how long, in seconds, the file of frame `i` has been seen unchanged, or gone."""
