"""A look-back keeps the last seconds unchanged, within its memory limit, delaying nobody."""

import numpy as np
import pytest
from microscopes import Noise, leaving_no_blocks, linked, microscope, until

import dmlink


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    with leaving_no_blocks(monkeypatch):
        yield


def kept(lookback, n):
    """Return a condition: at least n frames are kept."""
    return lambda: lookback.first is not None and len(lookback.frames) >= n


def test_last_seconds_are_kept():
    recording = Noise()
    with linked(recording, patient=True) as (dm, link), link.lookback(0.5) as lookback:
        until(link, lambda: lookback.seconds > 0.3)
        started = lookback.first
        until(link, lambda: lookback.first > started + 20)
        frames = lookback.frames
        assert frames.times[-1] - frames.times[0] <= 0.5
        numbers = [frame.index for frame in frames]
        assert numbers == sorted(set(numbers))
        for frame in frames:
            recording.number(frame)  # fails if it is not a frame of the recording
        dm.camera.pause()
        dm.settle()


def test_lookback_requests_frames_itself():
    with linked() as (_, link), link.lookback() as lookback:
        until(link, kept(lookback, 30))


def test_lossless_lookback_has_no_gap():
    recording = Noise()
    with linked(recording, mode="lossless", patient=True) as (_, link), link.lookback() as lookback:
        first = link.next(60)  # then this reader takes no more frames
        until(link, kept(lookback, 60))
        frames = lookback.frames
        assert lookback.missing == 0
        assert [frame.index for frame in frames] == list(range(frames[0].index, frames[-1].index + 1))
        assert frames[0].index <= first.index + 60


def test_lookback_keeps_to_its_memory():
    recording = Noise(5, (128, 128))
    memory = 50 * recording.stack[0].nbytes
    with linked(recording, fps=500) as (_, link), link.lookback(1000, memory) as lookback:
        until(link, lambda: lookback.reason)
        assert lookback.bytes <= memory
        assert "1.638 MB hold" in lookback.reason
        first = lookback.first
        until(link, lambda: lookback.first > first + 100)
        assert len(lookback.frames) * recording.stack[0].nbytes <= memory


def test_frame_larger_than_the_memory():
    with linked() as (_, link), link.lookback(30, 5000) as lookback:
        until(link, lambda: lookback.reason)
        assert "A frame takes 0.01" in lookback.reason
        with pytest.raises(ValueError, match=r"holds no frame. A frame takes"):
            lookback.frames  # noqa: B018
        assert (lookback.first, lookback.last, lookback.seconds, lookback.bytes) == (None, None, 0.0, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"seconds": 0}, {"seconds": float("nan")}, {"memory": -1}, {"memory": "1 GB"}, {"seconds": True}],
)
def test_wrong_limits_are_refused(wrong):
    with linked() as (_, link), pytest.raises(ValueError, match="a look-back needs a positive number"):
        link.lookback(**wrong)


def test_new_shape_starts_over():
    with linked(Noise(8, (64, 64))) as (dm, link), link.lookback() as lookback:
        until(link, kept(lookback, 5))
        dm.restart_view(binning=2)
        until(link, lambda: lookback.first is not None and lookback.frames.shape[1:] == (32, 32))
        until(link, kept(lookback, 5))
        assert {frame.data.shape for frame in lookback.frames} == {(32, 32)}


def test_saved_lookback_is_a_recording(tmp_path):
    recording = Noise()
    with microscope(recording) as dm, dmlink.connect(dm.endpoint) as link, link.lookback() as lookback:
        until(link, kept(lookback, 20))
        dm.camera.pause()
        dm.settle()
        still = recording.stack[dm.camera.position]
        until(link, lambda: np.array_equal(link.newest.data, still))
        frames = lookback.frames
        path = lookback.save(tmp_path / "before")
        assert path.name == "before.ome.zarr"
        with dmlink.open(path) as saved:
            assert len(saved) == len(frames)
            assert saved.name == "Gold"
            assert (np.asarray(saved) == np.asarray(frames)).all()
            assert [frame.tags["source_index"] for frame in saved] == [frame.index for frame in frames]
            assert np.allclose(saved.times, frames.times)
            assert (saved.y, saved.x) == (recording.y, recording.x)
        with pytest.raises(FileExistsError):
            lookback.save(tmp_path / "before")
        assert lookback.save(tmp_path / "before", overwrite=True) == path


def test_full_disk_saves_what_fits(tmp_path, monkeypatch):
    with linked() as (_, link), link.lookback() as lookback:
        until(link, kept(lookback, 5))
        monkeypatch.setattr("dmlink.recordings.writing.frame_writer.RESERVE", 1 << 60)
        with pytest.raises(ValueError, match=r"nearly full .* 0 frames are kept in .*before"):
            lookback.save(tmp_path / "before")


def test_frames_outlive_the_lookback():
    recording = Noise()
    with linked(recording, patient=True) as (_, link):
        with link.lookback() as lookback:
            until(link, kept(lookback, 5))
            frames = lookback.frames
        for frame in frames:
            recording.number(frame)
        with pytest.raises(ValueError, match="It is closed"):
            lookback.frames  # noqa: B018
        frames.calibrate(scale=2, unit="um", fps=10)
        assert (frames[3].x.scale, frames[3].x.unit, frames[3].time) == (2, "um", 0.3)
        with pytest.raises(TypeError, match="save the look-back"):
            frames.__reduce__()
        del frame, frames


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.complex64])
def test_packed_frames_take_less_and_are_the_same(tmp_path, dtype):
    recording = Noise(7, (64, 64), dtype)
    with (
        linked(recording, mode="lossless", patient=True) as (_, link),
        link.lookback(1000, 10**9) as plain,
        link.lookback(1000, 10**9, compress=True) as packed,
    ):
        until(
            link, lambda: packed.last and packed.last > packed.first + 40 and packed.bytes < 0.7 * plain.bytes
        )
        frames = packed.frames
        assert packed.missing == 0
        for frame in frames:
            recording.number(frame)
        same = [plain.frame(frame.index, frame.time) for frame in frames[:30]]
        assert np.array_equal(np.asarray(frames[:30]), [frame.data for frame in same])
        one = frames[3]
        same = packed.frame(one.index, one.time)
        assert np.array_equal(same.data, one.data)
        assert same.data.flags.writeable is False
        assert [frame.index for frame in packed.after(one.index, 0.0)][:3] == [
            one.index + i for i in (1, 2, 3)
        ]
        with dmlink.open(packed.save(tmp_path / "packed")) as saved:
            assert np.array_equal(np.asarray(saved[:30]), np.asarray(frames[:30]))
        del frames, one, same


def test_link_finds_a_frame_that_is_kept():
    with linked(mode="lossless") as (_, link), link.lookback() as lookback:
        until(link, kept(lookback, 10))
        frame = lookback.frames[4]
        assert np.array_equal(link.kept(frame.index, frame.time).data, frame.data)
        assert link.kept(frame.index, frame.time + 1) is None
        lookback.close()
        assert link.kept(frame.index, frame.time) is None
        del frame
