"""Windows: images that show results in DigitalMicrograph, in grey, as curves, or in colour."""

from __future__ import annotations

import contextlib
from typing import Any, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import RESULT_TAG, delete_image, has_window, unregister
from dmlink.indm.info import Axis, ascii_text

LINE_PLOT = 3  # DM's number of this kind of display
COLOURS_TAG = "dmlink:colours"  # tag in which DM-script stores the ID of the colour image that it has created


class ImageWindow(DM.Py_ScriptObject):
    """An image or, with `line`, a curve for each of its rows; for values of one shape.

    Attributes
    ----------
    image : object or None
        The image in DigitalMicrograph; None once the user has closed its window.
    like : tuple
        The shape of its values, and `line`.

    Raises
    ------
    RuntimeError
        If DigitalMicrograph cannot create such an image.
    """

    def __init__(self, title: str, values: Any, line: bool = False) -> None:
        self.like, self._listens = (values.shape, line), False
        self.image = self.made(values)
        if self.image is None:
            raise RuntimeError(f"DigitalMicrograph cannot create an image of shape {values.shape}.")
        self.image.SetName(ascii_text(title))
        self.image.GetTagGroup().SetTagAsBoolean(RESULT_TAG, True)  # so that it is not used as a live view
        if line:
            document = DM.NewImageDocument(ascii_text(title))
            document.AddImageDisplay(self.image, LINE_PLOT)
            document.Show()
        else:
            self.image.ShowImage()
        with contextlib.suppress(Exception):  # it may be refused inside a handler
            DM.Py_ScriptObject.__init__(self)  # required before the registration
            window = self.image.GetOrCreateImageDocument().GetWindow()
            self.WindowHandleWindowClosedEvent(window, "pythonplugin")
            self._listens = True

    def __del__(self) -> None:
        """Call DM's own __del__, as published scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:
        """Release the image: the user has closed its window."""
        self.image = None

    @property
    def closed(self) -> bool:
        """Whether the user has closed it; without a listener, this is polled."""
        if self.image is not None and not self._listens and not has_window(self.image):
            self.image = None
        return self.image is None

    def made(self, values: Any) -> Any:
        """Return a new image; None if DM cannot create it."""
        # DM accepts only arrays that own their memory, in C order
        return DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))

    def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
        """Show values and their calibration; only the columns `new` have changed."""
        image = self.image
        if image is None:  # just closed by the user, on DM's main thread
            return
        image.GetNumArray()[..., new] = values[..., new]
        for dimension, axis in enumerate(axes):
            image.SetDimensionCalibration(dimension, axis.origin, axis.scale, ascii_text(axis.unit), 0)
        image.SetIntensityUnitString(ascii_text(unit))
        image.UpdateImage()

    def release(self, delete: bool) -> None:
        """Stop drawing. With `delete` the window is closed, otherwise it stays."""
        image, self.image = self.image, None  # DM does not free an image while Python refers to it
        with contextlib.suppress(Exception):  # it may already be gone
            if delete and image is not None:
                delete_image(image)
        unregister(self)


class ColourWindow(ImageWindow):
    """A colour image, (h, w, 3) uint8: only DM-script can create and change one, from three grey images."""

    def made(self, values: Any) -> Any:
        """Return a new image, found by the ID from DM-script, because another image may be in front."""
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
            with contextlib.suppress(RuntimeError):  # an image that Python cannot find must not stay
                DM.ExecuteScriptString(f"FindImageByID({int(number)}).DeleteImage()")
        return image

    def write(self, values: Any, axes: Sequence[Axis], unit: str = "", new: slice = slice(None)) -> None:
        """Show values; a colour image has no calibration."""
        image = self.image
        if image is not None:
            shown = f"RGBimage shown := FindImageByID({image.GetID()})\n"
            self._compose(shown + "shown = {}\nshown.UpdateImage()", values)

    def _compose(self, text: str, values: Any) -> None:
        """Run DM-script with the colour image of these values in place of {}."""
        planes: list[Any] = []
        try:
            for i in range(3):
                planes.append(DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")))
                if planes[-1] is None:
                    raise RuntimeError(f"DigitalMicrograph cannot create an image of shape {values.shape}.")
            labels = ", ".join(plane.GetLabel() for plane in planes)
            DM.ExecuteScriptString(text.format(f"rgb({labels})"))
        finally:
            for plane in planes:
                if plane is not None:
                    delete_image(plane)
