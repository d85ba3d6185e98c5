"""Player: plays a recording with a simulated microscope, in a separate process controlled by a `Replay`."""

from __future__ import annotations

import math
import os
import pickle
import signal
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from dmlink.simulator.microscope import Microscope

if TYPE_CHECKING:
    from dmlink.recordings import Recording


class Status(NamedTuple):
    """State of a replay: `position` is the frame shown, `speed` a factor or None for as fast as possible.

    `fault` says why a frame was left out.
    """

    playing: bool
    position: int
    speed: float | None
    loop: bool
    fault: str


class Player:
    """Controls of a microscope that plays a recording.

    Parameters
    ----------
    microscope : Microscope
        A microscope that is started and whose camera is paused.
    fps : float
        Frames per second at speed 1.
    length : int
        Number of frames in the recording.
    """

    def __init__(self, microscope: Microscope, fps: float, length: int) -> None:
        self._camera = microscope.camera
        self._fps = fps
        self._length = length
        self._camera.step()
        microscope.settle()  # so that the companion does not count this frame's event as another frame
        self.endpoint = microscope.start_companion(0)

    @property
    def status(self) -> Status:
        """The state of the replay."""
        camera = self._camera
        speed = None if math.isinf(camera.fps) else camera.fps / self._fps
        return Status(
            not camera.paused and not camera.ended.is_set(), camera.position, speed, camera.loop, camera.fault
        )

    def play(self) -> None:
        """Continue, or start over at the end."""
        if self._camera.ended.is_set():
            self._camera.seek(0)
        self._camera.resume()

    def pause(self) -> None:
        """Pause at the present frame."""
        self._camera.pause()

    def step(self, n: int) -> None:
        """Pause and jump `n` frames ahead, or back if negative."""
        self._camera.pause()
        there = self._camera.position + n
        self.seek(there % self._length if self._camera.loop else min(max(0, there), self._length - 1))

    def seek(self, index: int) -> None:
        """Jump to frame `index` and continue from there unless paused."""
        self._camera.seek(index)
        if self._camera.paused:
            self._camera.step()

    def set(self, speed: float | None, loop: bool) -> None:
        """Set the speed (None: as fast as possible), and whether to start again at the end."""
        self._camera.fps = math.inf if speed is None else speed * self._fps
        self._camera.loop = loop


def main() -> None:
    """Play for the process that started this one, until that closes the pipe or dies.

    The first request is (number, (recording, fps, loop)), and the answer (number, exception or None,
    endpoint). Each later one is (number, (name, arguments)) of a method of Player, and the answer (number,
    exception or None, status).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts are for the kernel only
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)  # what scripts print must not get into the pipe
    os.dup2(null, 1)
    # its own endpoint file, so that links without an endpoint still find the microscope's companion
    with TemporaryDirectory(prefix="dmlink-replay-", ignore_cleanup_errors=True) as home:
        os.environ["DMLINK_HOME"] = home
        try:
            number, (recording, fps, loop) = pickle.load(requests)  # noqa: S301 - from the process that started us
            serve(recording, fps, loop, number, requests, replies)
        except Exception as error:  # noqa: BLE001 - the other end raises it
            _answer(replies, (0, error, None))


def serve(
    recording: Recording, fps: float, loop: bool, number: int, requests: BinaryIO, replies: BinaryIO
) -> None:
    """Play the recording and answer requests until the pipe is closed."""
    microscope = Microscope(recording, fps, loop, patient=True)
    microscope.camera.pause()
    with recording, microscope:
        player = Player(microscope, fps, len(recording))
        _answer(replies, (number, None, player.endpoint))
        while True:
            try:
                number, (name, arguments) = pickle.load(requests)  # noqa: S301
            except (EOFError, OSError):
                return
            fault = None
            try:
                if name:
                    getattr(player, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - the other end raises it
                fault = error
            _answer(replies, (number, fault, player.status))


def _answer(replies: BinaryIO, what: object) -> None:
    try:
        pickle.dump(what, replies)
        replies.flush()
    except BrokenPipeError:
        pass  # the pipe of requests ends too
