"""Layouts: from a file with several datasets, the one declared as its data is read, with axes and times."""

import os

import h5py
import numpy as np
import pytest
import zarr

from dmlink import recordings
from dmlink.cli import main
from dmlink.frame import Axis

STACK = np.arange(3 * 5 * 6, dtype=np.uint16).reshape(3, 5, 6)
TIMES = [0.0, 0.5, 2.0]


def same(recording, stack=STACK):
    np.testing.assert_array_equal(np.asarray(recording), stack)


def nexus(path, target="signal"):
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        file["entry/large"] = np.zeros((50, 50))
        data = file.create_group("entry/data")
        file["entry"].attrs.update(NX_class="NXentry", default="data")
        data.attrs.update(NX_class="NXdata", signal="img", axes=["time", "y", "x"])
        if target == "signal":
            data["img"] = STACK
        else:
            data["img"] = h5py.ExternalLink(target, "frames")
        for name, values, unit in (
            ("time", TIMES, "s"),
            ("y", np.arange(5) * 0.2 + 1, "nm"),
            ("x", np.arange(6) * -0.1, "nm"),
        ):
            data[name] = np.asarray(values)
            data[name].attrs["units"] = unit
    return path


def test_nexus_opens_its_default(tmp_path, capsys):
    path = nexus(tmp_path / "scan.nxs")
    with recordings.open(path) as recording:
        same(recording)
        assert recording.y == Axis(1, pytest.approx(0.2), "nm")
        assert recording.x == Axis(0, pytest.approx(-0.1), "nm")
        assert recording.times.tolist() == TIMES
    assert main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "0 entry/data/img: 3 x 5 x 6 uint16, 1 entry/large: 50 x 50 float64 (--item)" in told
    assert "0.5 to 1.5 s apart" in told
    assert recordings.open(path, item="entry/large").shape == (1, 50, 50)


def test_external_links_are_followed_or_named(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["frames"] = STACK
    path = nexus(tmp_path / "scan.nxs", "data.h5")
    with recordings.open(path) as recording:
        same(recording)
        assert tmp_path / "data.h5" in set(recording.files())
    (tmp_path / "data.h5").unlink()
    with pytest.raises(ValueError, match=r"data of .*scan\.nxs, .*, is in data\.h5, which cannot be"):
        recordings.open(path)


def test_dectris_parts_are_one_recording(tmp_path):
    path = tmp_path / "x_master.h5"
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update(NX_class="NXdata", signal="data_000001")
        file["entry/instrument/detector/frame_time"] = 0.25
        file["entry/instrument/detector/flatfield"] = np.ones((5, 6), np.float32)
        for i in (1, 2):
            data[f"data_{i:06}"] = h5py.ExternalLink(f"x_data_{i:06}.h5", "entry/data/data")
    for i, part in ((1, STACK[:2]), (2, STACK[2:])):
        with h5py.File(tmp_path / f"x_data_{i:06}.h5", "w") as file:
            file.create_dataset("entry/data/data", data=part, chunks=(1, 5, 6))
    with recordings.open(path) as recording:
        same(recording)
        assert recording.fps == 4
        assert len(list(recording.files())) == 3


@pytest.mark.skipif(os.name == "nt", reason="/etc/passwd is of POSIX")
@pytest.mark.parametrize("through", ["itself", "a virtual dataset"])
def test_pixels_elsewhere_are_not_read(tmp_path, through):
    with h5py.File(tmp_path / "stolen.h5", "w") as file:
        external = [("/etc/passwd", 0, 100)]
        file.create_dataset("data", (10, 10), "u1", external=external)
    path = tmp_path / "stolen.h5"
    if through != "itself":
        layout = h5py.VirtualLayout((10, 10), "u1")
        layout[:] = h5py.VirtualSource("stolen.h5", "data", (10, 10))
        path = tmp_path / "virtual.h5"
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("data", layout)
    with pytest.raises(ValueError, match=r"in /etc/passwd, outside its own folder"):
        recordings.open(path)


def test_external_storage_is_read(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pixels.raw").write_bytes(bytes(STACK.nbytes))
    monkeypatch.chdir(tmp_path / "elsewhere")  # it is not looked for in the working folder
    (tmp_path / "pixels.raw").write_bytes(STACK.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", STACK.shape, "u2", external=[("pixels.raw", 0, STACK.nbytes)])
    same(recordings.open(tmp_path / "a.h5"))


def test_external_storage_in_parts_is_read(tmp_path):
    data, half = STACK.tobytes(), STACK.nbytes // 2
    (tmp_path / "1.raw").write_bytes(data[:half])
    (tmp_path / "2.raw").write_bytes(b"head" + data[half:])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        parts = [("1.raw", 0, half), ("2.raw", 4, h5py.h5f.UNLIMITED)]
        file.create_dataset("data", STACK.shape, "u2", external=parts)
    same(recordings.open(tmp_path / "a.h5"))


@pytest.mark.parametrize("version", ["1.0", "0.2"])
@pytest.mark.parametrize("key", ["data", "realslice"])
def test_emd_numbers_its_axes_from_0_or_1(tmp_path, version, key):
    path, first = tmp_path / "x.emd", 0 if version == "1.0" else 1
    with h5py.File(path, "w") as file:
        group = file.create_group("root/cube")
        file["root"].attrs["emd_group_type"] = "root" if version == "1.0" else 2
        group.attrs["emd_group_type"] = "array" if version == "1.0" else 1
        file.create_group("root/data")  # a group, not a dataset
        group[key] = STACK
        for i, (step, unit) in enumerate([(0.5, "s"), (0.1, "[n_m]"), (0.2, "[n_m]")]):
            values = np.arange(2 if version == "1.0" else STACK.shape[i]) * step  # two are enough
            group[f"dim{i + first}"] = values
            group[f"dim{i + first}"].attrs.update(name="tyx"[i], units=unit)
    with recordings.open(path) as recording:
        same(recording)
        assert recording.times.tolist() == [0, 0.5, 1]
        assert recording.x == Axis(0, pytest.approx(0.2), "nm")


def test_pictures_come_before_longer_tables(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["events"] = np.zeros((10_000, 3))
        file["trace"] = np.zeros(100_000)
        file["frames"] = STACK
    same(recordings.open(tmp_path / "x.h5"))


def test_five_dimensions_need_names(tmp_path):
    five = np.zeros((2, 3, 4, 5, 6), np.uint8)
    np.save(tmp_path / "five.npy", five)
    with pytest.raises(ValueError, match=r"5 dimensions .* without names; choose which .* axis=\(0, 1, 2\)"):
        recordings.open(tmp_path / "five.npy")
    assert recordings.open(tmp_path / "five.npy", axis=(0, 1, 2)).shape == (24, 5, 6)


def ome(name="", **more):
    return [{"name": name, "datasets": [{"path": "0"}], **more}]


@pytest.mark.parametrize("version", ["0.1", "0.3", "0.4", "0.5"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_version_of_ome_zarr(tmp_path, version, zipped):
    path = tmp_path / ("x.zarr.zip" if zipped else "x.zarr")
    store = zarr.storage.ZipStore(path, mode="w") if zipped else path
    more = {
        "0.1": {},
        "0.3": {"axes": ["t", "c", "z", "y", "x"]},
        "0.4": {"axes": [{"name": n} for n in "tczyx"]},
        "0.5": {"axes": [{"name": n} for n in "tczyx"]},
    }[version]
    told = {"multiscales": ome(**more)}
    group = zarr.open_group(store, mode="w", zarr_format=3 if version == "0.5" else 2)
    group.create_array("0", data=STACK[:, None, None], chunks=(1, 1, 1, 5, 6))
    group.attrs.update({"ome": told} if version == "0.5" else told)
    if zipped:
        store.close()
    with recordings.open(path) as recording:
        same(recording)
        assert [d.name for d in recording.dimensions] == ["t"]


def test_bioformats2raw_lists_its_images(tmp_path):
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for i in range(2):
        image = group.create_group(str(i))
        image.create_array("0", data=STACK[i:, None, None])
        image.attrs["multiscales"] = ome(f"image {i}")
    with recordings.open(tmp_path / "x.zarr", item=1) as recording:
        same(recording, STACK[1:])
        assert recording.items == ("0 image 0", "1 image 1")


def test_zarr_2_needs_no_attributes(tmp_path):
    zarr.create_array(tmp_path / "plain", data=STACK, zarr_format=2)
    (tmp_path / "plain" / ".zattrs").unlink(missing_ok=True)
    same(recordings.open(tmp_path / "plain"))


@pytest.mark.parametrize("zipped", [False, True])
def test_zspy_is_read_without_rosettasciio(tmp_path, zipped, monkeypatch):
    path = tmp_path / "x.zspy"
    store = zarr.storage.ZipStore(path, mode="w") if zipped else path
    root = zarr.open_group(store, mode="w", zarr_format=2)
    signal = root.create_group("Experiments/s")
    signal.create_array("data", data=STACK)
    for i, (name, scale, unit) in enumerate([("t", 0.5, "s"), ("y", 0.1, "nm"), ("x", -0.2, "nm")]):
        signal.create_group(f"axis-{i}").attrs.update(name=name, scale=scale, offset=0.0, units=unit)
    if zipped:
        store.close()
    with recordings.open(path) as recording:
        same(recording)
        assert (recording.x, recording.fps) == (Axis(0, -0.2, "nm"), 2)
