"""A window of DigitalMicrograph with a result in it."""

from __future__ import annotations

from typing import Any, Collection

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import RESULT_TAG, ascii_unit, shown_images, unregister
from dmlink.indm.info import Axis
from dmlink.indm.results import Profile, Result, Scalar

LINE_PLOT = 3  # DM's number of this kind of display
STRIP_LENGTH = 256  # frames that a strip chart begins with; it is doubled when full


class Closing(DM.Py_ScriptObject):  # type: ignore[misc]
    """Remembers that the user has closed a window."""

    def __init__(self, image: Any) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.happened = False
        window = image.GetOrCreateImageDocument().GetWindow()
        self.WindowHandleWindowClosedEvent(window, "pythonplugin")

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Remember it."""
        self.happened = True


class Window:
    """Made for the first result, then kept up to date; once the user has closed it, it stays closed."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._image: Any = None
        self._closing: Any = None
        self._closed = False
        self._like: tuple[Any, ...] = ()  # what can be drawn into the image that is there
        self._history = np.zeros((0, 0), np.float32)
        self._n = 0  # frames in the history

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""
        if self._closing is not None and self._closing.happened:
            self._closed = True
        return self._closed

    def show(self, result: Result) -> None:
        """Take and draw a result."""
        self.take(result)
        self.draw(result)

    def take(self, result: Result) -> None:
        """Note a number for the strip chart; of other results only the one that is drawn counts."""
        if isinstance(result, Scalar):
            self._append(list(result.series.values()))

    def draw(self, result: Result) -> None:
        """Draw a result that has been taken."""
        if self.closed:
            return
        if isinstance(result, Scalar):
            self._draw(self._history, Axis(unit="frames"), Axis(), result.unit, line=True)
        elif isinstance(result, Profile):
            self._draw(result.values, result.x, Axis(), result.value_unit, line=True)
        elif result.values.ndim == 3:
            self._draw_colour(result.values)
        else:
            self._draw(result.values, result.x, result.y, "", line=False)

    def close(self) -> None:
        """Close the window and let DM free its image."""
        image, gone = self._image, self.closed
        self.release()
        if image is not None and not gone:
            DM.DeleteImage(image)

    def release(self) -> None:
        """Let go of the image; a window that is open stays so, but is not drawn into any more."""
        if self._closing is not None:
            unregister(self._closing)
        self._image = self._closing = None
        self._like = ()

    def _append(self, values: list[float]) -> None:
        if len(values) != len(self._history):
            self._history, self._n = np.zeros((len(values), 0), np.float32), 0
        if self._n == self._history.shape[1]:  # DM fits its contrast to all: the empty ones are like this one
            like = np.where(np.isfinite(values), values, 0)[:, None]
            room = np.full((len(values), max(STRIP_LENGTH, self._n)), like, np.float32)
            self._history = np.concatenate([self._history, room], axis=1)
        self._history[:, self._n] = values
        self._n += 1

    def _draw(self, values: Any, x: Axis, y: Axis, unit: str, *, line: bool) -> None:
        if self._like != (values.shape, line):
            self.close()
            # DM takes nothing but arrays that own their memory, in C order
            image = DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))
            if image is None:
                raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
            image.SetName(self.title)
            image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)
            if line:
                document = DM.NewImageDocument(self.title)
                document.AddImageDisplay(image, LINE_PLOT)
                document.Show()
            else:
                image.ShowImage()
            self._adopt(image, (values.shape, line))
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
        if self._like != (values.shape, False):
            self.close()
            before = {image.GetID() for image in shown_images()}
            DM.ExecuteScriptString(f"{rgb}.ShowImage()")
            image = _new_image(before)
            if image is None:  # as if the user had closed it already
                self._closed = True
            else:
                image.SetName(self.title)
                image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)
                self._adopt(image, (values.shape, False))
        else:
            DM.ExecuteScriptString(
                f"RGBimage colours := FindImageByID({self._image.GetID()})\n"
                f"colours = {rgb}\n"
                "colours.UpdateImage()"
            )
        for plane in planes:
            DM.DeleteImage(plane)

    def _adopt(self, image: Any, like: tuple[Any, ...]) -> None:
        self._image, self._like = image, like
        self._closing = Closing(image)


def _new_image(before: Collection[int]) -> Any:
    """Return the image that is shown since then: not the one in front, the user may have clicked another."""
    return next((image for image in shown_images() if image.GetID() not in before), None)
