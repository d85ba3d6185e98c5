"""Handler: how long dmlink's listener holds DigitalMicrograph's main thread per frame."""

from __future__ import annotations

import contextlib
import threading
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.companion.slots import MAX_SLOTS, Slots
from dmlink.link.offers import Offers
from dmlink.ring import Ring
from dmlink.simulator import Microscope

from .children import answer, child
from .microscope import Noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

SIZE = 4096
TOP, LEFT, SIDE = 1500, 1200, 1024  # the ROI
WAYS = ("copy", "with credit", "into memory", "without credit")
STATES = ("quiet", "busy")


def handling(runs: int, frames: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return p50 and p95 in ms, with other Python threads quiet and busy; ratios to the copy alone."""
    note("handler inside DigitalMicrograph")
    rounds = []
    for _ in range(runs):
        with child(handle, frames) as pipe:
            rounds.append(answer(pipe, 120.0))
    table: dict[str, Any] = {}
    for state in STATES:
        copies = [r[state]["copy"][0] for r in rounds]
        table[state] = {
            way: {
                "p50": median(r[state][way][0] for r in rounds),
                "p95": median(r[state][way][1] for r in rounds),
                "ratio": median(r[state][way][0] / c for r, c in zip(rounds, copies, strict=True)),
            }
            for way in WAYS
        }
    return table


def handle(pipe: Connection, frames: int) -> None:
    """Measure in this process: (p50, p95) in ms by state and way."""
    recording = Noise(SIZE)
    with contextlib.ExitStack() as stack, Microscope(recording, fps=50.0) as dm:
        dm.camera.pause()
        dm.settle()
        dm.draw_roi(TOP, LEFT, TOP + SIDE, LEFT + SIDE)
        import DigitalMicrograph as DM  # noqa: N817, PLC0415 - it is there only now

        from dmlink.indm.companion.view import View  # noqa: PLC0415
        from dmlink.indm.whole_frames import WholeFrames  # noqa: PLC0415

        image = DM.GetFrontImage()
        np.copyto(image.GetNumArray(), recording.stack[-1])
        view = View(image, wake=lambda: None)
        for number in range(2 * WholeFrames.SURE):  # until the view is known as a camera's
            np.copyto(image.GetNumArray(), recording.stack[number % 2])
            view.observe(image, event=True)
        view.look_for_rois(image)
        region = view.region("roi", lossless=False)
        array, spare = image.GetNumArray(), bytearray(2 * SIDE * SIDE)
        slots, offers = Slots(), Offers(stack.enter_context(contextlib.closing(Ring())))
        offers.restart(MAX_SLOTS)
        offers.expect(len(spare))

        def observe(*, wanted: bool) -> None:
            region.wanted = wanted
            assert view.observe(image, event=True)

        ways = {
            "copy": lambda: copy(array, spare),
            "with credit": lambda: observe(wanted=True),
            "into memory": lambda: observe(wanted=True),
            "without credit": lambda: observe(wanted=False),
        }
        result = {}
        for state in STATES:
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            with busy() if state == "busy" else contextlib.nullcontext():
                for _ in range(frames + 2):
                    for number, (way, do) in enumerate(ways.items()):
                        np.copyto(array, recording.stack[number])  # one for each way: always new
                        if way == "into memory":
                            slots.offer(offers.make(1))
                            if unsent := region.take():
                                region.give_back(unsent.pixels)  # for the next one with credit
                            region.slots = slots
                        begun = time.perf_counter()
                        do()
                        times[way].append(time.perf_counter() - begun)
                        if way == "into memory":
                            region.slots, picture = None, region.take()
                            slot = picture.slot_among(slots) if picture else None
                            assert slot
                            assert offers.take(slots.named(slot), len(spare))
            # the first two calls allocate the buffers that are reused
            result[state] = {way: _percentiles(seconds[2:]) for way, seconds in times.items()}
        view.end()
    pipe.send(result)


def copy(array: np.ndarray, out: bytearray) -> None:
    """Copy the ROI row by row through memoryviews, which keep the interpreter lock."""
    source, target, row = memoryview(array).cast("B"), memoryview(out), 2 * SIDE
    for i in range(SIDE):
        begin = 2 * (SIZE * (TOP + i) + LEFT)
        target[i * row : (i + 1) * row] = source[begin : begin + row]


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return p50 and p95 in ms."""
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    return float(p50), float(p95)


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep another Python thread counting."""
    over = threading.Event()

    def count() -> None:
        n = 0
        while not over.is_set():
            n += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
