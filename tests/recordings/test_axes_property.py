"""Every axis is kept or reported, for any calibration and any format before and after conversion."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlink import recordings
from dmlink.frame import Axis
from dmlink.recordings.units import spelled
from dmlink.recordings.writing.convert import left_behind, write

UNITS = ["", "nm", "1/nm", "mrad", "eV", "µm", "Å", "pm", "s", "1/Å", "mm"]
scales = st.one_of(
    st.sampled_from([1.0, -0.5, 0.05, 2.5, 1e-3]), st.floats(1e-6, 1e4), st.floats(-1e4, -1e-6)
)
origins = st.one_of(st.just(0.0), st.floats(-1e4, 1e4, allow_subnormal=False).filter(lambda v: abs(v) > 1e-6))
axes = st.builds(Axis, origins, scales, st.sampled_from(UNITS))


@st.composite
def dimensions(draw):
    """Return what the frames are counted along, as in axes_json: nothing, times, or a scan."""
    kind = draw(st.sampled_from(["nothing", "even", "late", "uneven", "other", "scan"]))
    n = draw(st.integers(1, 4))
    step = draw(st.floats(1e-3, 10))
    match kind:
        case "nothing":
            return [n], [{"name": "frame", "unit": ""}]
        case "even" | "late":
            return [n], [{"name": "t", "unit": "s", "origin": 5.0 * (kind == "late"), "scale": step}]
        case "uneven":
            steps = draw(st.lists(st.floats(1e-3, 10), min_size=n, max_size=n))
            return [n], [{"name": "t", "unit": "s", "values": np.cumsum(steps).tolist()}]
        case "other":
            axis = draw(axes)
            unit = axis.unit if axis.unit != "s" else "eV"
            return [n], [{"name": "E", "unit": unit, "origin": axis.origin, "scale": axis.scale}]
    scan = [
        {"name": name, "unit": axis.unit, "origin": axis.origin, "scale": axis.scale}
        for name in ("scan y", "scan x")
        for axis in [draw(axes)]
    ]
    return [2, 3], scan


def known(recording):
    """Return all axes of a recording, with six digits."""

    def rounded(axis):
        return round_to(axis.origin, axis.scale), float(f"{axis.scale:.6g}"), axis.unit

    counted = tuple(
        (rounded(d.axis) if d.values is None else ("values", d.axis.unit, len(d.values)), d.size)
        for d in recording.dimensions
    )
    return rounded(recording.y), rounded(recording.x), counted, recording.timed


def round_to(origin, scale):
    """Return an origin rounded to a millionth of a pixel, its useful precision."""
    return float(f"{origin:.6g}") if abs(origin) > abs(scale) * 1e-6 else 0.0


RECORDINGS = {
    "y": axes,
    "x": axes,
    "counted": dimensions(),
    "dtype": st.sampled_from(["u1", "i2", "u2", "f4", "f8"]),
    "through": st.sampled_from([".npy", ".hspy", ".tif"]),
    "target": st.sampled_from([".npy", ".hspy", ".h5", ".tif", ".mrc"]),
}


@pytest.mark.parametrize("examples", [60, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_every_axis_is_kept_or_reported(examples):
    settings(max_examples=examples)(given(**RECORDINGS)(kept_or_said))()


def kept_or_said(y, x, counted, dtype, through, target):
    sizes, told = counted
    told = told + [
        {"name": n, "origin": a.origin, "scale": a.scale, "unit": a.unit} for n, a in (("y", y), ("x", x))
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = np.arange(math.prod(sizes) * 4 * 5).reshape(*sizes, 4, 5).astype(dtype)
        np.save(folder / "a.npy", stack)
        (folder / "a.json").write_text(json.dumps({"axes": told}))
        before = folder / "a.npy"
        if through != ".npy":
            with recordings.open(before) as recording:
                scan = through == ".tif" and len(recording.dimensions) > 1
                before = before if scan else write(recording, folder / f"b{through}")
        with recordings.open(before) as recording:
            if target == ".mrc" and dtype == "f8":
                return
            out = write(recording, folder / f"c{target}")
            said = left_behind(recording, out)
            assert len(said) <= 1
            with recordings.open(out) as again:
                np.testing.assert_array_equal(np.asarray(again), np.asarray(recording))
                if said:
                    return
                assert known(again) == known(recording)
                np.testing.assert_allclose(again.times, recording.times, rtol=1e-6)
        if target == ".tif":
            independent(out, y, x)


def independent(path, y, x):
    """Compare with what ImageJ finds, or TIFF's own resolution, as nothing was reported as lost."""
    with tifffile.TiffFile(path) as tiff:
        if not (y.unit or x.unit):
            return
        tags, told = tiff.pages[0].tags, tiff.imagej_metadata
        sizes = [below / above for above, below in (tags["YResolution"].value, tags["XResolution"].value)]
        if told is None:
            metres = {"pm": 1e-12, "Å": 1e-10, "nm": 1e-9, "µm": 1e-6, "mm": 1e-3}
            wanted = [axis.scale * metres[axis.unit] * 100 for axis in (y, x)]
        else:
            wanted = [y.scale, x.scale]
            assert (spelled(told["unit"]), spelled(told.get("yunit", told["unit"]))) == tuple(
                a.unit for a in (x, y)
            )
            origins = [-told.get(f"{n}origin", 0.0) * s for n, s in zip("yx", sizes, strict=True)]
            np.testing.assert_allclose(origins, [y.origin, x.origin], rtol=1e-4, atol=1e-6 * max(sizes))
        np.testing.assert_allclose(sizes, wanted, rtol=1e-4)
