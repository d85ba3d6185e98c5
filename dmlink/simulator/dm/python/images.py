# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Images as Python sees them: their pixels, calibration and tags."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.simulator.dm.data_types import DATA_TYPES
from dmlink.simulator.dm.files import pixel_origin, save_image
from dmlink.simulator.dm.images import Image
from dmlink.simulator.dm.python.handles import Handle, wrap
from dmlink.simulator.dm.text import ascii_only

if TYPE_CHECKING:
    from dmlink.simulator.dm.python.tags import Py_TagGroup
    from dmlink.simulator.dm.workspace import Workspace


def create_image(workspace: Workspace, array: Any) -> Py_Image | None:
    """Make an image with a copy of `array`, which must meet DM's conditions."""
    fault = _fault(array, workspace)
    if fault:
        if workspace.switches.create_image == "none":
            return None
        raise ValueError(f"CreateImage: {fault}")
    image: Py_Image = wrap(workspace, workspace.new_image(array.copy(), "Untitled"))
    return image


class Py_Image(Handle, wraps=(Image,)):
    """Python's handle for an image."""

    __slots__ = ()
    simulated: Image

    def __init__(self, workspace: Workspace, simulated: Image) -> None:
        super().__init__(workspace, simulated)
        with workspace.lock:
            simulated.handles.add(self)

    @property
    def _image(self) -> Image:
        if self.simulated.deleted and not self._workspace.switches.deleted_usable:
            raise RuntimeError(f"The image {self.simulated.name!r} was deleted.")
        return self.simulated

    def GetNumArray(self) -> np.ndarray:
        memory = self._image.memory
        if not self._image.rgb or self._workspace.switches.colour_pixels == "planes":
            return memory[...]
        if self._workspace.switches.colour_pixels == "packed":
            return memory.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        raise RuntimeError("GetNumArray: an RGB image cannot become an array.")

    def UpdateImage(self) -> None:
        self._workspace.update(self._image)

    def ShowImage(self) -> None:
        self._workspace.show(self._workspace.document_for(self._image))

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
        return wrap(self._workspace, self._workspace.display_of(self._image))

    def GetOrCreateImageDocument(self) -> Any:
        return wrap(self._workspace, self._workspace.document_for(self._image))

    def FindNextImage(self) -> Py_Image | None:
        workspace = self._workspace
        document = workspace.document_of(self._image)
        with workspace.lock:
            if document not in workspace.documents:
                return None
            for following in workspace.documents[workspace.documents.index(document) + 1 :]:
                if following.display:
                    image: Py_Image = wrap(workspace, following.display.image)
                    return image
        return None

    def CountImageDisplays(self) -> int:
        return int(self._workspace.document_of(self._image) is not None)

    def Clone(self) -> Py_Image:
        source = self._image
        image = self._workspace.new_image(source.memory.copy(), source.name, rgb=source.rgb)
        image.axes, image.intensity = list(source.axes), source.intensity
        image.tags = copy.deepcopy(source.tags)
        clone: Py_Image = wrap(self._workspace, image)
        return clone

    def GetTagGroup(self) -> Py_TagGroup:
        group: Py_TagGroup = wrap(self._workspace, self._image.tags)
        return group

    def SaveAsGatan(self, path: str) -> None:
        save_image(self._image, path, "SaveAsGatan")

    def SaveAsGatan3(self, path: str) -> None:
        save_image(self._image, path, "SaveAsGatan3")  # the simulator writes DM4 for DM3

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
        if unit.isascii() or not self._workspace.switches.unit_bytes:
            return unit
        return unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}").encode("latin-1", "replace")


def _fault(array: Any, workspace: Workspace) -> str | None:
    if not isinstance(array, np.ndarray):
        return f"it needs an array, not {type(array).__name__}."
    if array.dtype.name not in DATA_TYPES or not array.dtype.isnative:
        return f"DM has no image of the type {array.dtype.str}; it has {', '.join(DATA_TYPES)}."
    if not array.flags.owndata and not (workspace.switches.image_arrays and _is_image(array, workspace)):
        return "the array is a view of another array's memory; pass a copy of it."
    if not array.flags.c_contiguous:
        return "the array is not in C order."
    if not 1 <= array.ndim <= 4 or array.size == 0:
        return f"an image has 1 to 4 dimensions, each of 1 pixel or more, not the shape {array.shape}."
    refused = {array.dtype.name, *_forms(array)} & set(workspace.switches.refused)
    if refused:
        return f"this version of GMS takes no {', '.join(sorted(refused))} arrays."
    return None


def _forms(array: np.ndarray) -> set[str]:
    forms = {"1-D"} if array.ndim == 1 else {"3-D"} if array.ndim == 3 else set()
    return forms | ({"row"} if array.ndim == 2 and array.shape[0] == 1 else set())


def _is_image(array: np.ndarray, workspace: Workspace) -> bool:
    """Return whether this is the whole memory of an image, as from `GetNumArray`."""
    memories = [image.memory for image in workspace.living_images()]
    return any(array.base is memory and array.shape == memory.shape for memory in memories)


def _is_pixel(form: int) -> bool:
    """Whether a calibration has the format 1, (index - origin) * scale; 0 is origin + scale * index."""
    if form not in {0, 1}:
        raise ValueError(f"Calibration format {form}: it must be 0 or 1.")
    return form == 1
