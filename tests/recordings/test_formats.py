"""Formats of microscopes and software: frames, calibration, times and tags by the same names."""

import json
import pickle
import sys

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from detector_files import mib, ser

from dmlink import recordings
from dmlink.frame import Axis
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, ImageWriter, Journal


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 250, (4, 5, 6)).astype(np.uint16)


def same(recording, stack):
    assert recording.shape == stack.shape
    for frame, written in zip(recording, stack, strict=True):
        np.testing.assert_array_equal(frame.data, written)
        assert frame.data.dtype.isnative
        assert not frame.data.flags.writeable


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32", "complex64", "float16"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_mrc_of_either_byte_order(tmp_path, stack, dtype, byteorder):
    path = tmp_path / "stack.mrc"
    with mrcfile.new(path) as mrc:
        mrc.set_data((stack % 100).astype(np.dtype(dtype).newbyteorder(byteorder)))
        mrc.voxel_size = (5.0, 2.5, 1.0)  # x, y, z in angstroms
        mrc.set_extended_header(np.zeros(33, "V1"))
    with recordings.open(path) as recording:
        assert (recording.y, recording.x) == (Axis(0, 0.25, "nm"), Axis(0, 0.5, "nm"))
        same(recording, (stack % 100).astype(dtype))


def test_old_mrc_is_known_by_its_suffix(tmp_path, stack):
    path = tmp_path / "old.mrc"
    mrcfile.write(path, stack)
    whole = bytearray(path.read_bytes())
    whole[208:212] = bytes(4)
    path.write_bytes(whole)
    with recordings.open(path) as recording:
        assert recording.x == Axis()
        same(recording, stack)
    path.write_bytes(whole[:-1])
    with recordings.open(path) as recording:
        same(recording, stack[:3])
        assert recording.expected == 4
    path.write_bytes(whole[:1030])
    with pytest.raises(ValueError, match=r"old\.mrc is cut short: it has \d+ of \d+ bytes"):
        recordings.open(path)


@pytest.mark.parametrize("version", [0x0210, 0x0220])
@pytest.mark.parametrize("planned", [4, 200])
def test_ser_series_has_its_frames(tmp_path, stack, version, planned):
    path = tmp_path / "series_1.ser"
    path.write_bytes(ser(stack, planned=planned, version=version))
    with recordings.open(path) as recording:
        same(recording, stack)
        assert recording.expected == planned
        assert recording.x.scale == pytest.approx(0.1)
        assert recording.y.origin == pytest.approx(-2)
        assert recording.x.unit == "nm"
        assert recording.times.tolist() == [0, 1, 2, 3]
    oracle = pytest.importorskip("rsciio.tia")
    if planned == 4:
        np.testing.assert_array_equal(oracle.file_reader(path)[0]["data"], stack)


def test_ser_spectra_are_one_row_frames(tmp_path, stack):
    path = tmp_path / "spectra_1.ser"
    path.write_bytes(ser(stack[:, :1], spectra=True))
    with recordings.open(path) as recording:
        same(recording, stack[:, :1])
        assert recording.x == Axis(99, 0.5, "eV")


def test_ser_without_last_tag_has_no_rate(tmp_path, stack):
    path = tmp_path / "series_1.ser"
    whole = ser(stack)
    path.write_bytes(whole[: int(0.99 * len(whole))])
    with recordings.open(path) as recording:
        same(recording, stack)
        assert recording.fps is None


@pytest.mark.parametrize("keep", [5, 20, 40, 80, 0.5])
def test_truncated_ser_is_refused(tmp_path, stack, keep):
    path = tmp_path / "series_1.ser"
    whole = ser(stack)
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ValueError, match=r"series_1\.ser") as caught:
        recordings.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [8, 16, 32])
def test_merlin_headers_are_left_out(tmp_path, stack, depth):
    path = tmp_path / "scan.mib"
    path.write_bytes(mib(stack, depth))
    with recordings.open(path) as recording:
        same(recording, stack)
        assert recording.dtype == np.dtype(f"u{depth // 8}")
        np.testing.assert_allclose(recording.times, [0, 0.1, 0.2, 0.3])
        assert recording[0].tags == {"exposure": 0.05}
    path.write_bytes(mib(stack, depth)[:-10])
    with recordings.open(path) as recording:
        same(recording, stack[:3])
        assert recording.expected == 4
    path.write_bytes(mib(stack, depth)[:390])
    with pytest.raises(ValueError, match=r"scan\.mib is cut short"):
        recordings.open(path)


@pytest.mark.parametrize("chunks", [None, (1, 5, 6)])
def test_hdf5_gives_the_largest_dataset(tmp_path, stack, chunks):
    path = tmp_path / "camera.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data", data=stack, chunks=chunks, compression="gzip" if chunks else None)
        file.create_dataset("entry/dark", data=stack[0])
        file["entry/title"] = "a text"
    with recordings.open(path) as recording:
        same(recording, stack)
    with recordings.open(path, item="entry/dark") as recording:
        same(recording, stack[:1])
    with pytest.raises(ValueError, match="has 2 images: 0 'entry/data', 1 'entry/dark'; item='x' is not one"):
        recordings.open(path, item="x")


def test_hyperspy_file_is_calibrated(tmp_path, stack):
    path = tmp_path / "signal.hspy"
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/movie")
        group["data"] = stack
        told = [("time", 10.0, 0.5, "s"), ("y", -1.0, 0.1, "nm"), ("x", -2.0, 0.2, "nm")]
        for i, (name, offset, scale, units) in enumerate(told):
            axis = group.create_group(f"axis-{i}")
            axis.attrs.update(name=name, offset=offset, scale=scale, units=units, size=stack.shape[i])
    with recordings.open(path) as recording:
        same(recording, stack)
        assert (recording.y, recording.x) == (Axis(-1, 0.1, "nm"), Axis(-2, 0.2, "nm"))
        np.testing.assert_allclose(recording.times, 10 + np.arange(4) / 2)


def test_berkeley_emd_is_calibrated(tmp_path, stack):
    path = tmp_path / "stack.emd"
    with h5py.File(path, "w") as file:
        file.attrs.update(version_major=0, version_minor=2)
        group = file.create_group("data/movie")
        group.attrs["emd_group_type"] = 1
        group["data"] = stack
        told = [("t", "[s]", 0.2), ("y", "[n_m]", 0.1), ("x", "[n_m]", 0.1)]
        for i, (name, units, step) in enumerate(told):
            group[f"dim{i + 1}"] = np.arange(stack.shape[i]) * step + i
            group[f"dim{i + 1}"].attrs.update(name=name, units=units)
    with recordings.open(path) as recording:
        same(recording, stack)
        assert (recording.y.origin, recording.x.unit) == (1, "nm")
        assert recording.x.scale == pytest.approx(0.1)
        assert recording.fps == pytest.approx(5)


def test_velox_frames_run_along_last_axis(tmp_path, stack):
    path = tmp_path / "velox.emd"
    told = {
        "BinaryResult": {
            "Detector": "HAADF",
            "PixelSize": {"width": "2e-10", "height": "1e-10"},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
        },
        "Optics": {"AccelerationVoltage": "300000", "CameraLength": "0.115"},
        "Scan": {"FrameTime": "0.5"},
    }
    text = np.zeros((2000, 4), np.uint8)
    raw = json.dumps(told).encode()
    text[: len(raw)] = np.frombuffer(raw, np.uint8)[:, np.newaxis]
    halves = np.dtype([("realFloatHalfEven", "f4"), ("imagFloatHalfEven", "f4")])
    with h5py.File(path, "w") as file:
        fourier = file.create_group("Data/Image/0000")
        fourier["Data"] = np.zeros((5, 4, 1), halves)
        fourier["Metadata"] = text
        group = file.create_group("Data/Image/0123")
        group.create_dataset("Data", data=stack.transpose(1, 2, 0), chunks=(5, 6, 1))
        group["Metadata"] = text
    with recordings.open(path) as recording:
        same(recording, stack)
        assert (recording.y, recording.x) == (
            Axis(0, pytest.approx(0.1), "nm"),
            Axis(0, pytest.approx(0.2), "nm"),
        )
        assert recording.fps == pytest.approx(2)
        assert recording[0].tags == {"high_tension": 300e3, "camera_length": pytest.approx(115)}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_at_full_size(tmp_path, stack, version):
    path = tmp_path / "movie.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    group.create_array("0", data=stack[:, np.newaxis], chunks=(1, 1, 5, 6))
    group.create_array("1", data=stack[:, np.newaxis, ::2, ::2], chunks=(1, 1, 3, 3))
    image = {
        "axes": [
            {"name": "t", "type": "time", "unit": "second"},
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", "unit": "nanometer"},
            {"name": "x", "type": "space", "unit": "nanometer"},
        ],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [0.1, 1, 0.5 * 2**level, 0.25 * 2**level]},
                    {"type": "translation", "translation": [0, 0, -1, -2]},
                ],
            }
            for level in (0, 1)
        ],
    }
    group.attrs.update(
        {"multiscales": [image]}
        if version == "0.4"
        else {"ome": {"version": version, "multiscales": [image]}}
    )
    with recordings.open(path) as recording:
        same(recording, stack)
        assert (recording.y, recording.x) == (Axis(-1, 0.5, "nm"), Axis(-2, 0.25, "nm"))
        np.testing.assert_allclose(recording.times, np.arange(4) / 10)
        assert recording.name == "movie"


def test_plain_zarr_opens(tmp_path, stack):
    zarr.create_array(tmp_path / "plain.zarr", data=stack)
    same(recordings.open(tmp_path / "plain.zarr"), stack)
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(ValueError, match="no image in its OME-Zarr metadata"):
        recordings.open(tmp_path / "empty.zarr")


def test_four_dimensions_need_an_axis(tmp_path):
    scan = np.arange(2 * 3 * 4 * 5, dtype=np.int32).reshape(2, 3, 4, 5)
    np.save(tmp_path / "scan.npy", scan)
    same(recordings.open(tmp_path / "scan.npy"), scan.reshape(6, 4, 5))
    same(recordings.open(tmp_path / "scan.npy", axis=0), scan[:, 0])
    same(recordings.open(tmp_path / "scan.npy", axis=1), scan[0])
    same(recordings.open(tmp_path / "scan.npy", axis=(-1, -2)), scan.transpose(3, 2, 0, 1).reshape(20, 2, 3))
    for wrong in (4, "t", (0, 0), (0, 1, 2, 3)):
        with pytest.raises(ValueError, match=r"scan\.npy has .*axis="):
            recordings.open(tmp_path / "scan.npy", axis=wrong)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_hyperstack_axis_is_chosen_by_name(tmp_path, compression):
    channels = np.arange(3 * 2 * 8 * 9, dtype=np.uint16).reshape(3, 2, 8, 9)
    path = tmp_path / "hyper.tif"
    tifffile.imwrite(
        path, channels, metadata={"axes": "TCYX"}, compression=compression, photometric="minisblack"
    )
    with pytest.raises(ValueError, match=r"has the axes TCYX .* such as axis='T'"):
        recordings.open(path)
    same(recordings.open(path, axis="T"), channels[:, 0])
    same(recordings.open(path, axis="c"), channels[0])
    same(recordings.open(path, axis=("T", "C")), channels.reshape(6, 8, 9))


def test_tiff_image_is_chosen_by_number(tmp_path, stack):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(stack, photometric="minisblack")
        tiff.write(stack[0, :3], photometric="minisblack")
    same(recordings.open(path), stack)
    same(recordings.open(path, item=1), stack[:1, :3])


def test_rosettasciio_opens_the_rest(tmp_path, stack):
    oracle = pytest.importorskip("rsciio.blockfile")
    signal = {"data": stack[np.newaxis, :, :5, :5].astype(np.uint8), "metadata": {}, "original_metadata": {}}
    signal["attributes"] = {"_lazy": False}
    names = [("y", "nm"), ("x", "nm"), ("dy", "cm"), ("dx", "cm")]
    signal["axes"] = [
        {"name": n, "units": u, "offset": 0, "scale": 0.5, "size": s, "navigate": i < 2, "index_in_array": i}
        for i, ((n, u), s) in enumerate(zip(names, signal["data"].shape, strict=True))
    ]
    oracle.file_writer(str(tmp_path / "scan.blo"), signal)
    with recordings.open(tmp_path / "scan.blo") as recording:
        same(recording, stack[:, :5, :5].astype(np.uint8))


def test_readers_are_imported_when_needed(tmp_path, stack):
    # Importing dmlink must stay fast, and must not import the GPL reader.
    import subprocess

    heavy = ("rsciio", "h5py", "mrcfile", "tifffile")
    code = f"import dmlink, sys; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_own_recording_keeps_everything(tmp_path, stack):
    path = tmp_path / "gold.ome.zarr"
    axis = Axis(-1, 0.5, "nm")
    image = ImageWriter(path, (5, 6), np.uint16, y=axis, x=axis, name="View", length=99)
    journal = Journal(path / JOURNAL)
    known = {"roi": [10, 20, 15, 26], "y": [-1, 0.5, "nm"], "x": [-1, 0.5, "nm"], "tags": {"exposure": 0.1}}
    moved = {"roi": [0, 0, 5, 6], "tags": {"exposure": 0.2}}
    for i, more in enumerate([known, {}, moved]):
        image.write(i, stack[i])
        journal.write({"index": 7 + 2 * i, "time": 1000 + i / 4, **more})
    (path / JOURNAL).open("ab").write(b'{"index": 13, "ti')  # killed here: three frames were acknowledged
    with recordings.open(path) as recording:
        same(recording, stack[:3])
        assert recording.times.tolist() == [1000, 1000.25, 1000.5]
        frames = list(recording)
    assert [frame.roi for frame in frames] == [(10, 20, 15, 26)] * 2 + [(0, 0, 5, 6)]
    assert [frame.tags["exposure"] for frame in frames] == [0.1, 0.1, 0.2]
    assert [frame.tags["source_index"] for frame in frames] == [7, 9, 11]
    assert frames[2].x == axis


def record(path, stack, *axes):
    """Write a dmlink recording with one frame for each of the axes."""
    image = ImageWriter(path, stack.shape[1:], stack.dtype, y=axes[0], x=axes[0], name="View")
    journal = Journal(path / JOURNAL)
    for i, axis in enumerate(axes):
        image.write(i, stack[i])
        journal.write({"index": i, "time": i / 4, "y": axis, "x": axis})
    journal.close()
    return path


def test_own_scale_can_be_overridden(tmp_path, stack):
    path = record(tmp_path / "gold.zarr", stack, Axis(-1, 0.5, "nm"), Axis(-2, 0.5, "nm"))  # the ROI moved
    with recordings.open(path, scale=2, unit="mrad") as recording:
        for known in (recording, pickle.loads(pickle.dumps(recording))):  # noqa: S301 - as workers get it
            assert known.y == known.x == Axis(-4, 2, "mrad")
            assert [frame.y for frame in known] == [Axis(-4, 2, "mrad"), Axis(-8, 2, "mrad")]
            assert [frame.x for frame in known] == [Axis(-4, 2, "mrad"), Axis(-8, 2, "mrad")]
    with recordings.open(path, unit="pm") as recording:
        assert [frame.x for frame in recording] == [Axis(-1, 0.5, "pm"), Axis(-2, 0.5, "pm")]


@pytest.mark.parametrize("unit", ["1/nm", "eV", "A", ""])
def test_every_unit_survives(tmp_path, stack, unit):
    axis = Axis(-2, 0.1, unit)
    with recordings.open(record(tmp_path / "gold.zarr", stack, axis)) as recording:
        assert recording.y == recording.x == recording[0].y == recording[0].x == axis
