"""Convert: other programs open the same recording, with its calibration."""

from __future__ import annotations

import errno
from contextlib import suppress

import numpy as np
import pytest
import tifffile
from disks import make_read_only, small_disk

import dmlink
from dmlink.cli import main
from dmlink.recordings.writing import ome_zarr_writer
from dmlink.recordings.writing.convert import WRITERS, convert


@pytest.fixture
def path(tmp_path):
    stack = np.random.default_rng(1).integers(0, 4000, (5, 12, 16), np.uint16)
    np.save(tmp_path / "gold.npy", stack)
    (tmp_path / "gold.json").write_text('{"scale": 0.05, "unit": "nm", "fps": 20}', "utf-8")
    return tmp_path / "gold.npy"


@pytest.mark.parametrize("suffix", [".tif", ".mrc", ".hspy", ".h5", ".npy"])
def test_round_trip_is_equal_and_calibrated(path, suffix, capsys):
    out = path.with_name(f"other{suffix}")
    assert main(["convert", str(path), "-o", str(out)]) == 0
    assert f"{out}: 5 frames" in capsys.readouterr().out
    with dmlink.open(path) as before, dmlink.open(out) as after:
        assert (after.shape, after.dtype, after.x.unit) == (before.shape, before.dtype, "nm")
        assert after.x.scale == pytest.approx(0.05)
        if suffix != ".mrc":  # a format that cannot store it
            assert after.fps == pytest.approx(20)
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one.data, other.data)
    assert sorted(p.name for p in path.parent.glob(".*")) == []


def test_imagej_metadata_is_written(path):
    with (
        dmlink.open(path) as recording,
        tifffile.TiffFile(convert(recording, path.with_suffix(".tif"))) as tiff,
    ):
        assert tiff.is_imagej
        assert tiff.imagej_metadata["unit"] == "nm"
        assert (tiff.imagej_metadata["frames"], tiff.imagej_metadata["finterval"]) == (5, 0.05)


def test_other_types_become_bigtiff(path):
    np.save(path, np.load(path).astype(np.float64))
    with dmlink.open(path) as recording, dmlink.open(convert(recording, path.with_suffix(".tif"))) as after:
        np.testing.assert_array_equal(after[4].data, recording[4].data)
        assert after.x.scale == pytest.approx(0.05)


def test_hyperspy_layout_opens(path):
    hspy = pytest.importorskip("rsciio.hspy", reason="RosettaSciIO is not installed")
    with dmlink.open(path) as recording:
        (signal,) = hspy.file_reader(convert(recording, path.with_suffix(".hspy")))
        np.testing.assert_array_equal(signal["data"], np.load(path))
    assert [(a["name"], a["scale"], a["units"], a["navigate"]) for a in signal["axes"]] == [
        ("t", 0.05, "s", True), ("y", 0.05, "nm", False), ("x", 0.05, "nm", False)
    ]  # fmt: skip


def test_nothing_is_overwritten(path):
    with dmlink.open(path) as recording:
        there = path.with_name("there.tif")
        there.write_text("mine")
        with pytest.raises(FileExistsError, match="exists; choose another name"):
            convert(recording, there)
        assert there.read_text() == "mine"
        path.with_name("beside.json").write_text("mine")
        with pytest.raises(FileExistsError, match=r"beside\.json exists"):
            convert(recording, path.with_name("beside.npy"))
        with pytest.raises(ValueError, match=r"suffix '\.avi'; use one of"):
            convert(recording, path.with_suffix(".avi"))
        with pytest.raises(FileNotFoundError, match="There is no folder"):
            convert(recording, path.parent / "nowhere" / "gold.tif")
    np.save(path, np.load(path).astype(np.float64))
    with dmlink.open(path) as recording, pytest.raises(ValueError, match="MRC cannot store float64"):
        convert(recording, path.with_suffix(".mrc"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.complex64])
def test_mrc_header_has_its_statistics(path, dtype):
    import mrcfile

    stack = (np.random.default_rng(1).normal(60, 20, (5, 12, 16)) + np.arange(5)[:, None, None]).astype(dtype)
    if dtype == np.float32:
        stack[1, 2] = np.nan
    np.save(path, stack)
    with dmlink.open(path) as recording, mrcfile.open(convert(recording, path.with_suffix(".mrc"))) as mrc:
        header = mrc.header
        seen = (np.abs(stack) if dtype == np.complex64 else stack)[np.isfinite(stack)].astype(float)
        told = [header.dmin, header.dmax, header.dmean, header.rms]
        assert told == pytest.approx([seen.min(), seen.max(), seen.mean(), seen.std()], rel=1e-5)


def test_two_conversions_at_once_do_not_meet(path, monkeypatch):
    write_mrc, begun = WRITERS[".mrc"], []

    def meanwhile(recording, made):
        begun.append(made)
        if len(begun) == 1:  # the other one is complete before this one
            convert(recording, path.with_name("other.mrc"))
        write_mrc(recording, made)

    monkeypatch.setitem(WRITERS, ".mrc", meanwhile)
    with dmlink.open(path) as recording, suppress(OSError):  # Windows replaces no file
        convert(recording, path.with_name("other.mrc"))
    np.testing.assert_array_equal(np.asarray(dmlink.open(path.with_name("other.mrc"))), np.load(path))
    assert begun[0] != begun[1]


@pytest.mark.parametrize("suffix", [".tif", ".hspy", ".npy", ".mrc"])
def test_full_disk_leaves_nothing(path, suffix):
    n = 20 if suffix == ".mrc" else 40  # MRC has no uint8, so its file is twice as large
    np.save(path, np.zeros((n, 64, 64), np.uint8 if suffix == ".mrc" else np.uint16))
    with small_disk(path.parent / "disk", "96k" if suffix == ".mrc" else "64k") as disk:
        with dmlink.open(path) as recording, pytest.raises(OSError, match="was not written"):
            convert(recording, disk / f"gold{suffix}")
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("suffix", [".tif", ".mrc", ".hspy", ".npy"])
def test_read_only_target_is_reported(path, suffix):
    with small_disk(path.parent / "disk", "4m") as disk:
        make_read_only(disk)
        with (
            dmlink.open(path) as recording,
            pytest.raises(OSError, match=r"Read-only file system.*was not written"),
        ):
            convert(recording, disk / f"gold{suffix}")


def test_too_long_path_is_named(monkeypatch):
    monkeypatch.setattr(ome_zarr_writer, "LONGEST_PATH", 259)  # as on Windows
    missing = FileNotFoundError(errno.ENOENT, "No such file", "x" * 300)
    assert "A path of 300 characters is too long" in ome_zarr_writer.why_not(missing, "nothing was written")
    missing.filename = "x" * 200
    assert "No such file" in ome_zarr_writer.why_not(missing, "nothing was written")
