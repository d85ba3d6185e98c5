"""Layout: the files of a growing recording; it counts the complete frames and opens them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from dmlink.recordings.recording import Recording

#: Seconds for which a file must be unchanged before it counts as complete.
STILL_SECONDS = 0.25

#: Seconds for which a file must be unchanged before an unreadable frame is given up. A network share
#: may be interrupted for ten.
GIVE_UP_SECONDS = 15.0

#: Seconds without a change after which a header that announces the current number of frames is trusted.
COMPLETE_SECONDS = 2.0

#: What changes with a file: size, modification time, file number. Compared only with itself, never
#: with a clock, because the writing computer's clock may differ.
Signature: TypeAlias = tuple[int, int, int]


def signature(path: str | PathLike[str]) -> Signature | None:
    """Return the signature of a file; None if it does not exist or cannot be reached."""
    try:
        return signature_of(os.stat(path))  # noqa: PTH116 - takes strings, too: a folder may hold a million
    except OSError:
        return None


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature from a file's status."""
    return status.st_size, status.st_mtime_ns, status.st_ino


class Layout(ABC):
    """A recording on disk while it grows. Times are from `time.perf_counter`.

    One thread polls; others may open the complete frames at the same time.

    Attributes
    ----------
    path : pathlib.Path
        The path for `dmlink.open` once the recording is finished.
    whole : int
        Number of frames, from the first, that are complete on disk; it never decreases.
    complete : bool
        Whether the recording itself says that it has ended.
    bad : dict of int to str
        Numbers of frames below `whole` that cannot be read, and why.
    notes : list of str
        What was left out, one sentence each.
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
            If the disk cannot be reached; the previous counts are kept.
        """

    def settle(self) -> None:  # noqa: B027 - most know by themselves
        """Treat what is on disk as complete, because nothing new has been written for long."""

    @abstractmethod
    def recording(self) -> Recording:
        """Open the frames complete now. Another process can unpickle the recording, with the same frames.

        Raises
        ------
        OSError, ValueError
            Like `dmlink.open`.
        """

    @abstractmethod
    def still_for(self, i: int, now: float) -> float:
        """Return how long, in seconds, the file of frame `i` has been unchanged or missing."""
