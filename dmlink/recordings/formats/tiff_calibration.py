"""TIFF calibration: as written by ImageJ, OME, DigitalMicrograph, FEI, Zeiss, JEOL, Olympus and TVIPS."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from dmlink.frame import Axis
from dmlink.recordings.axes_json import axes_from_json
from dmlink.recordings.steps import SECONDS, Uneven, axis_of
from dmlink.recordings.units import in_nanometres, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Metres in TIFF's ResolutionUnit (TIFF 6.0, section 8): 2 is the inch, 3 the centimetre.
RESOLUTION_METRES = {2: 0.0254, 3: 0.01}

#: A pixel larger than this (m) is a print resolution (2400 dpi and coarser), not a calibration.
LARGEST_PIXEL = 1e-5

#: DigitalMicrograph's tags: unit, origin and scale of x; those of y come next.
DM_UNIT, DM_ORIGIN, DM_SCALE = 65003, 65006, 65009

#: Zeiss's unnamed table has the pixel size (m) at this index, for an image 1024 pixels wide.
ZEISS_SIZE, ZEISS_WIDTH = 3, 1024

#: The key of dmlink's own metadata.
OURS = "dmlink"

Axes = dict[str, "Axis | Uneven"]


def calibration(tiff: Any, series: Any, index: int) -> Axes:
    """Return the calibrated axes by tifffile's letters (T, Z, Y, X)."""
    for look in (_ours, _ome, _dm, _fei, _zeiss, _sis, _tvips, _jeol, _imagej, _resolution):
        found = look(tiff, series, index)
        if found:
            return found
    return {}


def about(tiff: Any, index: int) -> dict[str, Any]:
    """Return a series' description by ImageJ or tifffile, without dmlink's own part."""
    description = dict(_description(tiff, index))
    description.pop(OURS, None)
    if _from_info(description):
        description.pop("Info")
    return description


def _description(tiff: Any, index: int) -> dict[str, Any]:
    if tiff.imagej_metadata:
        return dict(tiff.imagej_metadata)
    shaped = tiff.shaped_metadata or ()
    return dict(shaped[index]) if index < len(shaped) else {}


def _from_info(description: dict[str, Any]) -> dict[str, Any]:
    """Return dmlink's metadata in ImageJ's text about an image."""
    text = description.get("Info")
    if not isinstance(text, str) or OURS not in text:
        return {}
    try:
        ours = json.loads(text).get(OURS)
    except (ValueError, AttributeError):
        return {}
    return ours if isinstance(ours, dict) else {}


def own_names(tiff: Any, series: Any, index: int) -> list[str]:
    """Return the dimensions' names as written by `dmlink convert`; empty for other files."""
    names = _own(tiff, series, index)[1]
    return names[-len(series.axes.replace("S", "")) :]


def own_time(tiff: Any, series: Any, index: int) -> list[float] | None:
    """Return the time of a single frame, for which TIFF stores no time axis; None if unknown."""
    axes, _ = _own(tiff, series, index)
    if len(axes) != len(series.axes.replace("S", "")) + 1 or axes[0].unit not in SECONDS:
        return None
    first = axes[0].origin if isinstance(axes[0], Axis) else float(axes[0].values[0])
    return [first * SECONDS[axes[0].unit]]


def _ours(tiff: Any, series: Any, index: int) -> Axes:
    """Return the axes as `dmlink convert` writes them."""
    axes, _ = _own(tiff, series, index)
    letters = series.axes.replace("S", "")
    # For a single frame, TIFF stores only rows and columns.
    return dict(zip(letters, axes[-len(letters) :], strict=True)) if axes else {}


def _own(tiff: Any, series: Any, index: int) -> tuple[list[Axis | Uneven], list[str]]:
    description = _description(tiff, index)
    ours = description.get(OURS) or _from_info(description)
    if not isinstance(ours, dict) or "axes" not in ours:
        return [], []
    shape = tuple(n for letter, n in zip(series.axes, series.shape, strict=True) if letter != "S")
    try:
        return axes_from_json(ours["axes"], shape if len(shape) > 2 else (1, *shape))
    except ValueError:
        return [], []


def _ome(tiff: Any, series: Any, index: int) -> Axes:
    """Return the axes in OME-XML: pixel sizes, time increment, and the planes' own times."""
    if not tiff.ome_metadata:
        return {}
    images = [e for e in ET.fromstring(tiff.ome_metadata).iter() if _name(e) == "Image"]  # noqa: S314
    pixels = [next((e for e in image if _name(e) == "Pixels"), None) for image in images]
    if index >= len(pixels) or pixels[index] is None:
        return {}
    element: Any = pixels[index]
    axes: Axes = {}
    for letter in "XYZ":
        size = _number(element.get(f"PhysicalSize{letter}"))
        unit = spelled(element.get(f"PhysicalSize{letter}Unit", "\u00b5m"))
        if size and unit:
            axes[letter] = Axis(0.0, size, unit)
    if ("X" in axes) != ("Y" in axes):
        axes.setdefault("Y", Axis())
        axes.setdefault("X", Axis())
    n = dict(zip(series.axes, series.shape, strict=True)).get("T", 1)
    increment = _number(element.get("TimeIncrement"))
    times = dict(_plane_times(element))
    if n > 1 and len(times) == n:
        axes["T"] = axis_of([times[t] for t in sorted(times)], "s")
    elif increment:
        unit = spelled(element.get("TimeIncrementUnit", "s"))
        axes["T"] = Axis(0.0, increment * SECONDS.get(unit, 1.0), "s")
    return axes


def _plane_times(pixels: Any) -> Iterator[tuple[int, float]]:
    """Yield the number and the time, in seconds, of each plane of the first channel and section."""
    for plane in pixels:
        if _name(plane) != "Plane" or plane.get("TheC", "0") != "0" or plane.get("TheZ", "0") != "0":
            continue
        try:
            time = float(plane.get("DeltaT"))
        except (TypeError, ValueError):
            continue
        yield int(plane.get("TheT", 0)), time * SECONDS.get(spelled(plane.get("DeltaTUnit", "s")), 1.0)


def _dm(_tiff: Any, series: Any, _index: int) -> Axes:
    tags = series.keyframe.tags
    axes: Axes = {}
    for i, letter in enumerate("XY"):
        scale = _number(tags.valueof(DM_SCALE + i))
        unit = spelled(tags.valueof(DM_UNIT + i))
        if scale and unit:
            axes[letter] = Axis(float(tags.valueof(DM_ORIGIN + i, 0.0) or 0.0), scale, unit)
    return axes


def _fei(tiff: Any, _series: Any, _index: int) -> Axes:
    metadata = tiff.fei_metadata or {}
    for group in ("Scan", "EScan", "IScan", "CCD"):
        scan = metadata.get(group)
        if isinstance(scan, dict) and "PixelWidth" in scan:
            return _metres(scan.get("PixelWidth"), scan.get("PixelHeight"))
    return {}


def _zeiss(tiff: Any, series: Any, _index: int) -> Axes:
    metadata = tiff.sem_metadata or {}
    table = metadata.get("", ())
    if len(table) > ZEISS_SIZE and _number(table[ZEISS_SIZE]):
        size = table[ZEISS_SIZE] * ZEISS_WIDTH / series.keyframe.imagewidth
        return _metres(size, size)
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        value = metadata.get(key, ())
        if len(value) == 3 and _number(value[1]):
            axis = in_nanometres(float(value[1]), value[2])
            return {"Y": axis, "X": axis}
    return {}


def _sis(tiff: Any, _series: Any, _index: int) -> Axes:
    metadata = tiff.sis_metadata or {}
    return _metres(metadata.get("pixelsizex"), metadata.get("pixelsizey"))


def _tvips(tiff: Any, _series: Any, _index: int) -> Axes:
    metadata = tiff.tvips_metadata or {}
    x, y = (_number(metadata.get(f"PixelSize{letter}")) for letter in "XY")
    return {"Y": Axis(0.0, y, "nm"), "X": Axis(0.0, x, "nm")} if x and y else {}


def _jeol(_tiff: Any, series: Any, _index: int) -> Axes:
    """Return JEOL's calibration: the resolution is the camera's, and an XML report has the magnification."""
    tags = series.keyframe.tags
    if tags.valueof("Make") != "JEOL Ltd.":
        return {}
    pixels = _resolution_metres(series)
    report = re.sub(r"[\x00-\x08\x0b-\x1f]", "", str(tags.valueof("ImageDescription", "")))
    try:
        metadata = ET.fromstring(report.strip())  # noqa: S314
    except ET.ParseError:
        return {}

    def entry(name: str) -> str:
        return next((str(e.text or "") for e in metadata.iter() if _name(e) == name), "")

    value = _number(entry("SelectorValue"))
    if not pixels or not value or entry("EosMode") != "eosTEM":
        return {}
    if entry("ModeString") == "MAG":
        return {
            letter: Axis(0.0, size / value * 1e9, "nm") for letter, size in zip("YX", pixels, strict=True)
        }
    metres = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}.get(entry("SelectorUnitString"), 0.0)
    voltage = _number(entry("AccelerationVoltage"))
    if entry("ModeString") == "DIFF" and metres and voltage:
        per_metre = value * metres * _wavelength(voltage)
        return {
            letter: Axis(0.0, size / per_metre * 1e-9, "1/nm")
            for letter, size in zip("YX", pixels, strict=True)
        }
    return {}


def _wavelength(voltage: float) -> float:
    """Return the wavelength of electrons, in m (Reimer, Transmission Electron Microscopy, eq. 2.12)."""
    from scipy import constants  # noqa: PLC0415 - only for JEOL's diffraction patterns

    energy = constants.e * voltage
    rest = constants.m_e * constants.c**2
    return float(constants.h * constants.c / np.sqrt(energy * (energy + 2 * rest)))


def _imagej(tiff: Any, series: Any, index: int) -> Axes:
    """Return ImageJ's calibration: unit and resolution, origin in pixels, frame interval."""
    metadata = _description(tiff, index)
    unit = spelled(metadata.get("unit"))
    per_unit = _per_unit(series)
    axes: Axes = {}
    if unit and unit != "inch" and per_unit:  # ImageJ's word for a resolution meant for printing
        for letter, size in zip("YX", per_unit, strict=True):
            own = spelled(metadata.get(f"{letter.lower()}unit")) or unit
            origin = _finite(metadata.get(f"{letter.lower()}origin"))
            axes[letter] = Axis(-origin * size + 0.0, size, own)
        spacing = _number(metadata.get("spacing"))
        if spacing:
            axes["Z"] = Axis(0.0, spacing, spelled(metadata.get("zunit")) or unit)
    return axes | (_resolution(tiff, series, index) if not axes else {})


def interval(tiff: Any, index: int) -> float | None:
    """Return frames per second as ImageJ tells them, or None."""
    metadata = _description(tiff, index)
    seconds = _number(metadata.get("finterval")) * SECONDS.get(str(metadata.get("tunit", "sec")), 0)
    return 1 / seconds if seconds > 0 else _number(metadata.get("fps")) or None


def _resolution(_tiff: Any, series: Any, _index: int) -> Axes:
    """Return the calibration that the resolution is, if a microscope could have it."""
    sizes = _resolution_metres(series)
    if not sizes or max(sizes) > LARGEST_PIXEL:
        return {}
    return {letter: Axis(0.0, size * 1e9, "nm") for letter, size in zip("YX", sizes, strict=True)}


def _resolution_metres(series: Any) -> list[float]:
    """Return the size of a pixel along y and x, in m, that the resolution means; empty without a unit."""
    metres = RESOLUTION_METRES.get(series.keyframe.tags.valueof("ResolutionUnit", 2))
    return [size * metres for size in _per_unit(series)] if metres else []


def _per_unit(series: Any) -> list[float]:
    """Return the pixel size along y and x in the resolution's unit; empty if unknown."""
    tags = series.keyframe.tags
    values = [tags.valueof(tag) for tag in ("YResolution", "XResolution")]
    if not all(value and len(value) == 2 and all(value) for value in values):
        return []
    return [below / above for above, below in values]


def _metres(x: Any, y: Any) -> Axes:
    width = _number(x)
    height = _number(y) or width
    if not width:
        return {}
    return {"Y": in_nanometres(height, "m"), "X": in_nanometres(width, "m")}


def _number(value: Any) -> float:
    """Return a finite number above zero, or zero where there is none."""
    return max(0.0, _finite(value))


def _finite(value: Any) -> float:
    """Return a finite number, or zero where there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if np.isfinite(number) else 0.0


def _name(element: Any) -> str:
    """Return the name of an element of XML without its namespace."""
    return str(element.tag).rpartition("}")[2]
