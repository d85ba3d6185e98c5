"""Recordings are opened lazily, with calibration, and refused in one sentence if they cannot be read."""

import argparse
import json
import re

import numpy as np
import pytest
import tifffile
from PIL import Image
from project import DATA
from scipy import ndimage

from dmlink import recordings
from dmlink.cli import info
from dmlink.frame import Axis, Frame


def reference(name):
    path = DATA / name
    return pytest.param(
        path, marks=pytest.mark.skipif(not path.exists(), reason=f"no reference data at {path}")
    )


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 60_000, (3, 5, 7)).astype(np.uint16)


def save(folder, kind, stack):
    """Write `stack` in one of the formats that dmlink reads, and return the path."""
    path = folder / f"movie{kind}"
    if kind == ".npy":
        np.save(path, stack)
    elif kind == ".tif":
        tifffile.imwrite(path, stack, photometric="minisblack")
    elif kind == "-deflate.tif":
        tifffile.imwrite(path, stack, photometric="minisblack", compression="zlib")
    elif kind == "-big-endian.tiff":
        tifffile.imwrite(path, stack, photometric="minisblack", byteorder=">", bigtiff=True)
    else:
        path.mkdir()
        for i, frame in enumerate(stack):
            Image.fromarray(frame).save(path / f"frame {i + 8}{kind}")  # 8, 9, 10
    return path


KINDS = [".npy", ".tif", "-deflate.tif", "-big-endian.tiff", ".png", ".tiff"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_gives_the_same_frames(tmp_path, stack, kind):
    with recordings.open(save(tmp_path, kind, stack), scale=0.5, unit="nm", fps=10) as recording:
        assert (len(recording), recording.shape, recording.dtype) == (3, (3, 5, 7), np.dtype("uint16"))
        np.testing.assert_allclose(recording.times, [0, 0.1, 0.2])
        frames = list(recording)
        assert recording[-1].index == 2
        with pytest.raises(IndexError, match="has 3 frames; there is no frame 3"):
            recording[3]
    for i, frame in enumerate(frames):  # still valid after closing
        assert isinstance(frame, Frame)
        np.testing.assert_array_equal(frame.data, stack[i])
        assert type(frame.data) is np.ndarray
        assert frame.data.dtype == np.dtype("uint16")  # in this machine's byte order
        assert not frame.data.flags.writeable
        assert frame.data.flags.c_contiguous
        assert (frame.index, frame.time) == (i, pytest.approx(i / 10))
        assert frame.x == frame.y == Axis(0.0, 0.5, "nm")
        assert frame.source == recording.name


@pytest.mark.parametrize("kind", KINDS)
def test_closed_recording_says_so(tmp_path, stack, kind):
    recording = recordings.open(save(tmp_path, kind, stack))
    recording.close()
    recording.close()
    with pytest.raises(ValueError, match=r"is closed; open it again with dmlink\.open"):
        recording[0]


@pytest.mark.parametrize("kind", KINDS)
def test_times_without_rate_are_numbers(tmp_path, stack, kind):
    with recordings.open(save(tmp_path, kind, stack)) as recording:
        assert recording.fps is None
        assert recording.times.tolist() == [0, 1, 2]
        assert recording.x == Axis()


def test_large_npy_opens_unread(tmp_path):
    # 40 GB, too much to load: the file is sparse, and its pages are never touched.
    path = tmp_path / "huge.npy"
    with path.open("wb") as file:
        header = {"descr": "<u2", "fortran_order": False, "shape": (10_000, 1024, 2048)}
        np.lib.format.write_array_header_2_0(file, header)
        file.truncate(file.tell() + 10_000 * 1024 * 2048 * 2)
    with recordings.open(path) as recording:
        assert recording[9_999].data.sum() == 0


def test_sidecar_calibrates_a_npy(tmp_path, stack):
    path = save(tmp_path, ".npy", stack)
    told = {"scale": 0.05, "unit": "nm", "fps": 20, "name": "gold", "dose": 180.0, "truth": {"drift": [1, 2]}}
    path.with_suffix(".json").write_text(json.dumps(told), "utf-8")
    with recordings.open(path) as recording:
        assert (recording.name, recording.fps, recording.x) == ("gold", 20, Axis(0, 0.05, "nm"))
        assert recording.tags == {"dose": 180.0, "truth": {"drift": [1, 2]}}
        assert recording[1].tags == {"dose": 180.0}  # tables stay with the recording
        assert repr(recording) == "<Recording 'gold': 3 x 5 x 7 uint16, 0.05 nm/px, 20 frames/s>"
    with recordings.open(path, scale=2, fps=5) as recording:  # the user's value takes precedence
        assert (recording.fps, recording.x) == (5, Axis(0, 2.0, "nm"))


def test_picture_is_a_recording_of_one(tmp_path, stack):
    np.save(tmp_path / "one.npy", stack[0])
    Image.fromarray(stack[0]).save(tmp_path / "one.png")
    for name in ("one.npy", "one.png"):
        with recordings.open(tmp_path / name) as recording:
            assert recording.shape == (1, 5, 7)
            np.testing.assert_array_equal(recording[0].data, stack[0])


@pytest.mark.parametrize(
    ("unit", "expected"), [("um", "µm"), ("\\u00B5m", "µm"), ("micron", "µm"), ("nm", "nm")]
)
def test_imagej_calibration_is_used(tmp_path, stack, unit, expected):
    path = tmp_path / "imagej.tif"
    metadata = {"unit": unit, "finterval": 0.05, "axes": "TYX"}
    tifffile.imwrite(path, stack, imagej=True, resolution=(20, 10), metadata=metadata)
    with recordings.open(path) as recording:
        assert recording.x == Axis(0.0, 0.05, expected)
        assert recording.y == Axis(0.0, 0.1, expected)
        np.testing.assert_allclose(recording.times, [0, 0.05, 0.1])


def test_implausible_resolution_is_ignored(tmp_path, stack):
    tifffile.imwrite(tmp_path / "sem.tif", stack[0], resolution=(2e6, 2e6), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "print.tif", stack[0], resolution=(300, 300), resolutionunit="INCH")
    with recordings.open(tmp_path / "sem.tif") as recording:
        assert recording.x.unit == "nm"
        assert recording.x.scale == pytest.approx(5)
    with recordings.open(tmp_path / "print.tif") as recording:
        assert recording.x == Axis()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_equal_channels_are_one(tmp_path, suffix):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = tmp_path / f"colour{suffix}"
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path)
    with recordings.open(path) as recording:
        np.testing.assert_array_equal(recording[0].data, grey)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_true_colour_becomes_luminance(tmp_path, suffix):
    path = tmp_path / f"colour{suffix}"
    Image.new("RGB", (4, 4), (200, 100, 50)).save(path)
    with recordings.open(path) as recording:
        assert recording.dtype == np.uint8
        assert set(recording[0].data.flat) == {124}


@pytest.mark.parametrize("path", [reference("apache_SAM-EM/lptem_example")])
def test_jpeg_folder_is_calibrated_on_request(path):
    with recordings.open(path, scale=2, unit="nm", fps=80) as recording:
        assert (recording.shape, recording.dtype) == ((20, 1024, 1024), np.dtype("uint8"))
        assert recording.name == "lptem_example"
        assert recording.x == recording.y == Axis(0, 2.0, "nm")
        assert recording.times[-1] == pytest.approx(19 / 80)
        smooth = ndimage.gaussian_filter(recording[0].data.astype(float), 6)
    minima = np.argwhere(smooth == ndimage.minimum_filter(smooth, 41))
    for known in [(307, 509), (727, 689), (482, 277), (514, 586)]:
        assert np.hypot(*(minima - known).T).min() <= 2


@pytest.mark.parametrize("path", [reference("bsd_trackpy/video/stuck.tif")])
def test_real_imagej_stack_opens(path):
    with recordings.open(path) as recording:
        assert (recording.shape, recording.dtype) == ((5, 512, 512), np.dtype("uint16"))
        assert recording[4].data.flags.aligned  # its pixels start at an odd byte
        np.testing.assert_array_equal(recording[4].data, tifffile.imread(path)[4])


@pytest.mark.parametrize("path", [reference("bsd_trackpy-examples/bulk_water/bulk_water_green_000-149.tif")])
def test_compressed_video_opens_with_rate(path):
    with recordings.open(path) as recording:
        assert (recording.shape, recording.fps) == ((150, 424, 640), 24)
        np.testing.assert_array_equal(recording[149].data, tifffile.imread(path, key=149))


def refusal(path, **options):
    """Return the sentence with which dmlink refuses to open `path`, or to read all of it."""
    with (
        pytest.raises((ValueError, FileNotFoundError)) as caught,
        recordings.open(path, **options) as recording,
    ):
        list(recording)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or options
    return str(caught.value)


def test_unreadable_file_gives_advice(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no recording at .*; check the path"):
        recordings.open(tmp_path / "absent.npy")
    (tmp_path / "empty folder").mkdir()
    assert "has no images (.jpg" in refusal(tmp_path / "empty folder")
    (tmp_path / "movie.avi").write_bytes(b"RIFF")
    assert "movie.avi" in refusal(tmp_path / "movie.avi")
    for name in ("empty.npy", "empty.tif", "empty.png"):
        (tmp_path / name).touch()
        refusal(tmp_path / name)
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 4)))
    assert "has no pixels" in refusal(tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([[None]]))
    refusal(tmp_path / "objects.npy")
    tifffile.imwrite(tmp_path / "hyper.tif", np.zeros((2, 2, 8, 8), np.uint8), imagej=True)
    assert "has the axes" in refusal(tmp_path / "hyper.tif")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_is_refused(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 60_000, (3, 64, 64)).astype(np.uint16)
    path = save(tmp_path, kind, noise)
    victim = min(path.iterdir()) if path.is_dir() else path
    whole = victim.read_bytes()
    for part in (7, 100, len(whole) // 3, len(whole) // 2):
        victim.write_bytes(whole[:part])
        refusal(path)


def test_mixed_shapes_are_named_when_read(tmp_path, stack):
    path = save(tmp_path, ".png", stack)
    Image.fromarray(stack[0, :4]).save(path / "frame 9.png")
    with recordings.open(path) as recording:
        np.testing.assert_array_equal(recording[0].data, stack[0])
        with pytest.raises(
            ValueError, match=r"frame 9\.png is \(4, 7\) uint16, but frame 8\.png is \(5, 7\)"
        ):
            recording[1]
        np.testing.assert_array_equal(recording[2].data, stack[2])


@pytest.mark.parametrize("sidecar", ["{", "[1]", '{"scale": "big"}', '{"fps": -1}', '{"scale": 0}'])
def test_wrong_sidecar_is_refused(tmp_path, stack, sidecar):
    path = save(tmp_path, ".npy", stack)
    path.with_suffix(".json").write_text(sidecar, "utf-8")
    with pytest.raises(
        ValueError, match=r"; (correct or remove it|write an object)|must be a number greater than 0"
    ):
        recordings.open(path)


@pytest.mark.parametrize(
    "options", [{"scale": 0}, {"scale": float("nan")}, {"fps": -2}, {"fps": float("inf")}]
)
def test_impossible_override_is_refused(tmp_path, stack, options):
    assert "must be a number greater than 0" in refusal(save(tmp_path, ".npy", stack), **options)


def test_info_prints_shape_scale_and_rate(tmp_path, stack, capsys):
    path = save(tmp_path, ".npy", stack)
    assert told_by_info(path, capsys)["scale"] == "not calibrated"
    path.with_suffix(".json").write_text('{"scale": 0.05, "unit": "nm", "fps": 20}', "utf-8")
    told = told_by_info(path, capsys)
    assert told.pop("frame rate") == "20 frames/s"
    assert told == {
        "name": "movie",
        "shape": "3 frames of 5 x 7 pixels",
        "dtype": "uint16, 210 bytes",
        "scale": "0.05 nm per pixel",
        "duration": "0.15 s",
    }


def test_info_shortens_long_lists(tmp_path, stack, capsys):
    path = save(tmp_path, ".npy", stack)
    tags = {"binning": [2, 4], "gains": [1, 2, 3, 4], "slits": [], "stage": {"tilt": 5}, "note": "a\n  b"}
    path.with_suffix(".json").write_text(json.dumps(tags), "utf-8")
    told = told_by_info(path, capsys)
    assert [told[name] for name in tags] == ["2, 4", "(4 entries)", "none", "(1 entry)", "a b"]


def told_by_info(path, capsys):
    """Return what the command prints about a recording."""
    parser = argparse.ArgumentParser()
    info.add_parser(parser.add_subparsers())
    args = parser.parse_args(["info", str(path)])
    assert args.run(args) == 0
    return dict(re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
