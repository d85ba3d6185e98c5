# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Displays of images, with their ROIs, annotations and line plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.simulator.handles import Handle, ascii_only, unwrap, wrap

if TYPE_CHECKING:
    import numpy as np

    from dmlink.simulator.images import Image
    from dmlink.simulator.listeners import Registration
    from dmlink.simulator.workspace import Workspace

Rectangle = tuple[float, float, float, float]
LINE_PLOT = 3
_KINDS = {1: "raster image", 2: "surface", LINE_PLOT: "line plot"}


class Roi:
    """A region of interest: a rectangle (top, left, bottom, right) or a line (x0, y0, x1, y1) in pixels."""

    def __init__(self, workspace: Workspace) -> None:
        self.id = workspace.new_id()
        self.rectangle: Rectangle | None = None
        self.line: Rectangle | None = None
        self.volatile = True
        self.resizable = True
        self.selected = False
        with workspace.lock:
            workspace.rois[self.id] = self


class Component:
    """An annotation in a display, such as a text or a box."""

    def __init__(self, kind: int, rectangle: Rectangle) -> None:
        self.kind = kind
        self.rectangle = rectangle
        self.text = ""
        self.colour: tuple[float, float, float] | None = None


class LinePlot:
    """How a display draws as a line plot."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.contrast: tuple[float, float] | None = None
        self.styles: dict[int, int] = {}
        self.legend = True
        self.grid: tuple[float, float, float] | None = None
        self.auto_survey = (True, True)


class Display:
    """How an image is drawn; `shown` is what stands on the screen since it was last drawn.

    The live view has no such copy: DM draws each frame as it comes.
    """

    def __init__(self, image: Image, kind: int) -> None:
        self.image = image
        self.kind = 0
        self.change_kind(kind)
        self.shown: np.ndarray | None = None
        self.updates = 0
        self.rois: list[Roi] = []
        self.components: list[Component] = []
        self.contrast: tuple[float, float] | None = None
        self.auto_survey = True
        self.colour_table: str | Image | None = None
        self.line_plot = LinePlot(image)
        self.listeners: list[Registration] = []

    def change_kind(self, kind: int) -> None:
        """Draw as 1 raster image, 2 surface or 3 line plot."""
        if kind not in _KINDS:
            raise ValueError(f"Display type {kind}: known are {_KINDS}.")
        self.kind = kind

    def draw(self) -> None:
        """Bring the image's memory to the screen."""
        if not self.image.live:
            self.shown = self.image.memory.copy()
        self.updates += 1

    def remove_roi(self, roi: Roi) -> None:
        """Take the ROI away and tell the listeners."""
        self.rois.remove(roi)
        self.image.workspace.post_event(self, "HandleROIRemovedEvent", 1, self, 1, 1, roi)
        self.image.workspace.changed()

    def change_component(self, component: Component, rectangle: Rectangle) -> None:
        """Move the annotation and tell the listeners."""
        component.rectangle = rectangle
        self.image.workspace.post_event(self, "HandleComponentChangedEvent", 1, self, 1, 1, component)


class Py_ImageDisplay(Handle, wraps=Display):
    """What Python holds of a display."""

    __slots__ = ()
    _thing: Display

    def ChangeDisplayType(self, kind: int) -> None:
        self._thing.change_kind(kind)

    def CountROIs(self) -> int:
        return len(self._thing.rois)

    def GetROI(self, index: int) -> Any:
        return wrap(_item(self._thing.rois, index, "GetROI"))

    def AddROI(self, roi: Any) -> None:
        roi = unwrap(roi, "Py_ROI", "AddROI")
        if roi not in self._thing.rois:
            self._thing.rois.append(roi)
            self._thing.image.workspace.changed()

    def IsROISelected(self, roi: Any) -> bool:
        return bool(unwrap(roi, "Py_ROI", "IsROISelected").selected)

    def SetDoAutoSurvey(self, on: bool) -> None:
        self._thing.auto_survey = bool(on)

    def SetContrastLimits(self, low: float, high: float) -> None:
        self._thing.contrast = (float(low), float(high))

    def SetColorTableByName(self, name: str) -> None:
        self._thing.colour_table = ascii_only(name, "SetColorTableByName")

    def GetInputColorTable(self) -> Any:
        return wrap(self._thing.colour_table)

    def SetInputColorTable(self, table: Any) -> None:
        self._thing.colour_table = unwrap(table, "Py_Image", "SetInputColorTable")

    def GetLinePlotImageDisplay(self) -> Any:
        return wrap(line_plot(self._thing))

    def AddNewComponent(self, kind: int, top: float, left: float, bottom: float, right: float) -> Any:
        component = Component(kind, (float(top), float(left), float(bottom), float(right)))
        self._thing.components.append(component)
        return wrap(component)

    def CountChildren(self) -> int:
        return len(self._thing.components)

    def GetChild(self, index: int) -> Any:
        return wrap(_item(self._thing.components, index, "GetChild"))


class Py_LinePlotImageDisplay(Handle, wraps=LinePlot):
    """What Python holds of a line plot."""

    __slots__ = ()
    _thing: LinePlot

    def SetSliceDrawingStyle(self, index: int, style: int) -> None:
        shape = self._thing.image.shape
        if not 0 <= index < (1 if len(shape) == 1 else shape[0]):
            raise IndexError(f"SetSliceDrawingStyle: there is no slice {index} in an image of shape {shape}.")
        self._thing.styles[index] = style

    def SetLegendShown(self, on: bool) -> None:
        self._thing.legend = bool(on)

    def SetGridColor(self, red: float, green: float, blue: float) -> None:
        self._thing.grid = (red, green, blue)

    def SetDoAutoSurvey(self, low: bool, high: bool) -> None:
        self._thing.auto_survey = (bool(low), bool(high))

    def SetContrastLimits(self, low: float, high: float) -> None:
        self._thing.contrast = (float(low), float(high))


class Py_ROI(Handle, wraps=Roi):
    """What Python holds of a region of interest."""

    __slots__ = ()
    _thing: Roi

    def GetID(self) -> int:
        return self._thing.id

    def IsRectangle(self) -> bool:
        return self._thing.rectangle is not None

    def GetRectangle(self) -> Rectangle:
        if self._thing.rectangle is None:
            raise RuntimeError("GetRectangle: this ROI is not a rectangle.")
        return self._thing.rectangle

    def SetRectangle(self, top: float, left: float, bottom: float, right: float) -> None:
        self._thing.rectangle = (float(top), float(left), float(bottom), float(right))
        self._thing.line = None

    def GetLine(self) -> Rectangle:
        if self._thing.line is None:
            raise RuntimeError("GetLine: this ROI is not a line.")
        return self._thing.line

    def SetVolatile(self, on: bool) -> None:
        self._thing.volatile = bool(on)

    def SetResizable(self, on: bool) -> None:
        self._thing.resizable = bool(on)


class Py_Component(Handle, wraps=Component):
    """What Python holds of an annotation."""

    __slots__ = ()
    _thing: Component

    def TextAnnotationSetText(self, text: str) -> None:
        self._text().text = ascii_only(text, "TextAnnotationSetText")

    def TextAnnotationGetText(self) -> str:
        return self._text().text

    def SetForegroundColor(self, red: float, green: float, blue: float) -> None:
        self._thing.colour = (red, green, blue)

    def GetRect(self) -> Rectangle:
        return self._thing.rectangle

    def GetType(self) -> int:
        return self._thing.kind

    def _text(self) -> Component:
        if self._thing.kind != 13:
            raise RuntimeError(f"This component is no text (type 13) but of type {self._thing.kind}.")
        return self._thing


def line_plot(display: Display) -> LinePlot:
    """Return the line plot of a display that is one."""
    if display.kind != LINE_PLOT:
        raise RuntimeError(f"GetLinePlotImageDisplay: the display is a {_KINDS[display.kind]}.")
    return display.line_plot


def _item(items: list[Any], index: int, call: str) -> Any:
    if not 0 <= index < len(items):
        raise IndexError(f"{call}({index}): there are {len(items)}, counted from 0.")
    return items[index]
