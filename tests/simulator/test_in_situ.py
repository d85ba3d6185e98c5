"""In-situ: a data set written as DigitalMicrograph might write it, read while it grows."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from disks import small_disk
from growing_writer import until

import dmlink
from dmlink import recordings
from dmlink.simulator.in_situ import InSitu

STACK = np.random.default_rng(5).integers(0, 60_000, (30, 24, 20)).astype(np.uint16)
PART = 5 * STACK[0].nbytes + 100


@pytest.fixture
def seen(tmp_path):
    """Return the camera's frames."""
    np.save(tmp_path / "seen.npy", STACK)
    with recordings.open(tmp_path / "seen.npy", scale=0.5, unit="nm") as recording:
        yield recording


@pytest.mark.parametrize(
    ("layout", "header", "preallocate"),
    [
        *itertools.product(["raw"], ["first", "last"], [False, True]),
        ("tree", "first", False),
        ("tree", "last", False),
    ],
)
def test_in_situ_data_is_followed_to_its_end(tmp_path, seen, layout, header, preallocate):
    folder = tmp_path / "set"
    with (
        dmlink.follow(folder, idle=None) as source,
        InSitu(
            seen, folder, 50, layout=layout, header=header, preallocate=preallocate, part_bytes=PART
        ) as writer,
    ):
        got = list(source)
        assert writer.ended.is_set()
    np.testing.assert_array_equal([f.data for f in got], STACK)
    with recordings.open(folder) as finished:
        np.testing.assert_array_equal(np.asarray(finished), STACK)
        assert (finished.x.scale, finished.x.unit) == (0.5, "nm")
        assert finished.expected == 30


@pytest.mark.parametrize("layout", ["raw", "tree"])
def test_in_situ_data_has_the_microscope_of_the_recording(tmp_path, seen, layout):
    seen.tags.update(high_tension=80e3, exposure=9.0)
    with InSitu(seen, tmp_path / "set", 50, layout=layout) as writer:
        assert writer.ended.wait(60)
    with recordings.open(tmp_path / "set") as finished:
        assert finished[0].tags["high_tension"] == 80e3
        assert finished[0].tags["exposure"] == pytest.approx(1 / 50)  # of this writing


def test_in_situ_recording_pauses_and_ends(tmp_path, seen):
    with InSitu(seen, tmp_path / "set", 200, loop=True) as writer:
        until(lambda: writer.written > 40)  # beyond the last frame
        writer.pause()
        until(lambda: not writer.ended.is_set())
        writer.resume()
    with recordings.open(tmp_path / "set") as finished:
        assert len(finished) == writer.written
    with pytest.raises(FileExistsError, match="another folder"):
        InSitu(seen, tmp_path / "set")
    with pytest.raises(ValueError, match="header='middle'"):
        InSitu(seen, tmp_path / "other", header="middle")


def test_full_disk_is_reported_when_followed(tmp_path, seen):
    with (
        small_disk(tmp_path / "disk", "24k") as disk,
        dmlink.follow(disk, idle=6.0) as source,
        InSitu(seen, disk, 200) as writer,
    ):
        got = [f.data for f in source]
        assert "No space left" in writer.reason
        assert len(got) == writer.written < 30
        np.testing.assert_array_equal(got, STACK[: len(got)])


def test_command_records_more_than_it_shows(tmp_path, seen):
    folder = tmp_path / "set"
    words = ["simulate", str(seen.path), "--port", "0", "--fps", "5", "--no-loop", "--record-to", str(folder)]
    words += ["--record-fps", "25", "--record-part", "0.01"]
    process = subprocess.Popen([sys.executable, "-m", "dmlink", *words], stdout=subprocess.PIPE, text=True)
    try:
        with dmlink.follow(folder, idle=None) as source:
            got = [source.next(60).data for _ in range(30)]
        np.testing.assert_array_equal(got, STACK)
    finally:
        process.terminate()
        out = process.communicate(timeout=60)[0]
    assert out.startswith("dmlink://")
    assert "Recording to" in out
    assert "30 frames are in" in out
    assert (folder / "insitu.raw_2").exists()


@pytest.mark.parametrize("header", ["first", "last"])
@pytest.mark.parametrize("layout", ["raw", "tree"])
def test_types_that_dm_lacks_are_converted(tmp_path, header, layout):
    np.save(tmp_path / "a.npy", np.arange(3 * 64).reshape(3, 8, 8))  # int64
    with dmlink.open(tmp_path / "a.npy") as recording:
        with InSitu(recording, tmp_path / "set", math.inf, layout=layout, header=header) as writer:
            assert writer.ended.wait(60)
        with dmlink.open(tmp_path / "set") as written:
            assert written.dtype == np.float64
            np.testing.assert_array_equal(np.asarray(written), np.asarray(recording))
