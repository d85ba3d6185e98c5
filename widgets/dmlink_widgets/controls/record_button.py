"""RecordButton: starts and stops a recording of a link, and reports its size and the space left on disk."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING

from dmlink.summary import size
from dmlink_widgets.controls.toolbar import toggle

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink.recordings.writing.recorder import Recorder


# by link: a recording continues when its view is closed, and the link's next view takes it over
_running: weakref.WeakKeyDictionary[Link | FollowedLink, Recorder] = weakref.WeakKeyDictionary()


class RecordButton:
    """A toggle that records into a new folder next to the notebook while it is pressed.

    Parameters
    ----------
    link : Link
        The link to record.
    report : callable
        Called with a line about the recording, such as its size, or why it failed.

    Attributes
    ----------
    widget : ipywidgets.ToggleButton
        The button.
    recorder : Recorder or None
        The current recording.
    """

    def __init__(self, link: Link | FollowedLink, report: Callable[[str], None]) -> None:
        self._link = link
        self._report = report
        self.recorder: Recorder | None = None
        self.widget = toggle(
            "circle", "Record to a folder beside this notebook; press again to stop", self._press
        )
        self.widget.add_class("dmlink-record")
        if link in _running:
            self.widget.value = _running[link].state == "recording"

    def follow(self) -> None:
        """Report the progress of the recording, if there is one."""
        recorder = self.recorder
        if recorder is None:
            return
        seconds, left = int(recorder.seconds), ""
        if recorder.state == "recording":
            with contextlib.suppress(OSError):  # the folder is gone: the recorder will report it
                left = f"{size(recorder.disk_left)} left on disk"
        parts = [
            f"{recorder.state} {seconds // 60:02d}:{seconds % 60:02d}",
            f"{recorder.frames} frames",
            size(recorder.bytes),
            left,
            f"{recorder.dropped} dropped" if recorder.dropped else "",
            recorder.reason,
            str(recorder.path),
        ]
        self._report(" \u00b7 ".join(part for part in parts if part))
        if recorder.state != "recording":
            self.recorder = None
            self.widget.value = False

    def _press(self, down: bool) -> None:
        if not down:
            if self.recorder is not None:
                self.recorder.stop()
            self.follow()
            return
        try:
            running = _running.get(self._link)
            if running is None or running.state != "recording":
                running = self._link.record(time.strftime("recording-%Y%m%d-%H%M%S.zarr"))
                _running[self._link] = running
            self.recorder = running
            self.follow()
        except (OSError, ValueError) as error:
            self.widget.value = False
            self._report(str(error))
