"""Faulty recordings: each is refused in one sentence that names it, and nothing hangs or crashes."""

import math
import os
import stat
import sys
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from detector_files import mib, ser
from PIL import Image

from dmlink import recordings
from dmlink.cli import main
from dmlink.frame import Axis
from dmlink.recordings.writing.ome_zarr_writer import JOURNAL, ImageWriter, Journal
from dmlink.simulator.dm.gatan_files import write_dm4, write_in_situ_raw, write_in_situ_tree

STACK = np.random.default_rng(0).integers(0, 60_000, (8, 64, 64)).astype(np.uint16)


def hdf5(path, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=STACK, **options)


#: How to write STACK in single-file formats.
WRITERS = {
    "x.npy": lambda path: np.save(path, STACK),
    "x.tif": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack"),
    "packed.tif": lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", compression="zlib"),
    "x.dm4": lambda path: write_dm4(path, STACK),
    "x.mrc": lambda path: mrcfile.write(path, STACK),
    "x.h5": hdf5,
    "packed.h5": lambda path: hdf5(path, chunks=(1, 64, 64), compression="gzip"),
    "x.ser": lambda path: path.write_bytes(ser(STACK)),
    "x.mib": lambda path: path.write_bytes(mib(STACK)),
    "in situ.raw": lambda path: write_in_situ_raw(path.with_suffix(".dm4"), STACK, exposure=0.1),
}


open_files_change = pytest.mark.skipif(os.name == "nt", reason="Windows keeps files that are open")


@pytest.fixture(params=WRITERS)
def whole(tmp_path, request):
    """A valid recording in a folder with a space and umlauts in its name."""
    path = tmp_path / "Müller, Größe 5 µm" / request.param
    path.parent.mkdir()
    WRITERS[request.param](path)
    return path


def sentence(path, error=ValueError, **options):
    """Return the sentence with which `path`, or one of its frames, is refused."""
    with pytest.raises(error) as caught, recordings.open(path, **options) as recording:
        list(recording)
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 500
    return told


def test_any_path_opens(whole):
    with recordings.open(whole) as recording:
        np.testing.assert_array_equal(np.stack([frame.data for frame in recording]), STACK)


def test_content_decides_not_the_suffix(whole):
    if whole.suffix == ".raw":
        pytest.skip("raw frames tell nothing")
    for suffix in (".jpg", ".dat", ""):
        whole = whole.rename(whole.with_suffix(suffix))
        with recordings.open(whole) as recording:
            np.testing.assert_array_equal(recording[7].data, STACK[7])


def test_empty_file_is_called_empty(whole):
    whole.write_bytes(b"")
    told = sentence(whole)
    assert f"{whole.name} is empty" in told or "less than a frame of 64 x 64" in told


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_truncated_file_has_whole_frames_only(whole, part):
    data = whole.read_bytes()
    whole.write_bytes(data[: int(part * len(data))])
    n = int(part * 8)
    if whole.suffix == ".mrc":  # this format has a header before its first frame
        n = max(0, whole.stat().st_size - 1024) // STACK[0].nbytes
    if whole.suffix in (".raw", ".mib", ".mrc") and n:
        with recordings.open(whole) as recording:
            expected = math.ceil(part * 8) if whole.suffix == ".mib" else 8  # Merlin does not store it
            assert (len(recording), recording.expected) == (n, expected)
            np.testing.assert_array_equal(recording[-1].data, STACK[len(recording) - 1])
    else:
        assert whole.name in sentence(whole)


def test_closed_file_is_let_go(whole):
    with recordings.open(whole) as recording:
        assert recording[7].index == 7
    whole.rename(whole.with_name("renamed"))  # Windows refuses while it is open
    if sys.platform == "linux":
        assert str(whole.parent) not in Path("/proc/self/maps").read_text("utf-8")


@pytest.mark.parametrize("part", [0.02, 0.4])
def test_refused_file_is_let_go(whole, part):
    """A notebook keeps the exception, and the user wants to copy the file again."""
    data = whole.read_bytes()
    whole.write_bytes(data[: int(part * len(data))])
    try:
        recordings.open(whole).close()
    except ValueError as error:
        kept = error
        whole.write_bytes(data)  # Windows refuses while it is mapped
        if sys.platform == "linux":
            assert str(whole.parent) not in Path("/proc/self/maps").read_text("utf-8")
            opened = map(os.path.realpath, Path("/proc/self/fd").iterdir())
            assert not [path for path in opened if str(whole.parent) in path]
        assert kept.__traceback__
    else:
        assert whole.suffix in {".raw", ".mib", ".mrc"}, "it opens with its whole frames"


@open_files_change
def test_shrinking_file_is_noticed(whole):
    with recordings.open(whole) as recording:
        np.testing.assert_array_equal(recording[0].data, STACK[0])
        os.truncate(whole, 1000)
        with pytest.raises(ValueError, match=r"became shorter while it was open|cannot be (decoded|read)"):
            recording[7]


def test_growing_file_keeps_its_frames(whole):
    with recordings.open(whole) as recording:
        with whole.open("ab") as file:
            file.write(bytes(64 * 64 * 2))
        assert len(recording) == 8
        np.testing.assert_array_equal(recording[7].data, STACK[7])


@open_files_change
def test_replaced_file_keeps_its_frames(whole):
    with recordings.open(whole) as recording:
        new = whole.with_name("new")
        new.write_bytes(b"something else")
        new.replace(whole)
        np.testing.assert_array_equal(np.stack([frame.data for frame in recording]), STACK)


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("seed", [*range(12), 146, 222, 881, 1143])
def test_damaged_file_never_crashes(whole, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(whole.read_bytes())
    for at in rng.integers(0, min(len(data), 2000), 20):
        data[at] = rng.integers(256)
    whole.write_bytes(data)
    told = None
    try:
        with recordings.open(whole) as recording:
            assert {frame.data.shape for frame in recording} == {recording.shape[1:]}
    except ValueError as error:
        told = str(error)
    if told is not None:
        assert whole.name in told
        assert "\n" not in told
        assert len(told) < 500


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(whole):
    whole.chmod(0)
    assert "no permission to read" in sentence(whole, PermissionError)


def test_refused_access_is_named(whole, monkeypatch):
    def refuse(path, *_args, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("dmlink.recordings.family._file", refuse)
    assert sentence(whole, PermissionError) == f"You have no permission to read {whole}; ask its owner."


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are POSIX")
def test_dead_links_and_pipes_are_refused(tmp_path):
    (tmp_path / "a.tif").symlink_to(tmp_path / "b.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    assert "symbolic link to itself" in sentence(tmp_path / "a.tif")
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nothing.tif")
    assert "There is no recording at" in sentence(tmp_path / "gone.tif", FileNotFoundError)
    os.mkfifo(tmp_path / "pipe.tif")
    assert "neither a file nor a folder" in sentence(tmp_path / "pipe.tif")
    np.save(tmp_path / "x.npy", STACK)
    assert "There is no recording at" in sentence(tmp_path / "x.npy" / "inside.tif", FileNotFoundError)


def test_folder_that_holds_itself_opens(tmp_path):
    write_in_situ_tree(tmp_path, STACK, exposure=0.5)
    (tmp_path / "Hour_00" / "Minute_00" / "again").symlink_to(tmp_path)
    with recordings.open(tmp_path) as recording:
        assert len(recording) == 8


def test_missing_frame_is_named(tmp_path):
    for i, frame in enumerate(STACK):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    with recordings.open(tmp_path) as recording:
        (tmp_path / "3.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"3\.png was deleted after .* was opened"):
            recording[3]
        np.testing.assert_array_equal(recording[4].data, STACK[4])


@open_files_change
def test_changed_part_is_named(tmp_path):
    write_in_situ_raw(tmp_path / "x.dm4", STACK, exposure=0.1, part_bytes=20_000)
    with recordings.open(tmp_path / "x.dm4") as recording:
        os.truncate(tmp_path / "x.raw_2", 10_000)
        for i in (4, 5):  # one starts before it
            with pytest.raises(ValueError, match=r"x\.raw_2 became shorter while it was open"):
                recording[i]
        np.testing.assert_array_equal(recording[3].data, STACK[3])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: file.unlink(), "was deleted after"),
        (lambda file: os.truncate(file, 0), "is empty"),
        (lambda file: os.truncate(file, 300), "cut short"),
        (lambda file: os.truncate(file, file.stat().st_size // 2), "cut short"),
        (
            lambda file: (file.unlink(), write_dm4(file, STACK[0, :9])),
            r"is \(9, 64\) uint16, but .* use a folder per frame size",
        ),
    ],
)
def test_changed_file_of_a_tree_is_named(tmp_path, change, told):
    write_in_situ_tree(tmp_path, STACK, exposure=0.5)
    with recordings.open(tmp_path) as recording:
        file = sorted(tmp_path.glob("Hour_00/Minute_00/Second_02/*"))[1]
        change(file)
        with pytest.raises((ValueError, FileNotFoundError), match=f"{file.name} .*{told}"):
            recording[5]
        np.testing.assert_array_equal(recording[6].data, STACK[6])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: os.truncate(file, 0), "cannot be read as an image"),
        (lambda file: os.truncate(file, file.stat().st_size // 2), "cannot be read as an image"),
        (
            lambda file: Image.fromarray(STACK[0, :9]).save(file),
            r"is \(9, 64\) uint16, but .* use a folder per image size",
        ),
        (lambda file: Image.fromarray(STACK[0].astype(np.uint8)).save(file), "uint8, but"),
    ],
)
def test_changed_image_of_a_folder_is_named(tmp_path, change, told):
    for i, frame in enumerate(STACK):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    with recordings.open(tmp_path) as recording:
        change(tmp_path / "5.png")
        with pytest.raises(ValueError, match=rf"5\.png .*{told}"):
            recording[5]
        np.testing.assert_array_equal(recording[6].data, STACK[6])


def test_damaged_recorded_frame_is_named(tmp_path):
    path = tmp_path / "gold.ome.zarr"
    image = ImageWriter(path, (64, 64), np.uint16, y=Axis(), x=Axis(), name="View")
    journal = Journal(path / JOURNAL)
    for i, frame in enumerate(STACK):
        image.write(i, frame)
        journal.write({"index": i, "time": i / 10})
    with recordings.open(path) as recording:
        (path / "0" / "c" / "3" / "0" / "0").unlink()
        os.truncate(path / "0" / "c" / "5" / "0" / "0", 100)
        with pytest.raises(ValueError, match=r"Frame 3 of .* is lost: .* is missing"):
            recording[3]
        with pytest.raises(ValueError, match=r"A chunk of .* is cut short: it has 100 of \d+ bytes"):
            recording[5]
        np.testing.assert_array_equal(recording[7].data, STACK[7])
    lines = (path / JOURNAL).read_bytes()
    (path / JOURNAL).write_bytes(lines[:-20] + bytes(20))  # as after a power failure
    with recordings.open(path) as recording:
        assert len(recording) == 7
        np.testing.assert_array_equal(recording[6].data, STACK[6])
    (path / JOURNAL).write_bytes(lines[:40] + bytes(3) + lines[43:])
    assert f"{path / JOURNAL} is damaged" in sentence(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_huge_folder_opens_by_names(tmp_path):
    # All but the first are dangling links: reading them would fail.
    Image.fromarray(STACK[0]).save(tmp_path / "frame 000000.png")
    folder = os.open(tmp_path, os.O_RDONLY)
    for i in range(1, 20_000):
        os.symlink("nothing", f"frame {i:06}.png", dir_fd=folder)
    os.close(folder)
    with recordings.open(tmp_path) as recording:
        assert len(recording) == 20_000
        np.testing.assert_array_equal(recording[0].data, STACK[0])


@pytest.mark.skipif(os.name == "nt", reason="sparse files and their blocks are POSIX")
@pytest.mark.parametrize("name", ["huge.npy", "huge.raw", "huge.mrc", "huge.tif"])
def test_40_gb_open_unread(tmp_path, name):
    # Sparse files: unwritten parts take no disk space, and reading everything would take far too long.
    path, shape = tmp_path / name, (10_000, 1024, 2048)
    size = int(np.prod(shape)) * 2
    if name == "huge.npy":
        with path.open("wb") as file:
            header = {"descr": "<u2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
    elif name == "huge.raw":
        frames = np.zeros((1, *shape[1:]), np.uint16)
        tags = {"In-situ:Recorded:# Frames": shape[0]}
        write_in_situ_raw(path.with_suffix(".dm4"), frames, exposure=0.1, tags=tags)
        os.truncate(path, 0)
    elif name == "huge.mrc":
        mrcfile.write(path, np.zeros((1, *shape[1:]), np.uint16))
        with path.open("r+b") as file:
            file.seek(8)
            file.write(np.int32(shape[0]).tobytes())
        os.truncate(path, 1024)
    else:
        tifffile.memmap(path, shape=shape, dtype=np.uint16, bigtiff=True, photometric="minisblack")
    if name != "huge.tif":  # its pages are listed at the end
        os.truncate(path, path.stat().st_size + size)
    with recordings.open(path) as recording:
        assert recording.shape == shape
        assert recording[5000].data.sum() == 0
        assert recording[9_999].data[-1, -1] == 0
    assert path.stat().st_blocks * 512 < 100e6  # still sparse


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how much is mapped")
def test_memory_does_not_grow_with_reading(tmp_path):
    path, shape = tmp_path / "large.npy", (100, 1024, 1024)
    with path.open("wb") as file:
        header = {"descr": "<u2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
    os.truncate(path, path.stat().st_size + 2 * int(np.prod(shape)))

    def mapped():
        told = Path("/proc/self/status").read_text()
        return int(told.split("RssFile:")[1].split()[0]) / 1e3

    with recordings.open(path) as recording:
        first = recording[0]
        before = mapped()
        assert all(frame.data.max() == 0 for frame in recording)
        assert mapped() - before < 20, "of 210 MB that were read"
        assert first.data.max() == 0


def test_half_a_zarr_is_refused(tmp_path):
    path = tmp_path / "movie.zarr"
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=STACK, chunks=(1, 64, 64))
    group.attrs["ome"] = {"multiscales": [{"axes": [], "datasets": [{"path": "1"}]}]}
    assert "movie.zarr is not a complete OME-Zarr" in sentence(path)
    group.attrs["ome"] = {}
    (path / "0" / "c" / "3" / "0" / "0").write_bytes(b"damaged")
    assert "A chunk of" in sentence(path)


@pytest.mark.parametrize("what", ["", " folder", ".dm4"])
def test_command_says_it_in_one_line(tmp_path, capsys, what):
    path = tmp_path / f"no such{what}"
    if what == ".dm4":
        path.write_bytes(b"\0\0\0\x04 and then nothing of it")
    elif what:
        path.mkdir()
    assert main(["info", str(path)]) != 0
    told = capsys.readouterr().err.strip()
    assert str(path) in told
    assert "\n" not in told
    assert "Traceback" not in told


def test_reading_changes_no_file(whole):
    before = whole.read_bytes(), stat.S_IMODE(whole.stat().st_mode), whole.stat().st_mtime_ns
    with recordings.open(whole) as recording:
        for frame in recording:
            with pytest.raises(ValueError, match="read-only"):
                frame.data[0, 0] = 1
    assert (whole.read_bytes(), stat.S_IMODE(whole.stat().st_mode), whole.stat().st_mtime_ns) == before
