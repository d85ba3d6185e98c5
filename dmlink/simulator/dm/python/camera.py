# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""The camera as scripts drive it themselves, beside the live view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.simulator.dm.python.handles import unwrap, wrap
from dmlink.simulator.dm.python.images import Py_Image
from dmlink.simulator.dm.tags import set_tag

if TYPE_CHECKING:
    from dmlink.simulator.dm.workspace import Workspace
    from dmlink.simulator.frames import Frames

_TAGS = "Acquisition:Parameters:High Level"


class Py_Camera:
    """The active camera; it plays the same recording as the view, from the first frame on.

    The arguments `processing` and area (top, left, bottom, right) are DM's; the area is in unbinned
    pixels.
    """

    __slots__ = ("_area", "_binning", "_frames", "_inserted", "_period", "_started", "_taken", "_workspace")

    def __init__(self, workspace: Workspace, frames: Frames) -> None:
        self._workspace = workspace
        self._frames = frames
        self._inserted = True
        self._binning = 1
        self._area: tuple[int, ...] = ()
        self._period = 0.0
        self._started: float | None = None
        self._taken = 0

    def PrepareForAcquire(self) -> None:
        self._inserted = True

    def SetInserted(self, on: bool) -> None:
        self._inserted = bool(on)

    def IsRetractable(self) -> bool:
        return True

    def GetInserted(self) -> bool:
        return self._inserted

    def GetDefaultParameters(self) -> tuple[float, int, int, int, int, int, int, int]:
        """Return the arguments of `AcquireImage`, as the name suggests; no documentation says so."""
        h, w = self._frames.read(0).shape
        return 0.1, 1, 1, 3, 0, 0, h, w

    def CreateImageForAcquire(self, bin_x: int, bin_y: int, _processing: int = 3, *area: int) -> Py_Image:
        pixels = _part(self._frames.read(0, _one_binning(bin_x, bin_y)), bin_x, area)
        image = self._workspace.new_image(np.zeros(pixels.shape, pixels.dtype), "Acquired")
        image.axes = self._frames.axes(bin_x)
        set_tag(image.tags, f"{_TAGS}:Binning", (bin_x, bin_y))
        set_tag(image.tags, f"{_TAGS}:CCD Read Area", area or (0, 0, *self._frames.read(0).shape))
        handle: Py_Image = wrap(self._workspace, image)
        return handle

    def AcquireImage(
        self, exposure: float, bin_x: int, bin_y: int, processing: int = 3, *area: int
    ) -> Py_Image:
        image = self.CreateImageForAcquire(bin_x, bin_y, processing, *area)
        self.AcquireInPlace(image, exposure, bin_x, bin_y, processing, *area)
        return image

    def AcquireInPlace(
        self, image: Any, exposure: float, bin_x: int, bin_y: int, _processing: int, *area: int
    ) -> None:
        time.sleep(exposure)
        pixels = _part(self._frames.read(self._taken, _one_binning(bin_x, bin_y)), bin_x, area)
        self._fill(image, pixels, "AcquireInPlace")
        set_tag(unwrap(image, Py_Image, "AcquireInPlace").tags, f"{_TAGS}:Exposure (s)", float(exposure))
        self._taken += 1

    def StartContinuousAcquisition(
        self, exposure: float, bin_x: int, bin_y: int, _processing: int, *area: int
    ) -> None:
        if self._started is not None:
            raise RuntimeError("StartContinuousAcquisition: it is already running; stop it first.")
        self._binning, self._area = _one_binning(bin_x, bin_y), area
        self._period = max(float(exposure), 1e-3)
        self._started, self._taken = time.perf_counter(), 0

    def GetFrameInContinuousMode(self, image: Any, max_wait: float) -> bool:
        if self._started is None:
            raise RuntimeError("GetFrameInContinuousMode: call StartContinuousAcquisition first.")
        if self._workspace.switches.continuous == "exposure" and max_wait < self._period:
            time.sleep(max_wait)
            return False
        now = time.perf_counter()
        complete = int((now - self._started) / self._period)
        if complete <= self._taken:
            complete = self._taken + 1
            wait = self._started + complete * self._period - now
            time.sleep(max(0.0, min(wait, max_wait)))
            if wait > max_wait:
                return False
        pixels = _part(self._frames.read(complete - 1, self._binning), self._binning, self._area)
        self._fill(image, pixels, "GetFrameInContinuousMode")
        self._taken = complete
        return True

    def StopContinuousAcquisition(self) -> None:
        self._started = None

    def _fill(self, handle: Any, pixels: Any, call: str) -> None:
        image = unwrap(handle, Py_Image, call)
        if image.memory.shape != pixels.shape:
            raise ValueError(f"{call}: the image is {image.memory.shape}, the camera's frame {pixels.shape}.")
        image.memory[...] = pixels
        self._workspace.update(image)


def _one_binning(bin_x: int, bin_y: int) -> int:
    if bin_x != bin_y or bin_x < 1:
        raise ValueError(f"Binning {bin_x} x {bin_y}: the simulated camera bins equally in x and y.")
    return bin_x


def _part(pixels: Any, binning: int, area: tuple[int, ...]) -> Any:
    if not area:
        return pixels
    top, left, bottom, right = (edge // binning for edge in area)
    return pixels[top:bottom, left:right]
