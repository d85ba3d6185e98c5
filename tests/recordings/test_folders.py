"""Folders: each file gives the same as on its own, whatever files are next to it, in any order."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dmlink import recordings
from dmlink.frame import Axis
from dmlink.recordings.formats.natural_order import in_natural_order
from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_tree

PLAIN = np.arange(3 * 4 * 5).reshape(3, 4, 5)


def tiffs(folder, stack, **options):
    folder.mkdir()
    for i, pixels in enumerate(stack):
        tifffile.imwrite(folder / f"{i + 8}.tif", pixels, **{"photometric": "minisblack", **options})
    return folder


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("kind", ["minisblack", "miniswhite"])
def test_every_type_survives_a_folder(tmp_path, dtype, kind):
    top = 2.0**31 if dtype == "u4" else 100
    stack = (PLAIN + top * (dtype[0] == "u") * (dtype != "u1") - 20 * (dtype[0] != "u")).astype(dtype)
    folder = tiffs(tmp_path / "f", stack, photometric=kind)
    with recordings.open(folder) as recording:
        assert recording.dtype == np.dtype(dtype)
        for i, frame in enumerate(recording):
            np.testing.assert_array_equal(frame.data, stack[i])
            np.testing.assert_array_equal(recordings.open(folder / f"{i + 8}.tif")[0].data, stack[i])


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_deep_colours_keep_their_depth(tmp_path, suffix):
    grey = (np.arange(20).reshape(4, 5) * 1001).astype(np.uint16)
    colours = np.stack([grey] * 3, -1)
    for name in ("a", "b"):
        path = tmp_path / f"{name}{suffix}"
        if suffix == ".tif":
            tifffile.imwrite(path, colours, photometric="rgb")
        else:
            write_png(path, colours)
    for path in (tmp_path, tmp_path / f"a{suffix}"):
        with recordings.open(path) as recording:
            np.testing.assert_array_equal(recording[0].data, grey)
            assert recording.dtype == np.uint16


def write_png(path, colours):
    """Write 16-bit colours, which Pillow cannot do, with filter "none" in all rows."""
    import struct
    import zlib

    h, w, _ = colours.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in [*parts, (b"IEND", b"")]:
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)


def test_stacks_and_scales_survive_a_folder(tmp_path):
    options = {"imagej": True, "resolution": (20, 10), "metadata": {"unit": "nm", "axes": "TYX"}}
    stack = PLAIN.astype(np.uint16)
    folder = tiffs(tmp_path / "f", [stack, stack + 100], photometric=None, **options)
    with recordings.open(folder) as recording:
        np.testing.assert_array_equal(np.asarray(recording), np.concatenate([stack, stack + 100]))
        assert (recording.y, recording[5].x) == (Axis(0, 0.1, "nm"), Axis(0, 0.05, "nm"))
        again = pickle.loads(pickle.dumps(recording))  # noqa: S301
        np.testing.assert_array_equal(again[4].data, stack[1] + 100)
    tifffile.imwrite(folder / "99.tif", stack[:2])
    with pytest.raises(ValueError, match=r"99\.tif has 2 frames, but 8\.tif has 3"):
        recordings.open(folder)


def test_stack_among_single_pages_is_refused(tmp_path):
    folder = tiffs(tmp_path / "f", PLAIN.astype(np.uint16))
    tifffile.imwrite(folder / "11.tif", PLAIN.astype(np.uint16), photometric="minisblack")
    with recordings.open(folder) as recording, pytest.raises(ValueError, match=r"11\.tif is 3 frames of"):
        recording[3]


def test_file_of_a_tree_opens_the_tree(tmp_path):
    folder = tmp_path / "Hour_00" / "Minute_00" / "Second_00"
    folder.mkdir(parents=True)
    for i, pixels in enumerate(PLAIN.astype(np.int16)):
        write_dm4(folder / f"x_{i}.dm4", pixels, axes=[(0, 0.5, "nm"), (0, 0.25, "nm")])
    with recordings.open(tmp_path) as recording:
        for i, frame in enumerate(recording):
            alone = recordings.open(folder / f"x_{i}.dm4")[0]
            np.testing.assert_array_equal(frame.data, alone.data)
            assert (frame.y, frame.x, frame.data.dtype) == (alone.y, alone.x, alone.data.dtype)


def test_skipped_files_are_reported(tmp_path, monkeypatch):
    folder = tiffs(tmp_path / "f", PLAIN.astype(np.uint16))
    Image.new("L", (9, 9)).save(folder / "0 overview.png")
    write_dm4(folder / "1.dm4", PLAIN[0].astype(np.int16))
    (folder / "notes.txt").write_text("today")
    listed = [path.name for path in folder.iterdir()]
    for order in (listed, listed[::-1]):
        monkeypatch.setattr(os, "listdir", lambda _, order=order: order)
        with recordings.open(folder) as recording:
            np.testing.assert_array_equal(np.asarray(recording), PLAIN)
            assert recording.notes == ("2 files are left out (not .tif): 0 overview.png, 1.dm4.",)
            assert "left out" in repr(recording)


@pytest.mark.parametrize(
    "names",
    [
        ["8.tif", "9.tif", "10.tif"],
        ["-10.tif", "-2.tif", "0.tif", "2.tif"],
        ["tilt_-10.5.tif", "tilt_-10.0.tif", "tilt_-1.5.tif", "tilt_0.0.tif", "tilt_3.0.tif"],
        ["img-1.tif", "img-2.tif", "img-10.tif"],
        ["t-10.tif", "t-5.tif", "t+0.tif", "t+5.tif"],
        ["-2.tif", "-1.tif"],
    ],
)
def test_names_sort_in_natural_order(names):
    assert in_natural_order(names[::-1]) == in_natural_order(sorted(names)) == names


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("suffix", [".npy", ".tif", ".dm4", "tree"])
def test_kept_frames_keep_no_files_open(tmp_path, suffix):
    import resource

    write = {".npy": np.save, ".tif": tifffile.imwrite, ".dm4": write_dm4}
    stack = np.arange(60 * 64, dtype=np.uint16).reshape(60, 8, 8)
    if suffix == "tree":
        write_in_situ_tree(tmp_path, stack, exposure=0.5)
    for i, pixels in enumerate(stack) if suffix in write else ():
        write[suffix](tmp_path / f"{i}{suffix}", pixels)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with recordings.open(tmp_path) as recording:
        frames = [recording[0].data]
        there = max(int(file.name) for file in Path("/dev/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (there + 20, limits[1]))
        try:
            frames += [frame.data for frame in recording[1:]]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    np.testing.assert_array_equal(np.stack(frames), stack)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_folder_of_many_files_opens_by_names(tmp_path):
    tifffile.imwrite(tmp_path / "frame 000000.tif", PLAIN[0].astype(np.uint16))
    folder = os.open(tmp_path, os.O_RDONLY)
    for i in range(1, 20_000):
        os.symlink("nothing", f"frame {i:06}.tif", dir_fd=folder)  # reading them would fail
    os.close(folder)
    with recordings.open(tmp_path) as recording:
        assert len(recording) == 20_000
