"""The mechanics of an exported script: `process` on every frame of the live view, results in a window."""

from __future__ import annotations

import time
import traceback
from typing import Any

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import Changes, ascii_unit, axis, clamped, live_view, pixels_of, refusal, version
from dmlink.indm.info import Axis, Info, tags_of
from dmlink.indm.memory import FrameCounter, LastFrames, Reference, RunningAverage
from dmlink.indm.results import (
    Boxes,
    Image,
    Overlay,
    Points,
    Profile,
    Scalar,
    Several,
    Table,
    Text,
    Written,
    as_result,
)
from dmlink.indm.window import Window

REPORT_SECONDS = 60.0  # how often the script says that it skips frames
WRITE_SECONDS = 1.0  # how often at most it prints a result
TAG_SECONDS = 0.5  # how often the image's tags are read
AT_HOME = "__dmlink_at_home__"  # marks the names of a script that is executed for the second time


class LiveScript(DM.Py_ScriptObject):  # type: ignore[misc]
    """Listens to a live view; nothing may escape from here into DM."""

    def __init__(self, image: Any, process: Any, name: str) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.stop = False
        self.skipped = 0
        self.processed = 0
        self._process = process
        self._name = name
        self._source = str(image.GetName())
        self.window = Window(ascii_unit(f"{name} of {self._source}"))
        self._state: dict[str, Any] = {}
        self._shape: tuple[int, ...] = ()
        self._changes = Changes()
        self._index = -1
        self._busy = False
        self._rest_until = 0.0
        self._reported = (time.perf_counter(), 0)  # when, and how many were skipped by then
        self._written = (float("-inf"), "")  # when, and what
        self._tagged: tuple[float, dict[str, float]] = (float("-inf"), {})  # when read, and what
        self._errors: set[Any] = set()

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Process the frame that has just come, unless the last one took too long."""
        if self.stop:
            return
        try:
            if self.window.closed:
                self.end("its window was closed")
                self.window.close()
            else:
                self._see(image)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - nothing may escape into DM
            self._tell(error)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """End with the live view."""
        self.end("the live view was closed")

    def end(self, why: str) -> None:
        """Stop; GMS up to 3.5.1 cannot be asked to send no more events, `stop` alone has to do there."""
        if not self.stop:
            self.stop = True
            print(f"{self._name}: stopped, {why}. {self.processed} frames processed, {self.skipped} skipped.")
            if hasattr(self, "UnregisterAllListeners"):
                self.UnregisterAllListeners()

    def _see(self, image: Any) -> None:
        array = pixels_of(image)
        if not self._changes.complete(array):
            return
        self._index += 1
        began = time.perf_counter()
        if self._busy or began < self._rest_until:  # busy: process() has let DM handle its events
            self.skipped += 1
            return
        self._busy = True
        try:
            self._run(image, array)
        finally:
            self._busy = False
            now = time.perf_counter()
            self._rest_until = now + (now - began)  # at most half of DM's time is ours
        self._report(now, now - began)

    def _run(self, image: Any, array: Any) -> None:
        size = array.shape[:2]
        roi = self._first_rectangle(image)
        top, left, bottom, right = place = clamped(roi or (0, 0, *size), *size)
        frame = np.array(array[top:bottom, left:right])  # the camera writes on while we compute
        frame.flags.writeable = False
        if frame.shape != self._shape:
            self._shape = frame.shape
            self._state.clear()
        x, y = axis(image, 0).part(left), axis(image, 1).part(top)
        info = Info(self._index, time.time(), x, y, place if roi else None, self._source, self._tags(image))
        result = as_result(self._process(frame, info, self._state), self._name)
        self.processed += 1
        if isinstance(result, (Scalar, Profile, Image)):
            self.window.show(result)
        elif result is not None:
            self._write(result)

    def _write(self, result: Written) -> None:
        """Print it to the Results window, if it says something new and not too often."""
        now, text = time.perf_counter(), ascii_unit(result.text)
        then, before = self._written
        if text != before and now - then > WRITE_SECONDS:
            self._written = now, text
            print(f"{self._name}, frame {self._index}:\n{text}")

    def _tags(self, image: Any) -> dict[str, float]:
        now = time.perf_counter()
        if now - self._tagged[0] > TAG_SECONDS:
            self._tagged = now, tags_of(image)
        return self._tagged[1]

    def _first_rectangle(self, image: Any) -> Any:
        display = image.GetImageDisplay(0)
        rois = (display.GetROI(i) for i in range(display.CountROIs()))
        return next((roi.GetRectangle() for roi in rois if roi.IsRectangle()), None)

    def _report(self, now: float, seconds: float) -> None:
        then, skipped = self._reported
        if now - then > REPORT_SECONDS and self.skipped > skipped:
            self._reported = now, self.skipped
            print(f"{self._name}: {seconds * 1e3:.0f} ms per frame; {self.skipped} frames skipped.")

    def _tell(self, error: BaseException) -> None:
        """Print an error once for each line of the script where it happens."""
        script = self._process.__code__.co_filename
        steps = traceback.extract_tb(error.__traceback__)
        line = [step.lineno for step in steps if step.filename == script][-1]
        if (type(error), line) not in self._errors:
            self._errors.add((type(error), line))
            what = traceback.format_exception_only(type(error), error)[-1].strip()
            print(f"{self._name}: frame {self._index}, line {line} of the script: {what}")


def at_home(caller: Any) -> dict[str, Any]:
    """Return the names of the calling script, made once more where no other script can change them.

    All scripts of DM share one set of global names: another script's `process`, parameters or functions
    would take the place of ours while we run.
    """
    script: dict[str, Any] = caller.f_globals
    if "process" not in caller.f_code.co_names:
        return script  # it is not the whole script that calls, but a line of it
    home = {name: value for name, value in script.items() if name.startswith("__") or name == "DM"}
    home[AT_HOME] = True
    exec(caller.f_code, home)  # noqa: S102 - it has just been executed in the names of all
    return home


def start(name: str, caller: Any) -> None:
    """Run the script's `process` on every frame of the live view; stop what an earlier run started."""
    script = caller.f_globals
    if AT_HOME in script:
        return
    why = refusal(version())
    if why:
        print(f"{name}: {why}")
        return
    key = "dmlink_live_" + name
    if script.get(key) is not None:
        script[key].end("it is executed anew")
        script[key].window.close()
    image = live_view()
    if image is None:
        print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
        return
    home = at_home(caller)
    results = (Axis, Scalar, Profile, Image, Points, Boxes, Table, Text, Overlay, Several)
    memory = (RunningAverage, LastFrames, Reference, FrameCounter)
    for kind in (*results, *memory):
        home.setdefault(kind.__name__, kind)
    live = LiveScript(image, home["process"], name)
    window = image.GetOrCreateImageDocument().GetWindow()
    live.WindowHandleWindowClosedEvent(window, "pythonplugin")
    live.HandleDataChangedEvent(0, image)  # also for an image that stands still
    live.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
    script[key] = live  # DM keeps no hold on it: this name does
    print(f"{name}: running on {image.GetName()}. Close the live view or the result to stop it.")
