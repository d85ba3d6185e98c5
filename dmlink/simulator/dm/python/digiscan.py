# ruff: noqa: D102, N802, N803 - names and meaning are DigitalMicrograph's
"""DigiScan: the functions of the module by which scripts scan the beam; it sees the recording, too."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dmlink.simulator.dm.column import Column
    from dmlink.simulator.dm.workspace import Workspace
    from dmlink.simulator.frames import Frames


class DigiScan:
    """Every public method is a function of the module."""

    def __init__(self, workspace: Workspace, column: Column, frames: Frames) -> None:
        self._workspace = workspace
        self._column = column
        self._frames = frames
        self._numbers = itertools.count(1)
        self._scans: dict[int, tuple[int, int]] = {}  # height and width, by the number of the parameters
        self._images: dict[int, int] = {}  # IDs, by the same number
        self._taken = 0

    def DS_CreateParameters(
        self, width: int, height: int, rotation: float, pixelTime: float, lineSync: bool
    ) -> int:
        del rotation, pixelTime, lineSync  # a scan takes no time here
        number = next(self._numbers)
        self._scans[number] = int(height), int(width)
        return number

    def DS_SetParametersSignal(
        self, paramID: int, signalIndex: int, dataType: int, selected: bool, imageID: int
    ) -> None:
        del signalIndex, dataType
        self._scan(paramID, "DS_SetParametersSignal")
        if selected:
            self._images[paramID] = int(imageID)

    def DS_DialogEnabled(self, on: bool) -> None:
        del on

    def DS_StartAcquisition(self, paramID: int, continuous: bool, synchronous: bool) -> None:
        del continuous, synchronous
        shape = self._scan(paramID, "DS_StartAcquisition")
        found = [i for i in self._workspace.living_images() if i.id == self._images.get(paramID)]
        if not found:
            image = self._workspace.new_image(np.zeros(shape, np.float32), "DigiScan")
            self._workspace.show(self._workspace.document_for(image))
            found = [image]
        pixels = self._frames.read(self._taken)
        rows, columns = (np.arange(n) * size // n for n, size in zip(shape, pixels.shape))
        found[0].memory[...] = pixels[np.ix_(rows, columns)]
        self._taken += 1
        self._workspace.update(found[0])

    def DS_DeleteParameters(self, paramID: int) -> None:
        self._scan(paramID, "DS_DeleteParameters")
        del self._scans[paramID]

    def DS_GetScanControl(self) -> None:
        """Take control of the beam; here scripts always have it."""

    def DS_MoveBeamTo(self, x: float, y: float) -> None:
        self._column.digiscan = (float(x), float(y))

    def DS_GetBeamDSPosition(self) -> tuple[float, float]:
        return self._column.digiscan

    def _scan(self, number: Any, call: str) -> tuple[int, int]:
        if number not in self._scans:
            raise RuntimeError(f"{call}({number!r}): there are no such parameters.")
        return self._scans[number]
