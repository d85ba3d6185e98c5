"""Replay: a recording played as a live view by a simulated microscope, in its own process."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from dmlink import recordings
from dmlink.engine import preload
from dmlink.link.link import Link
from dmlink.recordings import Recording

if TYPE_CHECKING:
    from os import PathLike

    from dmlink.simulator.player import Status

FPS = 20.0  # for a recording without a frame rate
ENDING_SECONDS = 5.0


class Replay:
    """A recording that plays as a live view; returned by `dmlink.replay`. A context manager.

    It loses no frames: each one stays until it has been copied for all links and sent to those with
    mode="lossless". Frame numbers of `link` keep growing when the recording starts again.

    Attributes
    ----------
    link : Link
        The link to it, which takes the newest frame, as from a microscope. To get every frame, use
        `dmlink.connect(replay.link.endpoint, mode="lossless")`.
    recording : Recording
        The recording that is played.
    """

    def __init__(self, recording: Recording, fps: float | None = None, loop: bool = True) -> None:
        self.recording = recording
        if fps is not None and not fps > 0:
            raise ValueError(f"fps={fps}: frames per second must be greater than 0.")
        self._asking = threading.Lock()
        self._numbers = itertools.count(1)  # of requests
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, *preload.arguments("from dmlink.simulator.player import main; main()")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",  # interrupts are for the kernel only
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            self.link = Link(self._exchange((recording, fps or recording.fps or FPS, loop)))
        except BaseException:
            self._end()
            raise
        self.play()

    def play(self) -> None:
        """Continue, or start over at the end."""
        self._ask("play")

    def pause(self) -> None:
        """Pause at the present frame."""
        self._ask("pause")

    def step(self, n: int = 1) -> None:
        """Pause and jump `n` frames ahead (back if negative)."""
        self._ask("step", int(n))

    def seek(self, index: int) -> None:
        """Jump to frame `index` of the recording and continue from there unless paused.

        Raises
        ------
        IndexError
            If there is no such frame.
        """
        self._ask("seek", int(index))

    @property
    def playing(self) -> bool:
        """Whether it is playing: neither paused nor at its end."""
        return self._ask().playing

    @property
    def position(self) -> int:
        """Index of the present frame in the recording."""
        return self._ask().position

    @property
    def fault(self) -> str:
        """Why a frame was left out: it cannot be read. Empty if all could."""
        return self._ask().fault

    @property
    def time(self) -> float:
        """When the present frame was recorded, in seconds."""
        return float(self.recording.times[self.position])

    @property
    def speed(self) -> float | None:
        """1.0 as recorded, 2.0 twice as fast, None as fast as possible; can be set."""
        return self._ask().speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"speed={speed}: it must be greater than 0, or None for as fast as possible.")
        self._ask("set", speed, self.loop)

    @property
    def loop(self) -> bool:
        """Whether it starts again at the end; can be set."""
        return self._ask().loop

    @loop.setter
    def loop(self, loop: bool) -> None:
        self._ask("set", self.speed, bool(loop))

    def __len__(self) -> int:
        return len(self.recording)

    def close(self) -> None:
        """Close the link and end the process; the recording stays open."""
        self.link.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._process.returncode is not None:
            return f"<Replay of {self.recording.name!r}, closed>"
        status = self._ask()
        state = "playing" if status.playing else "paused"
        where = f"frame {status.position} of {len(self)}"
        speed = "as fast as possible" if status.speed is None else f"speed {status.speed:g}"
        return f"<Replay of {self.recording.name!r}, {where}, {state}, {speed}>"

    def _ask(self, name: str = "", *arguments: Any) -> Status:
        status: Status = self._exchange((name, arguments))
        return status

    def _exchange(self, request: Any) -> Any:
        assert self._process.stdin  # noqa: S101 - we asked for it
        assert self._process.stdout  # noqa: S101
        try:
            with self._asking:
                number = next(self._numbers)
                pickle.dump((number, request), self._process.stdin)
                self._process.stdin.flush()
                answered, fault, value = -1, None, None
                while answered not in {number, 0}:  # an interrupt may have left an earlier answer in the pipe
                    answered, fault, value = pickle.load(self._process.stdout)  # noqa: S301 - our own process
        except (OSError, EOFError, ValueError) as error:
            raise ConnectionError(
                f"The replay of {self.recording.name!r} has ended; start it again with dmlink.replay(...)."
            ) from error
        if fault:
            raise fault
        return value

    def _end(self) -> None:
        """End the process, which exits by itself when its pipe closes, even if this process is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def replay(recording: Recording | str | PathLike[str], fps: float | None = None, loop: bool = True) -> Replay:
    """Play a recording as a live view, in its own process.

    Parameters
    ----------
    recording : Recording or path
        A recording, or anything that `dmlink.open` can open.
    fps : float, optional
        Frames per second; by default as recorded, or 20 if that is unknown.
    loop : bool
        Whether it starts again at the end; the link's frame numbers keep growing.

    Returns
    -------
    Replay
        Already playing; it ends with this process at the latest.

    Raises
    ------
    FileNotFoundError, ValueError
        As from `dmlink.open`.
    """
    if not isinstance(recording, Recording):
        recording = recordings.open(recording)
    return Replay(recording, fps, loop)
