"""Windows: images that show results in DigitalMicrograph, in grey or as curves, and in colour."""

from __future__ import annotations

import contextlib
from typing import Any, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import RESULT_TAG, delete_image, has_window, unregister
from dmlink.indm.info import Axis, ascii_text

LINE_PLOT = 3  # DM's number of this kind of display
COLOURS_TAG = "dmlink:colours"  # where DM-script leaves the ID of the colour image that it has made


class ImageWindow(DM.Py_ScriptObject):
    """An image, or with `line` a curve for each of its rows; for values of one shape.

    Attributes
    ----------
    image : object or None
        The image in DigitalMicrograph; None once the user was seen to have closed its window.
    like : tuple
        The shape of its values, and `line`.

    Raises
    ------
    RuntimeError
        If DigitalMicrograph cannot make such an image.
    """

    def __init__(self, title: str, values: Any, line: bool = False) -> None:
        self.like, self._listens = (values.shape, line), False
        self.image = self.made(values)
        if self.image is None:
            raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
        self.image.SetName(ascii_text(title))
        self.image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)  # it is nobody's live view
        if line:
            document = DM.NewImageDocument(ascii_text(title))
            document.AddImageDisplay(self.image, LINE_PLOT)
            document.Show()
        else:
            self.image.ShowImage()
        with contextlib.suppress(Exception):  # perhaps not inside of a handler
            DM.Py_ScriptObject.__init__(self)  # the registration needs it
            window = self.image.GetOrCreateImageDocument().GetWindow()
            self.WindowHandleWindowClosedEvent(window, "pythonplugin")
            self._listens = True

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:
        """Let go of the image: the user has closed its window."""
        self.image = None

    @property
    def closed(self) -> bool:
        """Whether the user has closed it; where no listener is taken, only looking tells."""
        if self.image is not None and not self._listens and not has_window(self.image):
            self.image = None
        return self.image is None

    def made(self, values: Any) -> Any:
        """Return a new image; None where DM cannot make it."""
        # DM takes nothing but arrays that own their memory, in C order
        return DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))

    def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
        """Show values, of which only the columns `new` have changed, and their calibration."""
        image = self.image
        if image is None:  # closed just now: the user does that on DM's main thread
            return
        image.GetNumArray()[..., new] = values[..., new]
        for dimension, axis in enumerate(axes):
            image.SetDimensionCalibration(dimension, axis.origin, axis.scale, ascii_text(axis.unit), 0)
        image.SetIntensityUnitString(ascii_text(unit))
        image.UpdateImage()

    def release(self, delete: bool) -> None:
        """Draw no more. With `delete` the window is closed, else it stays."""
        image, self.image = self.image, None  # DM frees no image that Python holds
        with contextlib.suppress(Exception):  # it may be gone already
            if delete and image is not None:
                delete_image(image)
        unregister(self)


class ColourWindow(ImageWindow):
    """An image in colour, (h, w, 3) uint8: only DM-script can make and change one, of three grey ones."""

    def made(self, values: Any) -> Any:
        """Return a new image, by the ID that DM-script gives: the user may have another one in front."""
        tags = DM.GetPersistentTagGroup()
        tags.SetTagAsLong(COLOURS_TAG, 0)
        self._compose(
            "RGBimage shown := {}\n"
            f'GetPersistentTagGroup().TagGroupSetTagAsLong("{COLOURS_TAG}", shown.ImageGetID())\n'
            "shown.ShowImage()",
            values,
        )
        found, number = DM.GetPersistentTagGroup().GetTagAsLong(COLOURS_TAG)
        image = DM.FindImageByID(int(number)) if found and number else None
        if image is None:
            with contextlib.suppress(RuntimeError):  # what Python cannot see must not stay on the screen
                DM.ExecuteScriptString(f"FindImageByID({int(number)}).DeleteImage()")
        return image

    def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
        """Show values; a colour image has no calibration."""
        image = self.image
        if image is not None:
            shown = f"RGBimage shown := FindImageByID({image.GetID()})\n"
            self._compose(shown + "shown = {}\nshown.UpdateImage()", values)

    def _compose(self, text: str, values: Any) -> None:
        """Run DM-script, with the colour image of these values in the place of {}."""
        planes: list[Any] = []
        try:
            for i in range(3):
                planes.append(DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")))
                if planes[-1] is None:
                    raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
            labels = ", ".join(plane.GetLabel() for plane in planes)
            DM.ExecuteScriptString(text.format(f"rgb({labels})"))
        finally:
            for plane in planes:
                if plane is not None:
                    delete_image(plane)
