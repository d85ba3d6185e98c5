"""Replay: a recording through the live path, under control, and gone with its kernel."""

from __future__ import annotations

import os
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

N = 12


@pytest.fixture
def path(tmp_path):
    """A recording whose frame i is i everywhere but in two frames, which are equal to the ones before."""
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
    """Return what the link shows, once it is the frame at the replay's position."""
    value = int(replay.recording[replay.position].data[0, 0])
    until(replay.link, lambda: replay.link.reader().next(5).data[0, 0] == value)
    return value


def test_a_replay_is_a_live_view_with_the_calibration_of_the_recording(path):
    with dmlink.replay(path) as replay:
        frame = replay.link.next(5)
        assert replay.playing
        assert (len(replay), replay.speed, replay.loop) == (N, 1.0, True)
        assert (frame.x, frame.source, frame.data.shape) == (Axis(0, 0.05, "nm"), "gold particles", (24, 32))


def test_what_the_recording_was_told_when_opened_holds_for_the_replay(path):
    with opened(path, scale=2.0, unit="um", fps=10) as recording, paused(recording) as replay:
        assert replay.link.next(5).x == Axis(0, 2.0, "um")
        replay.seek(5)
        assert replay.time == 0.5


def test_pause_step_and_scrub_show_the_frame_that_is_meant(path):
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


def test_once_stays_at_the_last_frame_and_can_be_played_again(path):
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


def test_a_loop_counts_its_frames_on(path):
    with dmlink.replay(path, fps=500) as replay:
        replay.speed = 4
        frame = until(replay.link, lambda: (f := replay.link.next(5)).index > 3 * N and f)
        assert frame.data[0, 0] == replay.recording[frame.index % N].data[0, 0]
        assert replay.speed == 4


@pytest.mark.parametrize("speed", [None, 100])
def test_lossless_gets_every_frame_exactly_once_equal_ones_too(path, speed):
    with (
        paused(path, loop=False) as replay,
        dmlink.connect(replay.link.endpoint, mode="lossless") as link,
    ):
        first = link.next(5)
        assert replay.position == first.index  # index and number in the recording are the same
        replay.speed = speed
        replay.play()
        got = [first]
        while got[-1].index < N - 1:
            got.append(link.next(5))
        assert [frame.index for frame in got] == list(range(first.index, N))
        expected = [replay.recording[i].data[0, 0] for i in range(first.index, N)]
        assert [frame.data[0, 0] for frame in got] == expected
        with pytest.raises(TimeoutError):
            link.next(0.6)  # longer than DM takes to send a still


def test_a_lossless_link_that_rests_makes_the_replay_wait(tmp_path):
    np.save(tmp_path / "long.npy", np.zeros((300, 8, 8), np.uint8))
    with (
        paused(tmp_path / "long.npy", loop=False) as replay,
        dmlink.connect(replay.link.endpoint, mode="lossless") as link,
    ):
        replay.speed = None
        first = link.next(5).index
        replay.play()
        indices = [link.next(5).index for _ in range(20)]
        held = {replay.position for _ in range(200)}
        assert max(held) < 50
        indices += [link.next(5).index for _ in range(300 - 20 - 1 - first)]
        assert indices == list(range(first + 1, 300))


def test_impossible_speeds_are_refused(path):
    with pytest.raises(ValueError, match="above zero"):
        dmlink.replay(path, fps=0)
    with paused(path) as replay:
        with pytest.raises(ValueError, match="above zero"):
            replay.speed = -1
        assert replay.speed == 1.0


def test_what_cannot_be_opened_is_refused_as_by_open(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no recording at"):
        dmlink.replay(tmp_path / "nothing.npy")


def test_a_recording_gone_before_it_is_played_is_told(path):
    with opened(path) as recording:
        path.unlink()
        with pytest.raises(FileNotFoundError, match="There is no recording at"):
            dmlink.replay(recording)


def test_a_replay_does_not_take_the_place_of_the_microscope(path, monkeypatch, tmp_path):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    with dmlink.replay(path):
        assert not (tmp_path / "home").exists()


def test_closed_it_leaves_no_process_and_says_so(path):
    with dmlink.replay(path) as replay:
        process = replay._process
    assert process.returncode == 0
    assert repr(replay) == "<Replay of 'gold particles', closed>"
    with pytest.raises(ConnectionError, match=r"has ended; start it again with dmlink\.replay"):
        replay.play()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_process_ends_with_its_kernel_even_if_that_is_killed(path):
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
        assert select.select([watch], [], [], 10)[0]  # it becomes readable when the process has ended
    finally:
        os.close(watch)


def test_the_command_plays_as_fast_as_possible_without_losing_frames(path, tmp_path):
    command = [sys.executable, "-m", "dmlink", "simulate", str(path), "--port", "0", "--speed", "max"]
    environment = {**os.environ, "DMLINK_HOME": str(tmp_path / "home")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            with dmlink.connect(simulator.stdout.readline(), mode="lossless") as link:
                indices = [link.next(5).index for _ in range(3 * N)]
        finally:
            simulator.terminate()
    assert indices == list(range(indices[0], indices[0] + 3 * N))


@pytest.mark.parametrize("speed", ["0", "-2", "fast"])
def test_the_command_refuses_impossible_speeds(speed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", f"--speed={speed}"])
    assert ended.value.code == 2
    assert speed in capsys.readouterr().err.splitlines()[-1]
