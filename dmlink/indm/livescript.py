"""The mechanics of an exported script: `process` on every frame of the live view, results in windows."""

from __future__ import annotations

import time
import traceback
import types
from typing import Any, Callable

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import ascii_unit, axis, clamped, refusal, signature, version
from dmlink.indm.info import Axis, Info
from dmlink.indm.results import Image, Profile, Result, Scalar, as_result

LINE_PLOT = 3  # DM's number of this kind of display
STRIP_LENGTH = 256  # frames that a strip chart begins with; it is doubled when full
REPORT_SECONDS = 10.0  # how often the script says how long it takes


class Window:
    """A window of DM with a result in it: made for the first result, then kept up to date."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._image: Any = None
        self._shape: tuple[int, ...] = ()
        self._history = np.zeros((1, STRIP_LENGTH), np.float32)
        self._n = 0  # frames in the history

    def show(self, result: Result) -> None:
        """Draw a result."""
        if isinstance(result, Scalar):
            self._append(list(result.series.values()))
            self._draw(self._history, Axis(unit="frames"), Axis(), result.unit, line=True)
        elif isinstance(result, Profile):
            self._draw(result.values, result.x, Axis(), result.value_unit, line=True)
        elif result.values.ndim == 3:
            self._draw_colour(result.values)
        else:
            self._draw(result.values, result.x, result.y, "", line=False)

    def _append(self, values: list[float]) -> None:
        if len(values) != len(self._history):
            self._history, self._n = np.zeros((len(values), STRIP_LENGTH), np.float32), 0
        if self._n == self._history.shape[1]:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
        self._history[:, self._n] = values
        self._n += 1

    def _draw(self, values: Any, x: Axis, y: Axis, unit: str, *, line: bool) -> None:
        if self._shape != values.shape:
            self._close()
            # DM takes nothing but arrays that own their memory, in C order
            image = DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))
            if image is None:
                raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
            image.SetName(self.title)
            if line:
                document = DM.NewImageDocument(self.title)
                document.AddImageDisplay(image, LINE_PLOT)
                document.Show()
            else:
                image.ShowImage()
            self._image, self._shape = image, values.shape
        else:
            self._image.GetNumArray()[...] = values
        for dimension, a in enumerate((x, y)[: values.ndim]):
            self._image.SetDimensionCalibration(dimension, a.origin, a.scale, ascii_unit(a.unit), 0)
        self._image.SetIntensityUnitString(ascii_unit(unit))
        self._image.UpdateImage()

    def _draw_colour(self, values: Any) -> None:
        """Draw an (h, w, 3) array: DM makes colour images in DM-script only, of three grey ones."""
        planes = [DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")) for i in range(3)]
        rgb = "rgb({}, {}, {})".format(*(plane.GetLabel() for plane in planes))
        if self._shape != values.shape:
            self._close()
            DM.ExecuteScriptString(f"{rgb}.ShowImage()")
            self._image, self._shape = DM.GetFrontImage(), values.shape
            self._image.SetName(self.title)
        else:
            DM.ExecuteScriptString(
                f"RGBimage colours := FindImageByID({self._image.GetID()})\n"
                f"colours = {rgb}\n"
                "colours.UpdateImage()"
            )
        for plane in planes:
            DM.DeleteImage(plane)

    def _close(self) -> None:
        if self._image is not None:
            DM.DeleteImage(self._image)
        self._image = None


class LiveScript(DM.Py_ScriptObject):  # type: ignore[misc]
    """Listens to a live view; nothing may escape from here into DM."""

    def __init__(self, image: Any, process: Callable[[Any, Info, dict[str, Any]], Any], name: str) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.stop = False
        self.skipped = 0
        self.processed = 0
        self._process = process
        self._name = name
        self._source = str(image.GetName())
        self._window = Window(f"{name} of {self._source}")
        self._state: dict[str, Any] = {}
        self._shape: tuple[int, ...] = ()
        self._signature: Any = None
        self._index = -1
        self._busy = False
        self._rest_until = 0.0
        self._reported = time.perf_counter()
        self._errors: dict[str, int] = {}

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Process the frame that has just come, unless the last one took too long."""
        if self.stop:
            return
        try:
            self._see(image)
        except Exception as error:  # noqa: BLE001 - nothing may escape into DM
            self._tell(error)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """End with the live view."""
        self.end()

    def end(self) -> None:
        """Stop; GMS up to 3.5.1 cannot be asked to send no more events, `stop` alone has to do there."""
        if not self.stop:
            self.stop = True
            print(f"{self._name}: stopped after {self.processed} frames, {self.skipped} skipped.")
            if hasattr(self, "UnregisterAllListeners"):
                self.UnregisterAllListeners()

    def _see(self, image: Any) -> None:
        array = np.atleast_2d(image.GetNumArray())
        seen = signature(array)
        if seen == self._signature:
            return
        self._signature = seen
        self._index += 1
        began = time.perf_counter()
        if self._busy or began < self._rest_until:
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
        roi = self._first_rectangle(image)
        top, left, bottom, right = place = clamped(roi or (0, 0, *array.shape), *array.shape)
        frame = np.array(array[top:bottom, left:right])  # the camera writes on while we compute
        frame.flags.writeable = False
        if frame.shape != self._shape:
            self._shape = frame.shape
            self._state.clear()
        x, y = axis(image, 0).part(left), axis(image, 1).part(top)
        info = Info(self._index, time.time(), x, y, place if roi else None, self._source)
        result = as_result(self._process(frame, info, self._state), self._name)
        self.processed += 1
        if result is not None:
            self._window.show(result)

    def _first_rectangle(self, image: Any) -> Any:
        display = image.GetImageDisplay(0)
        rois = (display.GetROI(i) for i in range(display.CountROIs()))
        return next((roi.GetRectangle() for roi in rois if roi.IsRectangle()), None)

    def _report(self, now: float, seconds: float) -> None:
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            print(f"{self._name}: {seconds * 1e3:.0f} ms per frame; {self.skipped} frames skipped.")

    def _tell(self, error: Exception) -> None:
        """Print each error once, with the line where it happened."""
        text = f"{type(error).__name__}: {error}"
        self._errors[text] = self._errors.get(text, 0) + 1
        if self._errors[text] == 1 and len(self._errors) <= 20:
            line = traceback.extract_tb(error.__traceback__)[-1].lineno
            print(f"{self._name}: frame {self._index}, line {line} of the script: {text}")


def at_home(process: Any, script: dict[str, Any]) -> Any:
    """Return `process` with global names of its own.

    All scripts of DM share one set of global names: without this, another script's `process` or parameters
    would take the place of ours.
    """
    home = dict(script, Axis=Axis, Scalar=Scalar, Profile=Profile, Image=Image)

    def moved(function: Any) -> Any:
        copy = types.FunctionType(
            function.__code__, home, function.__name__, function.__defaults__, function.__closure__
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        return copy

    for name, value in script.items():
        if isinstance(value, types.FunctionType) and value.__globals__ is script:
            home[name] = moved(value)
        elif isinstance(value, type) and value.__module__ == script.get("__name__"):
            for key, method in list(vars(value).items()):
                if isinstance(method, types.FunctionType) and method.__globals__ is script:
                    setattr(value, key, moved(method))
    return home[process.__name__]


def start(process: Any, name: str, script: dict[str, Any]) -> None:
    """Run `process` on every frame of the front image from now on; stop what an earlier run started."""
    key = "dmlink_live_" + "".join(c if c.isalnum() else "_" for c in name)
    if script.get(key) is not None:
        script[key].end()
    why = refusal(version())
    if why:
        print(f"{name}: {why}")
        return
    image = DM.GetFrontImage()
    live = LiveScript(image, at_home(process, script), name)
    window = image.GetOrCreateImageDocument().GetWindow()
    live.WindowHandleWindowClosedEvent(window, "pythonplugin")
    live.HandleDataChangedEvent(0, image)  # also for an image that stands still
    live.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
    script[key] = live  # DM keeps no hold on it: this name does
    print(f"{name}: running on {image.GetName()}. Close the live view to stop it.")
