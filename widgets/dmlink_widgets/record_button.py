"""RecordButton: records what comes through a link, and says how large it has become and what is left."""

from __future__ import annotations

import contextlib
import time
import weakref
from typing import TYPE_CHECKING

from dmlink.summary import size
from dmlink_widgets.toolbar import toggle

if TYPE_CHECKING:
    from dmlink.link import Link
    from dmlink.recorder import Recorder


# by link: a recording goes on when its view is closed, and the next view of the link has it
_running: weakref.WeakKeyDictionary[Link, Recorder] = weakref.WeakKeyDictionary()


class RecordButton:
    """A toggle: pressed it records into a new folder beside the notebook.

    Attributes
    ----------
    widget : ipywidgets.ToggleButton
        The button.
    recorder : Recorder or None
        The recording that runs.
    said : str
        How it goes or how it has ended, in a line; empty before the first recording.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.recorder: Recorder | None = None
        self.said = ""
        self.widget = toggle("circle", "Record beside this notebook; press again to stop", self._pressed)
        self.widget.add_class("dmlink-record")
        if link in _running:  # a view that is shown again
            self.widget.value = _running[link].state == "recording"

    def follow(self) -> None:
        """Look how it goes."""
        recorder = self.recorder
        if recorder is None:
            return
        seconds, left = int(recorder.seconds), ""
        if recorder.state == "recording":
            with contextlib.suppress(OSError):  # the folder was taken away: the recorder will say so
                left = f" \u00b7 {size(recorder.disk_left)} left on disk"
        self.said = (
            f"{recorder.state} {seconds // 60:02d}:{seconds % 60:02d} \u00b7 {recorder.frames} frames \u00b7 "
            f"{size(recorder.bytes)}{left}"
            + (f" \u00b7 {recorder.dropped} dropped" if recorder.dropped else "")
            + (f" \u00b7 {recorder.reason}" if recorder.reason else "")
            + f" \u00b7 {recorder.path}"
        )
        if recorder.state != "recording":
            self.recorder = None  # that it has ended is said once
            self.widget.value = False

    def _pressed(self, pressed: bool) -> None:
        if not pressed:
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
            self.said = str(error)
            self.widget.value = False
