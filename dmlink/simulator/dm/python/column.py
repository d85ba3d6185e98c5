# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""The microscope's column as scripts read and set it; all handles refer to the same column."""

from __future__ import annotations

from typing import ClassVar

from dmlink.simulator.dm.column import MODES, Column


class Py_Microscope:
    """Lenses, stage and beam."""

    __slots__ = ()
    _column: ClassVar[Column]

    def GetHighTension(self) -> float:
        return self._column.high_tension

    def CanGetImagingOpticsMode(self) -> bool:
        return bool(self._column.mode)

    def GetImagingOpticsMode(self) -> str:
        return self._column.mode

    def SetImagingOpticsMode(self, mode: str) -> None:
        if mode not in MODES:
            raise RuntimeError(
                f"SetImagingOpticsMode({mode!r}): the simulated microscope has {', '.join(MODES)}."
            )
        self._column.mode = mode

    def SetMagIndex(self, index: int) -> None:
        self._column.mag_index = int(index)

    def SetSpotSize(self, size: int) -> None:
        self._column.spot_size = int(size)

    def SetScreenPosition(self, position: int) -> None:
        self._column.screen = int(position)

    def GetCondenserAperture(self) -> int:
        return self._column.condenser_aperture

    def GetFocus(self) -> float:
        return self._column.focus

    def SetFocus(self, focus: float) -> None:
        self._column.focus = float(focus)

    def GetCalibratedFocus(self) -> float:
        return self._column.calibrated_focus

    def SetCalibratedFocus(self, focus: float) -> None:
        self._column.calibrated_focus = float(focus)

    def GetBrightness(self) -> float:
        return self._column.brightness

    def SetBrightness(self, brightness: float) -> None:
        self._column.brightness = float(brightness)

    def HasBeamBlanker(self) -> bool:
        return True

    def GetBeamBlanked(self) -> bool:
        return self._column.blanked

    def SetBeamBlanked(self, on: bool) -> None:
        self._column.blanked = bool(on)

    def GetStageX(self) -> float:
        return self._column.stage["x"]

    def SetStageX(self, x: float) -> None:
        self._column.stage["x"] = float(x)

    def GetStageY(self) -> float:
        return self._column.stage["y"]

    def SetStageY(self, y: float) -> None:
        self._column.stage["y"] = float(y)

    def GetStageAlpha(self) -> float:
        return self._column.stage["alpha"]

    def SetStageAlpha(self, alpha: float) -> None:
        self._column.stage["alpha"] = float(alpha)

    def GetStageBeta(self) -> float:
        return self._column.stage["beta"]

    def SetStageBeta(self, beta: float) -> None:
        self._column.stage["beta"] = float(beta)

    def GetBeamTilt(self) -> tuple[float, float]:
        return self._column.beam_tilt

    def SetBeamTilt(self, x: float, y: float) -> None:
        self._column.beam_tilt = (float(x), float(y))

    def GetCalibratedBeamTilt(self) -> tuple[float, float]:
        return self._column.calibrated_beam_tilt

    def SetCalibratedBeamTilt(self, x: float, y: float) -> None:
        self._column.calibrated_beam_tilt = (float(x), float(y))

    def SetProjectorShift(self, x: float, y: float) -> None:
        self._column.projector_shift = (float(x), float(y))
