"""Next steps: parts and joins of recordings, and recordings in other libraries."""

import json
import pickle

import h5py
import numpy as np
import pytest
import tifffile

import dmlink
from dmlink import recordings
from dmlink.frame import Axis
from dmlink.recordings.writing.convert import write


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6 * 4 * 5, dtype=np.uint16).reshape(6, 4, 5))
    (tmp_path / "a.json").write_text('{"scale": 0.5, "unit": "nm", "fps": 10, "exposure": 0.1}')
    return tmp_path / "a.npy"


def test_a_slice_is_a_recording(path):
    with recordings.open(path) as recording:
        for which in (slice(1, 4), slice(None, None, 2), slice(None, None, -1), slice(-2, None)):
            part = recording[which]
            again = pickle.loads(pickle.dumps(part))  # noqa: S301 - as workers get it
            for one in (part, again):
                np.testing.assert_array_equal(np.asarray(one), np.load(path)[which])
                np.testing.assert_allclose(one.times, recording.times[which])
                assert (one.x, one[0].tags, one.dtype) == (recording.x, {"exposure": 0.1}, recording.dtype)
                assert [frame.index for frame in one] == list(range(6))[which]
        assert recording[2:][1:3][0].index == 3
        with pytest.raises(ValueError, match="this slice selects none"):
            recording[4:4]


def test_a_recording_is_an_array(path):
    with recordings.open(path) as recording:
        stack = np.asarray(recording)
        assert (stack.shape, stack.dtype) == (recording.shape, recording.dtype)
        np.testing.assert_array_equal(np.asarray(recording, float), np.load(path))
        assert np.mean(recording) == np.load(path).mean()


def test_dask_has_a_chunk_a_frame_and_reads_late(path, monkeypatch):
    recording = recordings.open(path)
    read = []
    monkeypatch.setattr(type(recording), "_read", lambda _, i: read.append(i) or np.load(path)[i])
    array = recording.to_dask()
    assert (array.shape, array.dtype, array.chunks) == ((6, 4, 5), np.uint16, ((1,) * 6, (4,), (5,)))
    assert read == []
    np.testing.assert_array_equal(array[3].compute(scheduler="synchronous"), np.load(path)[3])
    assert read == [3]


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".h5", ".zarr"])
def test_dask_array_works_in_other_processes(path, suffix, tmp_path):
    out = path
    if suffix == ".zarr":
        import zarr

        zarr.create_array(tmp_path / "x.zarr", data=np.load(path), chunks=(1, 4, 5))
        out = tmp_path / "x.zarr"
    elif suffix != ".npy":
        out = write(recordings.open(path), tmp_path / f"b{suffix}")
    array = pickle.loads(pickle.dumps(recordings.open(out).to_dask()))  # noqa: S301
    np.testing.assert_array_equal(array.compute(scheduler="threads"), np.load(path))


def test_recordings_in_a_list_are_one(path, tmp_path):
    np.save(tmp_path / "b.npy", np.load(path) + 100)
    (tmp_path / "b.json").write_text('{"scale": 0.5, "unit": "nm", "fps": 5}')
    with dmlink.open([path, tmp_path / "b.npy"]) as joined:
        again = pickle.loads(pickle.dumps(joined))  # noqa: S301
        for one in (joined, again):
            np.testing.assert_array_equal(
                np.asarray(one), np.concatenate([np.load(path), np.load(path) + 100])
            )
            np.testing.assert_allclose(one.times[4:8], [0.4, 0.5, 0.7, 0.9])
            assert (len(one), one.x, len(list(one.files()))) == (12, Axis(0, 0.5, "nm"), 4)
        np.testing.assert_array_equal(np.asarray(joined[5:7]), np.asarray(joined)[5:7])


def test_later_times_are_kept(path, tmp_path):
    later = recordings.open(path)
    later.times = np.arange(6) + 100
    write(later, tmp_path / "b.hspy")
    with dmlink.open([path, tmp_path / "b.hspy"]) as joined:
        np.testing.assert_allclose(joined.times[5:8], [0.5, 100, 101])


def test_joined_frames_are_numbered_through(path):
    with dmlink.open([path, path]) as joined:
        assert [frame.index for frame in joined] == list(range(12))
        assert [frame.index for frame in joined[5:7]] == [5, 6]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (np.zeros((6, 4, 6), np.uint16), "frame size 4 x 5, but .* 4 x 6"),
        (np.zeros((6, 4, 5), np.uint8), "data type uint16, but .* uint8"),
        (np.zeros((6, 4, 5), np.uint16), "pixel size 0.5 nm x 0.5 nm, but .* 1  x 1"),
    ],
)
def test_different_files_are_not_joined(path, tmp_path, other, told):
    np.save(tmp_path / "b.npy", other)
    with pytest.raises(ValueError, match=told):
        dmlink.open([path, tmp_path / "b.npy"])


def test_missing_package_is_named(path, monkeypatch):
    import sys

    for name in ("hyperspy", "xarray"):
        monkeypatch.setitem(sys.modules, name, None)
    with recordings.open(path) as recording:
        with pytest.raises(ImportError, match="pip install xarray"):
            recording.to_xarray()
        with pytest.raises(ImportError, match="pip install hyperspy"):
            recording.to_hyperspy()
        with pytest.raises(ImportError, match="pip install hyperspy"):
            recording[0].to_hyperspy()


def test_hyperspy_gets_calibrated_axes(path):
    pytest.importorskip("hyperspy", reason="HyperSpy is not installed")
    recording = recordings.open(path)
    signal = recording.to_hyperspy()
    assert signal._lazy
    axes = {a.name: (a.offset, a.scale, a.units) for a in signal.axes_manager._axes}
    assert axes == {"t": (0, pytest.approx(0.1), "s"), "y": (0, 0.5, "nm"), "x": (0, 0.5, "nm")}
    np.testing.assert_array_equal(signal.data.compute(), np.load(path))
    assert recording[2].to_hyperspy().axes_manager["x"].scale == 0.5
    recording.times = [0, 1, 3, 4, 5, 6]
    assert recording.to_hyperspy().axes_manager["t"].axis.tolist() == [0, 1, 3, 4, 5, 6]


def test_xarray_gets_coordinates(path):
    pytest.importorskip("xarray", reason="xarray is not installed")
    array = recordings.open(path).to_xarray()
    assert (array.dims, array.x.attrs["units"]) == (("t", "y", "x"), "nm")
    np.testing.assert_allclose(array.t, np.arange(6) / 10)
    np.save(path.with_name("scan.npy"), np.zeros((2, 3, 4, 5), np.uint8))
    axes = [{"name": name, "scale": 2.0, "unit": "nm"} for name in ("y", "x", "y", "x")]
    path.with_name("scan.json").write_text(json.dumps({"axes": axes}))
    with recordings.open(path.with_name("scan.npy")) as scan:
        assert scan.to_xarray().dims == ("y'", "x'", "y", "x")
        assert scan.to_xarray()["x'"].values.tolist() == [0, 2, 4]


def test_unequal_times_survive_every_way(tmp_path):
    times = [100.0, 100.1, 103.2, 103.3]
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = file.create_group("Experiments/s")
        group["data"] = np.zeros((4, 5, 6), np.uint16)
        group.create_group("axis-0").attrs.update(name="t", units="s", _type="DataAxis")
        group["axis-0/axis"] = times
        for i in (1, 2):
            group.create_group(f"axis-{i}").attrs.update(name="yx"[i - 1], scale=0.1, offset=0, units="nm")
    with recordings.open(tmp_path / "a.hspy") as recording:
        for suffix in (".npy", ".tif", ".h5"):
            out = write(recording, tmp_path / f"b{suffix}")
            with recordings.open(out) as again:
                np.testing.assert_allclose(again.times, times, rtol=1e-12)
                assert again.fps == pytest.approx(3 / 3.3)
        with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
            assert "finterval" not in tiff.imagej_metadata


def test_napari_shows_the_frames_lazily(path):
    napari = pytest.importorskip("napari.components", reason="napari is not installed")
    with recordings.open(path) as recording:
        viewer = napari.ViewerModel()  # a viewer without its window
        scale = (1, recording.y.scale, recording.x.scale)
        layer = viewer.add_image(recording.to_dask(), name=recording.name, scale=scale)
        assert (layer.data.shape, layer.data.chunksize, tuple(layer.scale)) == ((6, 4, 5), (1, 4, 5), scale)
        viewer.dims.set_current_step(0, 3)
        assert np.array_equal(np.asarray(layer._slice.image.view), recording[3].data)
