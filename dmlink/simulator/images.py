# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Images: memory of DM with a calibration, and what Python holds of it."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.info import Axis
from dmlink.simulator.displays import LINE_PLOT, Display
from dmlink.simulator.documents import Document
from dmlink.simulator.gatan_files import write_dm4
from dmlink.simulator.handles import Handle, ascii_only, wrap
from dmlink.simulator.tags import Py_TagGroup

if TYPE_CHECKING:
    from dmlink.simulator.listeners import Registration
    from dmlink.simulator.workspace import Workspace

DATA_TYPES = {
    "int16": 1,
    "float32": 2,
    "complex64": 3,
    "uint8": 6,
    "int32": 7,
    "int8": 9,
    "uint16": 10,
    "uint32": 11,
    "float64": 12,
    "complex128": 13,
}
RGB = 23


class Image:
    """An image as DM has it: `memory` is reversed to DM's dimensions, (h, w, 3) for an RGB image.

    `axes` are in DM's order, x first, with value = origin + scale * index; `live` is the view of a camera.
    """

    def __init__(
        self, workspace: Workspace, memory: np.ndarray, name: str, *, rgb: bool = False, live: bool = False
    ) -> None:
        self.workspace = workspace
        self.id = workspace.new_id()
        self.label = workspace.new_label()
        self.memory = memory
        self.name = name
        self.rgb = rgb
        self.live = live
        self.axes = [Axis() for _ in self.shape]
        self.intensity = Axis()
        self.tags: dict[str, Any] = {}
        self.document: Document | None = None
        self.deleted = False
        self.listeners: list[Registration] = []
        self.references: weakref.WeakSet[Py_Image] = weakref.WeakSet()
        with workspace.lock:
            workspace.images[self.id] = self

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in NumPy's order, without colour."""
        return self.memory.shape[:2] if self.rgb else self.memory.shape

    @property
    def data_type(self) -> int:
        """DM's code of the data type."""
        return RGB if self.rgb else DATA_TYPES[self.memory.dtype.name]

    @property
    def display(self) -> Display:
        """The display in which the image is drawn."""
        if self.document is None or self.document.display is None:
            raise RuntimeError(f"The image {self.name!r} has no display: call ShowImage() first.")
        return self.document.display

    def ensure_document(self) -> Document:
        """Return the document of the image, new if need be."""
        if self.document is None:
            self.document = Document(self.workspace, None)
            self.document.add(self, LINE_PLOT if len(self.shape) == 1 else 1)
        return self.document

    def update(self) -> None:
        """Draw the memory as it is now, and tell the listeners."""
        if self.document and self.document.window:
            self.display.draw()
        if self.listeners:
            self.workspace.post_data_changed(self)
        self.workspace.changed()

    def save(self, path: str, call: str) -> None:
        """Write it as DM4; `.dm4` is added to the path if need be. Raises RuntimeError if that fails."""
        if self.rgb:
            raise RuntimeError(f"{call}({path!r}): the simulator saves no RGB images.")
        axes = [(pixel_origin(axis), axis.scale, axis.unit) for axis in reversed(self.axes)]
        try:
            write_dm4(Path(path).with_suffix(".dm4"), self.memory, axes=axes, tags=self.tags)
        except OSError as error:
            raise RuntimeError(f"{call}({path!r}): {error}") from None

    def delete(self) -> None:
        """Close its document and end it."""
        if self.document:
            self.document.close()
        self.deleted = True
        with self.workspace.lock:
            self.workspace.images.pop(self.id, None)


def create_image(workspace: Workspace, array: Any) -> Py_Image | None:
    """Make an image with a copy of `array`, which must be as DM wants it."""
    if fault := _fault(array):
        if workspace.switches.create_image == "none":
            return None
        raise ValueError(f"CreateImage: {fault}")
    return Py_Image(Image(workspace, array.copy(), "Untitled"))


def _fault(array: Any) -> str | None:
    if not isinstance(array, np.ndarray):
        return f"an array is wanted, not {type(array).__name__}."
    if array.dtype.name not in DATA_TYPES or not array.dtype.isnative:
        return f"DM has no image of the type {array.dtype.str} ({', '.join(DATA_TYPES)} it has)."
    if not array.flags.owndata:
        return "the array is a view of another array's memory; give a copy of it."
    if not array.flags.c_contiguous:
        return "the array is not in C order."
    if not 1 <= array.ndim <= 4 or array.size == 0:
        return f"an image has 1 to 4 dimensions, each of 1 pixel or more, not the shape {array.shape}."
    return None


class Py_Image(Handle, wraps=Image):
    """What Python holds of an image."""

    __slots__ = ()
    _thing: Image

    def __init__(self, thing: Image) -> None:
        super().__init__(thing)
        with thing.workspace.lock:
            thing.references.add(self)

    @property
    def _image(self) -> Image:
        if self._thing.deleted:
            raise RuntimeError(f"The image {self._thing.name!r} was deleted.")
        return self._thing

    def GetNumArray(self) -> np.ndarray:
        if self._image.rgb:
            raise RuntimeError("GetNumArray: an RGB image cannot become an array.")
        return self._image.memory[...]

    def UpdateImage(self) -> None:
        self._image.update()

    def ShowImage(self) -> None:
        self._image.ensure_document().show()

    def GetName(self) -> str:
        return self._image.name

    def SetName(self, name: str) -> None:
        self._image.name = ascii_only(name, "SetName")

    def GetID(self) -> int:
        return self._image.id

    def GetLabel(self) -> str:
        return self._image.label

    def GetNumDimensions(self) -> int:
        return len(self._image.shape)

    def GetDimensionSize(self, dim: int) -> int:
        return self._image.shape[::-1][self._dim(dim)]

    def GetImgWidth(self) -> int:
        return self._image.shape[-1]

    def GetImgHeight(self) -> int:
        return self._image.shape[-2] if len(self._image.shape) > 1 else 1

    def GetDataType(self) -> int:
        return self._image.data_type

    def GetImageDisplay(self, index: int) -> Any:
        if index != 0:
            raise IndexError(f"GetImageDisplay({index}): an image has one display, number 0.")
        return wrap(self._image.display)

    def GetOrCreateImageDocument(self) -> Any:
        return wrap(self._image.ensure_document())

    def FindNextImage(self) -> Py_Image | None:
        document = self._image.document
        workspace = self._image.workspace
        with workspace.lock:
            if document not in workspace.documents:
                return None
            for following in workspace.documents[workspace.documents.index(document) + 1 :]:
                if following.display:
                    return Py_Image(following.display.image)
        return None

    def GetTagGroup(self) -> Py_TagGroup:
        return Py_TagGroup(self._image.tags)

    def SaveAsGatan(self, path: str) -> None:
        self._image.save(path, "SaveAsGatan")

    def GetDimensionCalibration(self, dim: int, form: int) -> tuple[float, float, str | bytes]:
        axis = self._image.axes[self._dim(dim)]
        origin = pixel_origin(axis) if _is_pixel(form) else axis.origin
        return origin, axis.scale, self._unit(axis.unit)

    def SetDimensionCalibration(self, dim: int, origin: float, scale: float, unit: str, form: int) -> None:
        if _is_pixel(form):
            origin = -origin * scale
        unit = ascii_only(unit, "SetDimensionCalibration")
        self._image.axes[self._dim(dim)] = Axis(float(origin), float(scale), unit)

    def GetDimensionScale(self, dim: int) -> float:
        return self._image.axes[self._dim(dim)].scale

    def SetDimensionScale(self, dim: int, scale: float) -> None:
        self._set_axis(dim, scale=float(scale))

    def GetDimensionUnitString(self, dim: int) -> str | bytes:
        return self._unit(self._image.axes[self._dim(dim)].unit)

    def SetDimensionUnitString(self, dim: int, unit: str) -> None:
        self._set_axis(dim, unit=ascii_only(unit, "SetDimensionUnitString"))

    def GetDimensionUnitInfo(self, dim: int) -> tuple[str | bytes, int]:
        unit = self._image.axes[self._dim(dim)].unit
        if unit.startswith("1/"):
            return self._unit(unit[2:]), -1
        match = re.fullmatch(r"(.*?)\^?(-?\d+)", unit)
        return (self._unit(match[1]), int(match[2])) if match else (self._unit(unit), 1)

    def SetDimensionUnitInfo(self, dim: int, unit: str, power: int) -> None:
        unit = ascii_only(unit, "SetDimensionUnitInfo")
        self._set_axis(dim, unit={1: unit, -1: "1/" + unit}.get(power, f"{unit}^{power}"))

    def GetIntensityScale(self) -> float:
        return self._image.intensity.scale

    def SetIntensityScale(self, scale: float) -> None:
        self._image.intensity = self._image.intensity._replace(scale=float(scale))

    def GetIntensityOrigin(self) -> float:
        return self._image.intensity.origin

    def SetIntensityOrigin(self, origin: float) -> None:
        self._image.intensity = self._image.intensity._replace(origin=float(origin))

    def GetIntensityUnitString(self) -> str | bytes:
        return self._unit(self._image.intensity.unit)

    def SetIntensityUnitString(self, unit: str) -> None:
        unit = ascii_only(unit, "SetIntensityUnitString")
        self._image.intensity = self._image.intensity._replace(unit=unit)

    def _dim(self, dim: int) -> int:
        if not 0 <= dim < len(self._image.shape):
            raise IndexError(f"Dimension {dim}: this image has {len(self._image.shape)}, counted from 0.")
        return dim

    def _set_axis(self, dim: int, **values: Any) -> None:
        image = self._image
        image.axes[self._dim(dim)] = image.axes[dim]._replace(**values)

    def _unit(self, unit: str) -> str | bytes:
        if unit.isascii() or not self._thing.workspace.switches.unit_bytes:
            return unit
        return unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}").encode("latin-1", "replace")


def pixel_origin(axis: Axis) -> float:
    """Return the index at which the axis is zero, as DM4 files and calibration format 1 have it."""
    return -axis.origin / axis.scale if axis.origin and axis.scale else 0.0


def _is_pixel(form: int) -> bool:
    """Tell whether a calibration has the format 1, (index - origin) * scale; 0 is origin + scale * index."""
    if form not in {0, 1}:
        raise ValueError(f"Calibration format {form}: it is 0 or 1.")
    return form == 1
