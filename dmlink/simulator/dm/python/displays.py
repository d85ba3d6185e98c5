# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Displays as Python sees them, with their ROIs, annotations and line plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.simulator.dm.displays import IMAGE_DISPLAY, LINE_PLOT, TEXT, Component, Display, LinePlot, Roi
from dmlink.simulator.dm.python.handles import Handle, unwrap, wrap
from dmlink.simulator.dm.python.images import Py_Image
from dmlink.simulator.dm.text import ascii_only

if TYPE_CHECKING:
    from dmlink.simulator.dm.displays import Rectangle


class _Parent(Handle):
    """Base of handles for objects that contain components."""

    __slots__ = ()
    simulated: Component | Display

    def CountChildren(self) -> int:
        return len(self.simulated.components)

    def GetChild(self, index: int) -> Any:
        return wrap(self._workspace, _item(self.simulated.components, index, "GetChild"))

    def CountChildrenOfType(self, kind: int) -> int:
        return len(self._of_type(kind))

    def GetNthChildOfType(self, kind: int, index: int) -> Any:
        return wrap(self._workspace, _item(self._of_type(kind), index, "GetNthChildOfType"))

    def _of_type(self, kind: int) -> list[Any]:
        return [child for child in self.simulated.components if _type(child) == kind]


class Py_ImageDisplay(_Parent, wraps=(Display,)):
    """Python's handle for a display."""

    __slots__ = ()
    simulated: Display

    def GetType(self) -> int:
        return _type(self.simulated)

    def GetRect(self) -> Rectangle:
        h, w = (1, *self.simulated.image.shape)[-2:]
        return 0.0, 0.0, float(h), float(w)

    def ChangeDisplayType(self, kind: int) -> None:
        self.simulated.change_kind(kind)

    def CountROIs(self) -> int:
        return len(self.simulated.rois)

    def GetROI(self, index: int) -> Any:
        return wrap(self._workspace, _item(self.simulated.rois, index, "GetROI"))

    def AddROI(self, roi: Any) -> None:
        roi = unwrap(roi, Py_ROI, "AddROI")
        if roi not in self.simulated.rois:
            self.simulated.rois.append(roi)
            self._workspace.changed()

    def IsROISelected(self, roi: Any) -> bool:
        return bool(unwrap(roi, Py_ROI, "IsROISelected").selected)

    def SetDoAutoSurvey(self, low: bool, high: bool | None = None) -> None:
        self.simulated.auto_survey = bool(low) and high is not False

    def SetContrastLimits(self, low: float, high: float) -> None:
        self.simulated.contrast = (float(low), float(high))

    def SetColorTableByName(self, name: str) -> None:
        self.simulated.colour_table = ascii_only(name, "SetColorTableByName")

    def GetInputColorTable(self) -> Any:
        return wrap(self._workspace, self.simulated.colour_table)

    def SetInputColorTable(self, table: Any) -> None:
        self.simulated.colour_table = unwrap(table, Py_Image, "SetInputColorTable")

    def GetLinePlotImageDisplay(self) -> Any:
        return wrap(self._workspace, line_plot(self.simulated))

    def AddNewComponent(self, kind: int, top: float, left: float, bottom: float, right: float) -> Any:
        component = Component(kind, (float(top), float(left), float(bottom), float(right)))
        self.simulated.components.append(component)
        return wrap(self._workspace, component)


def delete_roi(display: Py_ImageDisplay, roi: Any) -> None:
    """Remove an ROI; no published script uses this call, so it exists only with a switch."""
    display._workspace.remove_roi(display.simulated, unwrap(roi, Py_ROI, "DeleteROI"))  # noqa: SLF001


class Py_LinePlotImageDisplay(Handle, wraps=(LinePlot,)):
    """Python's handle for a line plot."""

    __slots__ = ()
    simulated: LinePlot

    def SetSliceDrawingStyle(self, index: int, style: int) -> None:
        shape = self.simulated.image.shape
        if not 0 <= index < (1 if len(shape) == 1 else shape[0]):
            raise IndexError(f"SetSliceDrawingStyle: there is no slice {index} in an image of shape {shape}.")
        self.simulated.styles[index] = style

    def SetLegendShown(self, on: bool) -> None:
        self.simulated.legend = bool(on)

    def SetGridColor(self, red: float, green: float, blue: float) -> None:
        self.simulated.grid = (red, green, blue)

    def SetDoAutoSurvey(self, low: bool, high: bool) -> None:
        self.simulated.auto_survey = (bool(low), bool(high))

    def SetContrastLimits(self, low: float, high: float) -> None:
        self.simulated.contrast = (float(low), float(high))


class Py_ROI(Handle, wraps=(Roi,)):
    """Python's handle for a region of interest."""

    __slots__ = ()
    simulated: Roi

    def GetID(self) -> int:
        return self.simulated.id

    def IsRectangle(self) -> bool:
        return self.simulated.rectangle is not None

    def GetRectangle(self) -> Rectangle:
        if self.simulated.rectangle is None:
            raise RuntimeError("GetRectangle: this ROI is not a rectangle.")
        return self.simulated.rectangle

    def SetRectangle(self, top: float, left: float, bottom: float, right: float) -> None:
        self.simulated.rectangle = (float(top), float(left), float(bottom), float(right))
        self.simulated.line = None

    def GetLine(self) -> Rectangle:
        if self.simulated.line is None:
            raise RuntimeError("GetLine: this ROI is not a line.")
        return self.simulated.line

    def SetVolatile(self, on: bool) -> None:
        self.simulated.volatile = bool(on)

    def SetResizable(self, on: bool) -> None:
        self.simulated.resizable = bool(on)


class Py_Component(_Parent, wraps=(Component,)):
    """Python's handle for an annotation."""

    __slots__ = ()
    simulated: Component

    def TextAnnotationSetText(self, text: str) -> None:
        self._text().text = ascii_only(text, "TextAnnotationSetText")

    def TextAnnotationGetText(self) -> str:
        return self._text().text

    def SetForegroundColor(self, red: float, green: float, blue: float) -> None:
        self.simulated.colour = (red, green, blue)

    def GetForegroundColor(self) -> tuple[float, float, float]:
        return self.simulated.colour or (0.0, 0.0, 0.0)

    def GetRect(self) -> Rectangle:
        return self.simulated.rectangle

    def GetBoundingRect(self) -> Rectangle:
        return self.simulated.rectangle

    def GetType(self) -> int:
        return self.simulated.kind

    def _text(self) -> Component:
        if self.simulated.kind != TEXT:
            raise RuntimeError(f"This component is of type {self.simulated.kind}, not a text ({TEXT}).")
        return self.simulated


def _type(component: Component | Display) -> int:
    return IMAGE_DISPLAY if isinstance(component, Display) else component.kind


def line_plot(display: Display) -> LinePlot:
    """Return the line plot of a display that is one."""
    if display.kind != LINE_PLOT:
        raise RuntimeError(f"GetLinePlotImageDisplay: the display is a {display.kind_name}.")
    return display.line_plot


def _item(items: list[Any], index: int, call: str) -> Any:
    if not 0 <= index < len(items):
        raise IndexError(f"{call}({index}): there are {len(items)}, counted from 0.")
    return items[index]
