"""The rectangles and the line on a view in DigitalMicrograph, and names for them, which DM has not."""

from __future__ import annotations

import contextlib
from typing import Any, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import clamped, pixels_of


class Rois:
    """What is drawn on one view. `names`: of the rectangles of all views, by ID; they outlive this one.

    Attributes
    ----------
    known : dict of str to tuple of int
        The rectangles by name, (top, left, bottom, right) inside of the image, as they were last looked at.
    line : tuple of float or None
        The first line, (y0, x0, y1, x1) in pixels of the image, as it was last looked at.
    """

    def __init__(self, names: dict[int, str]) -> None:
        self.known: dict[str, tuple[int, int, int, int]] = {}
        self.line: tuple[float, ...] | None = None
        self._names = names
        self._here: dict[int, str] = {}  # those of this view
        self._ignored: set[int] = set()  # that a link has removed, but GMS perhaps not

    def look(self, image: Any) -> None:
        """Get to know them as they are now."""
        self.known, self.line = self.read(image), _line(image)

    def read(self, image: Any) -> dict[str, tuple[int, int, int, int]]:
        """Return the rectangles as they are now; what is known does not change."""
        display = _display(image)
        if display is None:
            return self.known  # a view that is opened in its place may get them again
        size = pixels_of(image).shape[:2]
        rectangles = {}
        for i in range(display.CountROIs()):
            roi = display.GetROI(i)
            if roi.IsRectangle() and roi.GetID() not in self._ignored:
                rectangles[roi.GetID()] = clamped(roi.GetRectangle(), *size)
        for gone in set(self._here) - set(rectangles):
            del self._here[gone]  # its name is free for the next one that is drawn
            self._names.pop(gone, None)
        return {self._name(roi_id): place for roi_id, place in rectangles.items()}

    def set(self, image: Any, name: str, rectangle: Sequence[float]) -> None:
        """Move the rectangle of that name, or draw it."""
        place = clamped(rectangle, *pixels_of(image).shape[:2])
        if name in self.read(image):
            DM.GetROIFromID(self._id(name)).SetRectangle(*place)
            return
        roi = DM.NewROI()
        roi.SetRectangle(*place)
        roi.SetVolatile(False)
        display = _display(image)
        if display is None:
            return
        display.AddROI(roi)
        self._here[roi.GetID()] = self._names[roi.GetID()] = name

    def remove(self, image: Any, name: str) -> None:
        """Take the rectangle of that name away; where GMS cannot do that, know nothing of it any more."""
        if name in self.read(image):
            roi_id = self._id(name)
            self._ignored.add(roi_id)
            _delete_roi(image, roi_id)

    def line_in(self, place: Sequence[int] | None) -> tuple[float, ...] | None:
        """Return the line in pixels of the region at `place`; it may reach beyond it."""
        top, left = place[:2] if place else (0, 0)
        return self.line and tuple(v - c for v, c in zip(self.line, (top, left, top, left)))

    def _id(self, name: str) -> int:
        return next(i for i, n in self._here.items() if n == name)

    def _name(self, roi_id: int) -> str:
        if roi_id not in self._here:
            taken = set(self._here.values())
            names = [self._names.get(roi_id, "roi"), "roi"] + [f"roi {n}" for n in range(2, len(taken) + 3)]
            name = next(name for name in names if name not in taken)
            self._here[roi_id] = self._names[roi_id] = name
        return self._here[roi_id]


def _display(image: Any) -> Any:
    """Return how the image is displayed; None if its window has just been closed, which ends its view."""
    try:
        return image.GetImageDisplay(0)
    except Exception:  # noqa: BLE001 - how GMS says it is not known
        return None


def _line(image: Any) -> tuple[float, ...] | None:
    """Return the first line on the image, (y0, x0, y1, x1) in pixels; None without one."""
    display = _display(image)
    for i in range(display.CountROIs() if display is not None else 0):
        with contextlib.suppress(Exception):  # only the attempt tells whether it is a line
            x0, y0, x1, y1 = display.GetROI(i).GetLine()
            line = float(y0), float(x0), float(y1), float(x1)
            if np.isfinite(line).all():
                return line
    return None


def _delete_roi(image: Any, roi_id: int) -> None:
    try:
        display = image.GetImageDisplay(0)
        if hasattr(display, "DeleteROI"):
            display.DeleteROI(DM.GetROIFromID(roi_id))
            return
        DM.ExecuteScriptString(
            f"Image view := FindImageByID({image.GetID()})\n"
            "ImageDisplay display = view.ImageGetImageDisplay(0)\n"
            f"display.ImageDisplayDeleteROI(GetROIFromID({roi_id}))\n"
        )
    except Exception as error:  # noqa: BLE001 - neither is known to be in every GMS
        print(f"dmlink: a rectangle cannot be removed from here ({error}); select it and press Delete.")
