"""For any camera image, a gallery cell returns numbers, or None and says why.

Every cell in the gallery is tested, including future ones.
"""

import warnings

import numpy as np
import pytest

import dmlink
from dmlink import Axis, LiveCell, gallery
from dmlink.comparison.script_check import check
from dmlink.frame import Frame, Info

NM = Axis(0.0, 0.05, "nm")
INFO = {"x": NM, "y": NM, "tags": {"exposure": 0.1, "high_tension": 300e3}}


def poisson(shape=(96, 96), mean=100, seed=0):
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.uint16)


def discs(shape=(96, 96), seed=0):
    """Particles on noise, so that every cell has something to find; their positions depend on the seed."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    seen = np.full(shape, 100.0)
    for y, x in ((30, 28), (60, 70), (75, 25), (20, 75)):
        seen[np.hypot(row - y, column - x - seed) < 6] = 45
    return np.random.default_rng(seed).poisson(seen).astype(np.uint16)


def with_(value, where, dtype=np.float32):
    frame = discs().astype(dtype)
    frame[where] = value
    return frame


def saturated(part):
    frame = poisson()
    frame[: int(96 * part)] = 65535
    return frame


FRAMES = {
    "constant": np.full((96, 96), 7, np.uint16),
    "constant float": np.full((96, 96), 0.1, np.float32),
    "beam blanked": np.zeros((96, 96), np.uint16),
    "saturated": np.full((96, 96), 65535, np.uint16),
    "partly saturated": saturated(0.3),
    "dead pixels": with_(0, (slice(None, None, 9), slice(None, None, 7)), np.uint16),
    "dead rows": with_(0, slice(10, 14), np.uint16),
    "hot pixel": with_(65535, (40, 50), np.uint16),
    "beam blanked but a hot pixel": np.pad(np.full((1, 1), 9, np.uint16), ((0, 95), (0, 95))),
    "8x8": poisson((8, 8)),
    "odd": poisson((97, 101)),
    "odd and small": poisson((9, 13)),
    "not square": poisson((40, 200)),
    "narrow": poisson((1, 300)),
    "one pixel": poisson((1, 1)),
    "NaN here and there": with_(np.nan, (slice(3, None, 20), slice(5, None, 17))),
    "one NaN": with_(np.nan, (50, 50)),
    "all NaN": np.full((96, 96), np.nan, np.float32),
    "infinite": with_(np.inf, (50, 50)),
    "negative": poisson().astype(np.int16) - 110,
    "all negative": -poisson().astype(np.float64),
    "no particles": poisson(),
    "all particles": poisson(mean=2),
    "few electrons": poisson(mean=0.02),
    "bytes": poisson(mean=100).astype(np.uint8),
    "signed 32 bit": poisson().astype(np.int32) * 1000,
}


# Values for automatic parameters: every cell is tested both ways.
SET = {
    "diffraction_profile": {"hide": 6},
    "focus_astigmatism": {"coarse": 0.8, "fine": 4.5},
    "particle_tracking": {"diameter": 11, "contrast": 8.0},
    "phase_change": {"spacing": 0.235},
    "template_match": {"x": 50.0, "y": 50.0, "likeness": 0.6},
    "virtual_detector": {"bright": 12.0, "inner": 24.0, "outer": 80.0},
}
CELLS = [pytest.param(name, {}, id=name) for name in gallery.names()]
CELLS += [pytest.param(name, values, id=f"{name} set") for name, values in SET.items()]

# The script has the microscope's clock, the cell the times of the recording.
PER_SECOND = ("particle_tracking speed",)


def numbers_of(result):
    """Yield the arrays of numbers in a result."""
    if isinstance(result, dmlink.Several):
        for part in result.results.values():
            yield from numbers_of(part)
    elif isinstance(result, dmlink.Scalar):
        numbers = np.array(list(result.series.values()))
        yield numbers[~np.isnan(numbers)]  # NaN is a gap in the chart: no particles, no mean diameter
    elif isinstance(result, (dmlink.Profile, dmlink.Image)):
        yield result.values
        yield np.array([axis.scale for axis in (result.x, getattr(result, "y", result.x))])
    elif isinstance(result, dmlink.Overlay):
        yield from numbers_of(result.image)
        for mark in result.marks:
            yield from numbers_of(mark)
    elif isinstance(result, dmlink.Points):
        yield result.yx
    elif isinstance(result, dmlink.Boxes):
        yield result.tlbr
    elif isinstance(result, dmlink.Table):
        yield from (column for column in result.columns.values() if column.dtype.kind != "U")


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("what", FRAMES)
@pytest.mark.parametrize(("name", "values"), CELLS)
def test_bad_frame_gives_numbers_or_a_note(name, values, what, capsys):
    cell, good = LiveCell(gallery.text(name), name), discs(FRAMES[what].shape)
    cell.set(**values)
    good = good.astype(FRAMES[what].dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a division by zero would lead to a wrong number
        for i, frame in enumerate((FRAMES[what], FRAMES[what], good, FRAMES[what])):
            said = capsys.readouterr().out
            result = cell.run(frame, Info(i, 0.1 * i, **INFO))
            said = capsys.readouterr().out
            if result is None:
                assert said.strip(), f"frame {i}: no result, and nothing said"
                continue
            given = list(numbers_of(result))
            assert all(np.isfinite(numbers).all() for numbers in given), f"frame {i}: {result.text}"
            assert any(numbers.size for numbers in given), f"frame {i}: nothing but gaps"


@pytest.mark.parametrize("name", gallery.names())
def test_bad_frame_leaves_no_trace(name):
    """After frames of NaN and an ROI of another size, a cell gives the same as a new cell."""
    good = [discs((96, 96), seed) for seed in range(3)]
    results = []
    for before in ([np.full((64, 64), np.nan), poisson((8, 8))], []):
        cell = LiveCell(gallery.text(name), name)
        for frame in before:
            cell.run(frame, Info(**INFO))
        results.append([cell.run(frame, Info(i, 0.1 * i, **INFO)) for i, frame in enumerate(good)])
    for one, other in zip(*results, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            for a, b in zip(numbers_of(one), numbers_of(other), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", gallery.names())
def test_uncalibrated_image_works(name, capsys):
    cell = LiveCell(gallery.text(name), name)
    results = [cell.run(discs(seed=seed)) for seed in range(2)]
    assert results[1] is not None or capsys.readouterr().out.strip()


@pytest.mark.parametrize("name", gallery.names())
def test_exported_script_equals_cell(name, tmp_path):
    cell = LiveCell(gallery.text(name), name)
    path = cell.export(tmp_path / f"{name}.py")
    frames = [Frame(discs(seed=i), i, 0.05 * i, NM, NM, source="View") for i in range(4)]
    compared = check(path, frames, cell)
    compared = [c for c in compared if not c.window.startswith(PER_SECOND)]
    assert all(c.equal for c in compared), compared
    given = [result for frame in frames if (result := cell.run(frame)) is not None]
    assert bool(compared) == bool(given)
