"""LookbackButton: saves the last seconds of a link, which are kept in memory while a page shows its view."""

from __future__ import annotations

import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from dmlink import recordings
from dmlink.link.link import Link
from dmlink.recordings.writing.file_names import FileNames
from dmlink.recordings.writing.frame_writer import SUFFIX
from dmlink.ring import POSIX_SHARED_MEMORY
from dmlink_widgets.controls.toolbar import button

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink
    from dmlink.link.lookback import Lookback
    from dmlink.recordings import Recording

SECONDS = 30.0
MOST_MEMORY = 1_000_000_000  # bytes
PART = 16  # of the computer's memory, at most
SHARED_PART = 4  # of the space for shared memory, which frames also need to reach the cells
LIMIT_OF_CONTAINER = Path("/sys/fs/cgroup/memory.max")

# by link: two views of one link share a look-back
_kept: weakref.WeakKeyDictionary[Link, tuple[Lookback, int]] = weakref.WeakKeyDictionary()
_keeping = threading.Lock()


class LookbackButton:
    """A button that saves the last seconds; its owner reports when the view is on a page.

    Parameters
    ----------
    link : Link
        The link whose frames are kept.
    report : callable
        Called with a line that says what was saved, or why nothing was.

    Attributes
    ----------
    widget : ipywidgets.Button
        The button.
    """

    def __init__(self, link: Link | FollowedLink, report: Callable[[str], None]) -> None:
        self._link = link if isinstance(link, Link) else None  # files are on disk already
        self._report = report
        self._holds = False
        self._saving: threading.Thread | None = None
        self.widget = button(
            "history",
            f"Save the last {SECONDS:.0f} s from memory beside this notebook (b)",
            self._press,
        )
        self.widget.add_class("dmlink-lookback")
        self.widget.layout.display = None if self._link else "none"

    def in_page(self, there: bool) -> None:
        """Start or stop keeping the last seconds, as a page begins or stops showing the view."""
        link = self._link
        if link is None or there == self._holds or (there and link.closed):
            return
        self._holds = there
        with _keeping:
            lookback, holders = _kept.get(link, (None, 0))
            if lookback is None:
                lookback = link.lookback(SECONDS, memory())
            holders += 1 if there else -1
            if holders:
                _kept[link] = lookback, holders
                return
            del _kept[link]
        lookback.close()

    @property
    def saving(self) -> bool:
        """Whether the last seconds are being saved."""
        return self._saving is not None and self._saving.is_alive()

    def _press(self) -> None:
        lookback = _kept.get(self._link, (None, 0))[0] if self._link else None
        if lookback is None:
            self._report("There is nothing to save: frames are kept only while a page shows the view.")
        elif not self.saving:
            self.widget.disabled = True
            self._saving = threading.Thread(target=self._save, args=(lookback,), name="dmlink-save")
            self._saving.start()

    def _save(self, lookback: Lookback) -> None:
        """Save the kept frames while the view continues."""
        try:
            self._report(f"Saving {_length(lookback.frames)} ...")
            taken = FileNames(path.name for path in Path.cwd().iterdir())
            name = taken.take(time.strftime("moment-%Y%m%d-%H%M%S"), [SUFFIX])
            path = lookback.save(name)
            missing = f", {lookback.missing} missing in between" if lookback.missing else ""
            with recordings.open(path) as written:  # a frame may have come since the button was pressed
                saved = f"Saved {_length(written)}{missing}: {path.absolute()}"
            self._report(f"{saved} {lookback.reason}".strip())
        except (OSError, ValueError) as error:
            self._report(str(error))
        finally:
            self.widget.disabled = False


def _length(recording: Recording) -> str:
    return f"{len(recording)} frames, {recording.times[-1] - recording.times[0]:.1f} s"


def memory() -> int:
    """Return how many bytes a view's look-back may take on this computer."""
    total = int(psutil.virtual_memory().total)
    if LIMIT_OF_CONTAINER.is_file():
        limit = LIMIT_OF_CONTAINER.read_text("ascii").strip()
        total = min(total, int(limit)) if limit.isdigit() else total
    most = [MOST_MEMORY, total // PART]
    if POSIX_SHARED_MEMORY.is_dir():
        most.append(shutil.disk_usage(POSIX_SHARED_MEMORY).free // SHARED_PART)
    return max(1, min(most))


def kept_near(link: Link, when: float) -> Frame | None:
    """Return the frame nearest to that time from this link, or from another link to the same companion."""
    with _keeping:
        others = [one for one in _kept if one.endpoint == link.endpoint]
    found = [frame for one in (link, *others) if (frame := one.kept_near(when))]
    return min(found, key=lambda frame: abs(frame.time - when), default=None)


def kept_frame(link: Link, index: int, when: float) -> Frame | None:
    """Return a frame of this link, or of another link to the same companion, if a view still keeps it."""
    if frame := link.kept(index, when):
        return frame
    with _keeping:
        others = [one for one in _kept if one.endpoint == link.endpoint]
    return next((frame for one in others if (frame := one.kept(index, when))), None)
