"""The rectangles and the line on a view in DigitalMicrograph, with the names that DM does not store."""

from __future__ import annotations

import contextlib
from typing import Any, Sequence

import DigitalMicrograph as DM

from dmlink.indm.gms import clamped, display_of, line_from, line_on, pixels_of, rois_on
from dmlink.indm.outline import Outline


class Rois:
    """What is drawn on one view. `names` and `outlines` are those of all views, by ID; they outlive this one.

    Attributes
    ----------
    known : dict of str to tuple of int
        The rectangles by name, (top, left, bottom, right) within the image, when last read.
    outlines : dict of str to Outline
        The outlines of the rectangles that are masks; DigitalMicrograph does not store them.
    line : tuple of float or None
        The first line, (y0, x0, y1, x1) in pixels of the image, when last read; without one, the
        line set by a link that GMS could not draw.
    """

    def __init__(self, names: dict[int, str], outlines: dict[int, Outline]) -> None:
        self.known: dict[str, tuple[int, int, int, int]] = {}
        self.outlines: dict[str, Outline] = {}
        self.line: tuple[float, ...] | None = None
        self._names = names
        self._outlines = outlines
        self._here: dict[int, str] = {}  # those of this view
        self._ignored: set[int] = set()  # removed by a link, but perhaps not by GMS
        # the line in GMS, and the line that a link has set if GMS could not draw it
        self._instead: tuple[tuple[float, ...] | None, tuple[float, ...] | None] | None = None

    def look(self, image: Any) -> None:
        """Read them as they are now."""
        self.known, self.line = self.read(image), line_on(image)
        here = self._here.items()
        self.outlines = {name: self._outlines[roi_id] for roi_id, name in here if roi_id in self._outlines}
        if self._instead and self._instead[0] == self.line:
            self.line = self._instead[1]
        else:
            self._instead = None  # it was moved in GMS

    def read(self, image: Any) -> dict[str, tuple[int, int, int, int]]:
        """Return the rectangles as they are now, without updating `known`."""
        if display_of(image) is None:
            return self.known  # a view opened in its place may get them again
        size = pixels_of(image).shape[:2]
        rectangles = {}
        for roi in rois_on(image):
            if roi.IsRectangle() and roi.GetID() not in self._ignored:
                rectangles[roi.GetID()] = clamped(roi.GetRectangle(), *size)
        for gone in set(self._here) - set(rectangles):
            del self._here[gone]  # its name is free for the next rectangle drawn
            self._names.pop(gone, None)
            self._outlines.pop(gone, None)
        return {self._name(roi_id): place for roi_id, place in rectangles.items()}

    def set(self, image: Any, name: str, rectangle: Sequence[float], outline: Outline | None = None) -> None:
        """Move the rectangle with that name, or draw it; `outline` is drawn in it by the notebook."""
        place = clamped(rectangle, *pixels_of(image).shape[:2])
        within = outline.within(rectangle, place) if outline else None
        if name in self.read(image):
            DM.GetROIFromID(self._id(name)).SetRectangle(*place)
            self._set_outline(self._id(name), within)
            return
        roi = DM.NewROI()
        roi.SetRectangle(*place)
        roi.SetVolatile(False)
        display = display_of(image)
        if display is None:
            return
        display.AddROI(roi)
        self._here[roi.GetID()] = self._names[roi.GetID()] = name
        self._set_outline(roi.GetID(), within)

    def remove(self, image: Any, name: str) -> None:
        """Remove the rectangle with that name; if GMS cannot do that, ignore it from now on."""
        if name in self.read(image):
            roi_id = self._id(name)
            self._ignored.add(roi_id)
            _delete_roi(image, roi_id)

    def set_line(self, image: Any, line: Sequence[float] | None) -> None:
        """Move the first line, or draw it; None removes it. A line that GMS cannot draw is kept here only."""
        before, roi_id = line_on(image), _line_id(image)
        if self._instead and self._instead[0] == before:
            pass  # it failed before
        elif line is not None:
            _draw_line(image, roi_id, line)
        elif roi_id is not None:
            _delete_roi(image, roi_id)
        wanted, now = None if line is None else tuple(map(float, line)), line_on(image)
        self._instead = None if now == wanted else (now, wanted)

    def line_in(self, place: Sequence[int] | None) -> tuple[float, ...] | None:
        """Return the line in pixels of the region at `place`; it may extend beyond the region."""
        return line_from(self.line, *(place[:2] if place else (0, 0)))

    def _set_outline(self, roi_id: int, outline: Outline | None) -> None:
        if outline is None:
            self._outlines.pop(roi_id, None)
        else:
            self._outlines[roi_id] = outline

    def _id(self, name: str) -> int:
        return next(i for i, n in self._here.items() if n == name)

    def _name(self, roi_id: int) -> str:
        if roi_id not in self._here:
            taken = set(self._here.values())
            names = [self._names.get(roi_id, "roi"), "roi"] + [f"roi {n}" for n in range(2, len(taken) + 3)]
            name = next(name for name in names if name not in taken)
            self._here[roi_id] = self._names[roi_id] = name
        return self._here[roi_id]


def _line_id(image: Any) -> int | None:
    """Return the ID of the first line; None without one."""
    for roi in rois_on(image):
        with contextlib.suppress(Exception):  # only trying shows whether it is a line
            roi.GetLine()
            return int(roi.GetID())
    return None


def _draw_line(image: Any, roi_id: int | None, line: Sequence[float]) -> None:
    """Draw a line from (y0, x0) to (y1, x1), or move the line with this ID."""
    y0, x0, y1, x1 = map(float, line)
    place = f"{x0!r}, {y0!r}, {x1!r}, {y1!r}"
    try:
        if roi_id is not None:
            DM.ExecuteScriptString(f"ROISetLine(GetROIFromID({roi_id}), {place})\n")
        else:
            DM.ExecuteScriptString(
                f"Image view := FindImageByID({image.GetID()})\n"
                "ImageDisplay display = view.ImageGetImageDisplay(0)\n"
                "ROI line = NewROI()\n"
                f"ROISetLine(line, {place})\n"
                "ROISetVolatile(line, 0)\n"
                "display.ImageDisplayAddROI(line)\n"
            )
    except Exception as error:  # noqa: BLE001 - neither is known to be in every GMS
        print(f"dmlink: a line cannot be drawn here ({error}); cells still get it.")


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
