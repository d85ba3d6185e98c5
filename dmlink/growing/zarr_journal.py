"""dmlink's own recordings while they are being written: a frame is complete once the journal has its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dmlink import recordings
from dmlink.growing.layout import Layout, Signature, signature
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings.recording import Recording


class ZarrJournal(Layout):
    """The recorder writes a frame, then its line; at the end it trims the array and stores the interval."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._journal = path / JOURNAL
        self._read = 0  # bytes of the journal
        self._seen: Signature | None = None
        self._since = 0.0
        self._described: Signature | None = None

    def look(self, now: float) -> bool:
        """Count the new lines."""
        seen = signature(self._journal)
        if seen is None:
            self.path.stat()  # raises the reason if it cannot be reached
            return False
        if seen != self._seen:
            self._seen, self._since = seen, now
            with self._journal.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            lines = data.rfind(b"\n") + 1
            self._read += lines
            self.whole += data.count(b"\n")
            return True
        described = signature(self.path / "zarr.json")
        if described != self._described:
            self._described = described
            self.complete = self._ended()
            return True
        return False

    def _ended(self) -> bool:
        """Whether the recorder has closed it: only then is the unit of time stored."""
        try:
            about: Any = json.loads((self.path / "zarr.json").read_text("utf-8"))["attributes"]
            array = json.loads((self.path / "0" / "zarr.json").read_text("utf-8"))
            axes = about["ome"]["multiscales"][0]["axes"]
            return "unit" in axes[0] and bool(array["shape"][0] == self.whole)
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return False

    def recording(self) -> Recording:
        """Open the frames listed in the journal."""
        if not self.whole:
            raise ValueError(f"{self.path} has no complete frame yet.")
        return recordings.open(self.path)

    def still_for(self, i: int, now: float) -> float:  # noqa: ARG002 - all are in one journal
        """Return how long the journal has been unchanged."""
        return now - self._since
