"""Column: the microscope's lenses, stage and beam, which scripts set and read; no image depends on them."""

from __future__ import annotations

from dataclasses import dataclass, field

MODES = ("SAMAG", "MAG1", "LOWMAG", "DIFF", "LM Diff", "LAD")


@dataclass
class Column:
    """Positions of the stage in um, angles in degrees; lenses and deflectors in units of DM's own."""

    high_tension: float = 200_000.0
    mode: str = "MAG1"
    mag_index: int = 0
    spot_size: int = 1
    screen: int = 0
    condenser_aperture: int = 1
    focus: float = 0.0
    calibrated_focus: float = 0.0
    brightness: float = 0.5
    blanked: bool = False
    stage: dict[str, float] = field(default_factory=lambda: {"x": 0.0, "y": 0.0, "alpha": 0.0, "beta": 0.0})
    beam_tilt: tuple[float, float] = (0.0, 0.0)
    calibrated_beam_tilt: tuple[float, float] = (0.0, 0.0)
    projector_shift: tuple[float, float] = (0.0, 0.0)
    digiscan: tuple[float, float] = (0.0, 0.0)
