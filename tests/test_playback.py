"""Replay: a recording through the live path, under control, which ends with its kernel."""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from microscopes import until

import dmlink
from dmlink.cli import main
from dmlink.frame import Axis
from dmlink.recordings import open as opened
from dmlink.simulator import Microscope
from dmlink.simulator.frames import Frames
from dmlink.simulator.player import Player

N = 12


@pytest.fixture
def path(tmp_path):
    """A recording whose frame i is filled with i, except for two frames that equal the previous ones."""
    values = np.arange(N, dtype=np.uint16)
    values[[5, 6]] = 4
    np.save(tmp_path / "gold particles.npy", np.broadcast_to(values[:, None, None], (N, 24, 32)))
    sidecar = '{"scale": 0.05, "unit": "nm", "fps": 50, "high tension": 300000}'
    (tmp_path / "gold particles.json").write_text(sidecar, "utf-8")
    return tmp_path / "gold particles.npy"


@contextmanager
def paused(path, **options):
    with dmlink.replay(path, **options) as replay:
        replay.pause()
        yield replay


def shown(replay):
    """Return the link's frame, once it is the one at the replay's position."""
    value = int(replay.recording[replay.position].data[0, 0])
    until(replay.link, lambda: replay.link.reader().next(60).data[0, 0] == value)
    return value


def test_replay_is_a_calibrated_live_view(path):
    with dmlink.replay(path) as replay:
        frame = replay.link.next(60)
        assert replay.playing
        assert (len(replay), replay.speed, replay.loop) == (N, 1.0, True)
        assert (frame.x, frame.source, frame.data.shape) == (Axis(0, 0.05, "nm"), "gold particles", (24, 32))


def test_replay_has_the_microscope_of_the_recording(tmp_path):
    """Otherwise a cell that computes with it gives other numbers than on the recording."""
    np.save(tmp_path / "film.npy", np.zeros((3, 24, 32), np.uint16))
    about = {"high_tension": 80e3, "camera_length": 230.0, "magnification": 4e5, "exposure": 0.25}
    (tmp_path / "film.json").write_text(json.dumps(about), "utf-8")
    with dmlink.replay(tmp_path / "film.npy", fps=4) as replay:
        tags = replay.link.next(60).tags
    assert tags == {**about, "binning": 1.0}


def test_options_of_open_hold_for_replay(path):
    with opened(path, scale=2.0, unit="um", fps=10) as recording, paused(recording) as replay:
        assert replay.link.next(60).x == Axis(0, 2.0, "um")
        replay.seek(5)
        assert replay.time == 0.5


def test_pause_step_and_scrub_show_the_frame(path):
    with paused(path) as replay:
        replay.seek(3)
        assert (replay.position, shown(replay), replay.playing) == (3, 3, False)
        replay.step()
        assert (replay.position, shown(replay)) == (4, 4)
        replay.step(6)
        assert (replay.position, shown(replay)) == (10, 10)
        replay.step(-9)
        assert (replay.position, shown(replay)) == (1, 1)
        assert replay.time == 1 / 50
        replay.play()
        until(replay.link, lambda: replay.position not in (0, 1))
        with pytest.raises(IndexError, match="the recording has 12"):
            replay.seek(N)
        assert replay.playing


def test_finished_replay_can_play_again(path):
    with paused(path, loop=False) as replay:
        replay.speed = None
        replay.play()
        until(replay.link, lambda: not replay.playing)
        assert replay.position == N - 1
        replay.step()
        assert replay.position == N - 1
        replay.loop = True
        replay.play()
        until(replay.link, lambda: replay.position != N - 1)
        assert replay.speed is None


def test_loop_counts_on(path):
    with dmlink.replay(path, fps=500) as replay:
        replay.speed = 4
        frame = until(replay.link, lambda: (f := replay.link.next(60)).index > 3 * N and f)
        assert frame.data[0, 0] == replay.recording[frame.index % N].data[0, 0]
        assert replay.speed == 4


def test_frames_keep_numbers_at_any_speed(path):
    with paused(path) as replay, dmlink.connect(replay.link.endpoint, mode="lossless") as link:
        frames = [link.next(60)]
        replay.play()
        for speed in [*range(1, 150), None] * 2:
            replay.speed = speed
            frames.append(link.next(60))
    first = frames[0].index
    assert [frame.index for frame in frames] == list(range(first, first + len(frames)))
    expected = [replay.recording[frame.index % N].data[0, 0] for frame in frames]
    assert [frame.data[0, 0] for frame in frames] == expected


def test_first_frame_is_0_though_dm_is_busy(path):
    hold = "import time\nprint('busy')\ntime.sleep(1)"
    recording = opened(path)
    dm = Microscope(recording, patient=True)
    dm.camera.pause()
    with recording, dm:
        dm.run_script(hold, background=False).wait_for("busy")
        player = Player(dm, 50, N)
        with dmlink.connect(player.endpoint) as link:
            first = link.next(60)
            player.step(1)
            second = until(link, lambda: (frame := link.next(60)).index and frame)
    assert [(frame.index, frame.data[0, 0]) for frame in (first, second)] == [(0, 0), (1, 1)]


@pytest.mark.parametrize("speed", [None, 100])
def test_lossless_gets_every_frame_once(path, speed):
    with (
        paused(path, loop=False) as replay,
        dmlink.connect(replay.link.endpoint, mode="lossless") as link,
    ):
        first = link.next(60)
        assert replay.position == first.index  # frame index and number in the recording are the same
        replay.speed = speed
        replay.play()
        got = [first]
        while got[-1].index < N - 1:
            got.append(link.next(60))
        assert [frame.index for frame in got] == list(range(first.index, N))
        expected = [replay.recording[i].data[0, 0] for i in range(first.index, N)]
        assert [frame.data[0, 0] for frame in got] == expected
        with pytest.raises(TimeoutError):
            link.next(0.6)  # longer than it takes to send a still image


def test_resting_lossless_link_pauses_replay(tmp_path, monkeypatch):
    monkeypatch.setattr("dmlink.link.readers.WAITING_FRAMES", 16)
    np.save(tmp_path / "long.npy", np.zeros((300, 8, 8), np.uint8))
    with (
        paused(tmp_path / "long.npy", loop=False) as replay,
        dmlink.connect(replay.link.endpoint, mode="lossless") as link,
    ):
        replay.speed = None
        first = link.next(60).index
        replay.play()
        indices = [link.next(60).index for _ in range(20)]
        held = {replay.position for _ in range(200)}
        assert max(held) < 50
        indices += [link.next(60).index for _ in range(300 - 20 - 1 - first)]
        assert indices == list(range(first + 1, 300))


def test_impossible_speed_is_refused(path):
    with pytest.raises(ValueError, match="greater than 0"):
        dmlink.replay(path, fps=0)
    with paused(path) as replay:
        with pytest.raises(ValueError, match="greater than 0"):
            replay.speed = -1
        assert replay.speed == 1.0


def test_unopenable_recording_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no recording at"):
        dmlink.replay(tmp_path / "nothing.npy")


def test_missing_recording_is_reported(path):
    with opened(path) as recording:
        path.unlink()
        with pytest.raises(FileNotFoundError, match="There is no recording at"):
            dmlink.replay(recording)


def test_replay_leaves_microscope_endpoint(path, monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    with dmlink.replay(path):
        assert not (tmp_path / "home").exists()


def test_closed_replay_leaves_no_process(path):
    with dmlink.replay(path) as replay:
        process = replay._process
    assert process.returncode == 0
    assert repr(replay) == "<Replay of 'gold particles', closed>"
    with pytest.raises(ConnectionError, match=r"has ended; start it again with dmlink\.replay"):
        replay.play()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_replay_ends_with_its_kernel(path):
    text = (
        "import dmlink, sys\n"
        f"replay = dmlink.replay({str(path)!r})\n"
        "print(replay._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    kernel = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with kernel:
        pid = int(kernel.stdout.readline())
        watch = os.pidfd_open(pid)
        kernel.send_signal(signal.SIGKILL)
    try:
        assert select.select([watch], [], [], 180)[0]  # it becomes readable when the process has ended
    finally:
        os.close(watch)


def test_command_plays_fast_without_loss(path, tmp_path):
    command = [sys.executable, "-m", "dmlink", "simulate", str(path), "--port", "0", "--speed", "max"]
    environment = {**os.environ, "DMLINK_HOME": str(tmp_path / "home")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            with dmlink.connect(simulator.stdout.readline(), mode="lossless") as link:
                indices = [link.next(60).index for _ in range(3 * N)]
        finally:
            simulator.terminate()
    assert indices == list(range(indices[0], indices[0] + 3 * N))


@pytest.mark.parametrize("speed", ["0", "-2", "fast"])
def test_command_refuses_impossible_speed(speed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", f"--speed={speed}"])
    assert ended.value.code == 2
    assert speed in capsys.readouterr().err.splitlines()[-1]


def test_a_replay_keeps_to_unequal_times(path):
    with opened(path) as recording:
        recording.times = [0.1 * i + 1.9 * (i > 3) for i in range(N)]  # a pause after the fourth frame
        frames = Frames(recording, ["uint16"])
        mean = recording.times[-1] / (N - 1)
        assert [frames.lasts(i) * mean for i in (0, 3, 4)] == pytest.approx([0.1, 2.0, 0.1])
        with dmlink.replay(recording, loop=False) as replay:
            replay.pause()
            replay.seek(0)
            reader = dmlink.connect(replay.link.endpoint, mode="lossless")
            with reader:
                first = reader.next(60)  # the still that is shown
                replay.play()
                taken = [first, *(reader.next(60) for _ in range(5))]
        steps = np.diff([frame.time for frame in taken])
        assert steps[3] > 0.4  # a late camera catches up by at most 0.5 s
    with opened(path, fps=50) as recording:
        assert Frames(recording, ["uint16"]).lasts(3) == 1


def test_unreadable_frame_is_left_out(tmp_path):
    import tifffile

    for i in range(5):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.full((8, 9 if i == 2 else 8), i, np.uint16))
    with dmlink.replay(tmp_path, fps=50, loop=True) as played:
        until(played.link, lambda: played.fault)
        assert "Frame 2 cannot be read: " in played.fault
        until(played.link, lambda: played.position == 4)
        played.pause()
        played.seek(1)
        played.step()
        assert played.position == 3


def test_interrupted_request_shifts_no_answers(path):
    with dmlink.replay(path) as played:
        played.pause()
        played.seek(3)
        with played._asking:  # as if an interrupt had come before the answer was read
            pickle.dump((next(played._numbers), ("seek", (7,))), played._process.stdin)
            played._process.stdin.flush()
        played.seek(5)
        assert played.position == 5
        with pytest.raises(IndexError):
            played.seek(99)
        assert played.position == 5
