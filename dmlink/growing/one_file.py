"""One file: MIB, which grows frame by frame, or any other, which is read once it no longer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink import recordings
from dmlink.growing.layout import STILL_SECONDS, Layout, Signature, signature
from dmlink.recordings.formats import mib
from dmlink.recordings.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path


class OneFile(Layout):
    """A file of frames that is complete when it has not changed for a moment and can be opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._seen: Signature | None = None
        self._since = 0.0
        self._opened: Signature | None = None  # signature for which `whole` was determined

    def look(self, now: float) -> bool:
        """Look at the file's size."""
        seen = signature(self.path)
        if seen is None:
            self.path.stat()  # raises the reason if it cannot be reached
        changed = seen != self._seen
        if changed:
            self._seen, self._since = seen, now
        if self._ready(now) and seen != self._opened:
            try:
                with self.recording() as recording:
                    self.whole = max(self.whole, len(recording))
                self._opened = seen
            except (OSError, ValueError):
                return changed
            return True
        return changed

    def _ready(self, now: float) -> bool:
        return now - self._since >= STILL_SECONDS

    def recording(self) -> Recording:
        """Open the file."""
        return recordings.open(self.path)

    def still_for(self, i: int, now: float) -> float:  # noqa: ARG002 - all are in one file
        """Return how long the file has been unchanged."""
        return now - self._since


class MibFile(OneFile):
    """A file from Merlin: each frame is complete once its bytes are there."""

    def _ready(self, now: float) -> bool:  # noqa: ARG002 - sizes decide
        return True

    def recording(self) -> Recording:
        """Open the complete frames."""
        head = mib.head(self.path)
        n = self.path.stat().st_size // head.step
        if n < 1:
            raise ValueError(f"{self.path} has no complete frame yet.")
        return MibFrames(self.path, n)


class MibFrames(Recording):
    """The first frames of a MIB file, read without mapping, because its writer may still truncate it."""

    def __init__(self, path: Path, n: int) -> None:
        self._told = path.absolute(), n
        self._head = mib.head(path)
        self._begin = self._head.time
        exposure = self._head.exposure
        super().__init__(
            path,
            (n, *self._head.shape),
            self._head.dtype,
            fps=1 / exposure if exposure else None,
            tags={"exposure": exposure} if exposure else {},
        )

    def _read(self, i: int) -> np.ndarray:
        head = self._head
        length = head.step - head.length
        with self.path.open("rb", buffering=0) as file:
            file.seek(i * head.step + head.length)
            pixels = np.fromfile(file, np.uint8, length)
        if pixels.size < length:
            raise ValueError(f"Frame {i} of {self.path} is cut short.")
        return pixels.view(head.dtype).reshape(head.shape)

    def _time(self, i: int) -> float:
        """Return the time in the frame's own header, in seconds after the first, if it is later."""
        if self._begin is None:
            return super()._time(i)
        with self.path.open("rb", buffering=0) as file:
            file.seek(i * self._head.step)
            time = mib.head_of(file.read(self._head.length), self.path).time
        return (time - self._begin).total_seconds() if time and time != self._begin else super()._time(i)

    def __reduce__(self) -> tuple[Any, ...]:
        return MibFrames, self._told
