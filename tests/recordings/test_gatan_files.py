"""Gatan's files: every DM data type, byte order and in-situ layout returns the frames that were written."""

import numpy as np
import pytest

from dmlink import recordings
from dmlink.frame import Axis
from dmlink.recordings.formats import dm
from dmlink.recordings.formats.packed_complex import unpack, unpack_old
from dmlink.simulator.dm.gatan_files import (
    PIXEL_TYPES,
    in_situ_tags,
    write_dm4,
    write_in_situ_raw,
    write_in_situ_tree,
)

BINNING = "Acquisition:Parameters:High Level:Binning"
VOLTAGE = "Microscope Info:Voltage"


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 60_000, (9, 5, 6)).astype(np.uint16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", PIXEL_TYPES)
def test_every_type_and_byte_order_reads(tmp_path, frames, dtype, byteorder):
    path = tmp_path / "Größe µm 1.dm4"
    axes = [(0, 0.1, "s"), (2, 0.5, "nm"), (-3, 0.25, "\u03bcm")]
    tags = {BINNING: [2, 2], VOLTAGE: 300e3, "Session": {"Operator": "Jürgen"}}
    stack = frames.astype(dtype)
    write_dm4(path, stack, axes=axes, tags=tags, byteorder=byteorder)
    with recordings.open(path) as recording:
        assert (recording.shape, recording.dtype, recording.name) == (stack.shape, stack.dtype, "Größe µm 1")
        assert (recording.y, recording.x) == (Axis(-1, 0.5, "nm"), Axis(0.75, 0.25, "µm"))
        assert recording.fps == pytest.approx(10)
        np.testing.assert_allclose(recording.times, np.arange(9) / 10)
        assert recording.tags["Session"] == {"Operator": "Jürgen"}
        assert recording[3].tags == {"binning": 2, "high_tension": 300e3}
        for frame, written in zip(recording, stack, strict=True):
            np.testing.assert_array_equal(frame.data, written)
            assert frame.data.dtype.isnative


def test_other_readers_read_our_files(tmp_path, frames):
    rsciio = pytest.importorskip("rsciio.digitalmicrograph")
    write_dm4(tmp_path / "x.dm4", frames, axes=[(0, 1, ""), (2, 0.5, "nm"), (0, 0.25, "nm")])
    (signal,) = rsciio.file_reader(tmp_path / "x.dm4")
    np.testing.assert_array_equal(signal["data"], frames)
    assert [(a["offset"], a["scale"]) for a in signal["axes"][1:]] == [(-1, 0.5), (0, 0.25)]


@pytest.mark.parametrize("part_bytes", [None, 60, 77, 200, 1])
@pytest.mark.parametrize("opened", ["movie [1].dm4", "movie [1].raw", "."])
def test_split_in_situ_frames_are_whole(tmp_path, frames, part_bytes, opened):
    options = {"exposure": 0.25, "axes": [(0, 0.5, "nm")] * 2, "tags": {BINNING: [4, 4]}}
    write_in_situ_raw(tmp_path / "movie [1].dm4", frames, part_bytes=part_bytes, **options)
    with recordings.open(tmp_path / opened) as recording:
        assert (recording.shape, recording.fps, recording.x) == ((9, 5, 6), 4, Axis(0, 0.5, "nm"))
        assert recording[2].tags == {"exposure": 0.25, "binning": 4}
        for i in (4, 8, *range(9)):
            np.testing.assert_array_equal(recording[i].data, frames[i])


def test_cut_in_situ_has_complete_frames(tmp_path, frames):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.1)
    raw = tmp_path / "movie.raw"
    raw.write_bytes(raw.read_bytes()[: 5 * 60 + 17])
    with recordings.open(raw) as recording:
        assert (len(recording), recording.expected) == (5, 9)
        np.testing.assert_array_equal(recording[4].data, frames[4])
    raw.write_bytes(b"1234")
    with pytest.raises(ValueError, match=r"movie\.raw is cut short: 4 bytes are less than a frame"):
        recordings.open(raw)


def test_missing_in_situ_part_is_named(tmp_path, frames):
    write_in_situ_raw(tmp_path / "movie.dm4", frames, exposure=0.1, part_bytes=100)
    (tmp_path / "movie.raw_2").unlink()
    with pytest.raises(ValueError, match=r"movie\.raw_2 is missing"):
        recordings.open(tmp_path / "movie.dm4")
    (tmp_path / "movie.dm4").unlink()
    with pytest.raises(ValueError, match=r"movie\.raw has no header: a \.dm4"):
        recordings.open(tmp_path / "movie.raw")


def test_empty_last_in_situ_part_is_left_out(tmp_path, frames):
    header = tmp_path / "a.dm4"
    write_in_situ_raw(header, frames, exposure=0.1)
    header.with_suffix(".raw_1").touch()
    with recordings.open(header) as recording:
        np.testing.assert_array_equal(np.asarray(recording), frames)


@pytest.mark.parametrize("opened", [".", "movie.dm4", "Hour_00"])
def test_in_situ_tree_is_in_time_order(tmp_path, opened):
    frames = np.arange(130 * 4, dtype=np.float32).reshape(130, 2, 2)
    write_in_situ_tree(tmp_path, frames, name="movie", exposure=0.5, axes=[(0, 0.5, "nm")] * 2)
    with recordings.open(tmp_path / opened) as recording:
        assert (recording.shape, recording.fps, recording.x) == ((130, 2, 2), 2, Axis(0, 0.5, "nm"))
        np.testing.assert_allclose(recording.times, np.arange(130) / 2)
        np.testing.assert_array_equal(np.stack([frame.data for frame in recording]), frames)


@pytest.mark.parametrize("header", ["whole", "first", "none"])
@pytest.mark.parametrize("opened", [".", "movie.dm4"])
def test_files_next_to_a_tree_are_no_frames(tmp_path, frames, opened, header):
    write_in_situ_tree(tmp_path, frames, name="movie", exposure=0.5)
    if header != "whole":
        (tmp_path / "movie.dm4").unlink()
    if header == "first":  # written before the frames, and not again at their end
        write_dm4(tmp_path / "movie.dm4", frames[0], tags=in_situ_tags(0, 0.5))
    if header == "none":
        write_dm4(tmp_path / "movie.dm4", frames[0, :2])
    write_dm4(tmp_path / "overview.dm4", frames[0, :3])
    if header == "none" and opened != ".":
        assert recordings.open(tmp_path / opened).shape == (1, 2, 6)
        return
    with recordings.open(tmp_path / opened) as recording:
        np.testing.assert_array_equal(np.asarray(recording), frames)
        assert recording.times[-1] == pytest.approx((len(frames) - 1) / 2)


def test_raw_with_a_dot_in_its_name_has_its_own_header(tmp_path, frames):
    write_in_situ_raw(tmp_path / "film.dm4", frames, exposure=0.1)
    write_in_situ_raw(tmp_path / "film.2.dm4", frames[::-1], exposure=0.1, part_bytes=100)
    for name in ("film.2.raw", "film.2.raw_1", "film.2.dm4"):
        np.testing.assert_array_equal(np.asarray(recordings.open(tmp_path / name)), frames[::-1])
    np.testing.assert_array_equal(np.asarray(recordings.open(tmp_path / "film.raw")), frames)


def test_folder_of_one_raw_recording_opens_it(tmp_path, frames):
    write_in_situ_raw(tmp_path / "film.dm4", frames, exposure=0.1)
    write_dm4(tmp_path / "overview.dm4", frames[0])
    np.testing.assert_array_equal(np.asarray(recordings.open(tmp_path)), frames)
    write_in_situ_raw(tmp_path / "other.dm4", frames, exposure=0.1)
    with pytest.raises(ValueError, match=r"several recordings, film\.dm4 and other\.dm4 among them"):
        recordings.open(tmp_path)


@pytest.mark.parametrize(("n", "exposure"), [(3, 0.1), (14, 0.1), (40, 0.1), (2, 0.5)])
def test_in_situ_tree_of_split_seconds_has_times(tmp_path, n, exposure):
    frames = np.zeros((n, 2, 2), np.float32)
    write_in_situ_tree(tmp_path, frames, exposure=exposure)
    with recordings.open(tmp_path) as recording:
        np.testing.assert_allclose(recording.times, np.arange(n) * exposure)


def test_in_situ_tree_allows_longer_tags(tmp_path, frames):
    write_in_situ_tree(tmp_path, frames, exposure=0.25)
    second = tmp_path / "Hour_00" / "Minute_00" / "Second_01"
    longer, other = sorted(second.iterdir())[:2]
    for path, pixels in ((longer, frames[4]), (other, frames[5][:3])):
        path.unlink()
        write_dm4(path, pixels, tags={"A note": "x" * 200})
    with recordings.open(tmp_path) as recording:
        np.testing.assert_array_equal(recording[4].data, frames[4])
        with pytest.raises(ValueError, match=r"is \(3, 6\) uint16, but .* is \(5, 6\) uint16; use a folder"):
            recording[5]
        np.testing.assert_array_equal(recording[6].data, frames[6])


@pytest.mark.parametrize("keep", [1, 3, 8, 30, 200, 0.5, 0.9])
def test_truncated_dm_file_is_refused(tmp_path, frames, keep):
    path = tmp_path / "movie.dm4"
    write_dm4(path, frames)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ValueError, match=r"movie\.dm4") as caught:
        recordings.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_dm_file_never_crashes(tmp_path, frames, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "movie.dm4"
    write_dm4(path, frames[:1, :2, :2], tags={"a": {"b": "text"}, "c": [1.0, 2.0]})
    damaged = bytearray(path.read_bytes())
    for at in rng.integers(12, len(damaged), 8):
        damaged[at] = rng.integers(256)
    path.write_bytes(damaged)
    told = None
    try:
        with recordings.open(path) as recording:
            assert recording[0].data.shape == recording.shape[1:]
    except ValueError as error:
        told = str(error)
    if told is not None:
        assert "movie.dm4" in told
        assert "\n" not in told


@pytest.mark.parametrize("kind", [10, *dm.COLOURS, *dm.PACKED, dm.PACKED_OLD])
def test_image_without_dimensions_is_refused(tmp_path, frames, kind):
    write_dm4(tmp_path / "movie.dm4", frames)
    (image,) = dm.images(tmp_path / "movie.dm4")
    told = {"DataType": kind, "Data": image.data, "Dimensions": {}}
    with pytest.raises(ValueError, match=r"movie\.dm4 has (no pixels|packed).* shape (is )?\(\)"):
        dm.DmImage(image.file, {"ImageData": told}, "<").open()


def test_half_fourier_transform_is_completed(tmp_path):
    rng = np.random.default_rng(0)
    for h, w in [(4, 6), (5, 5), (6, 4), (5, 4)]:
        whole = np.fft.fftshift(np.fft.fft2(rng.random((h, w))))
        # Column k of the file is the frequency -k along x.
        half = np.stack([whole[:, (w // 2 - k) % w] for k in range(w // 2 + 1)], axis=1)
        np.testing.assert_allclose(unpack(half, w), whole, atol=1e-12)
    whole = np.fft.fftshift(np.fft.fft2(rng.random((6, 8))))
    packed = whole[:, 4:].copy()
    packed[1:3, 0] = whole[4:, 0]
    packed[0, 0] = complex(whole[3, 0].real, whole[0, 0].real)
    packed[3, 0] = complex(whole[3, 4].real, whole[0, 4].real)
    np.testing.assert_allclose(unpack_old(packed), whole, atol=1e-12)
