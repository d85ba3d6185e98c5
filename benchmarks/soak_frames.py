"""Soak: every reader accounts for each frame that DigitalMicrograph announces.

`python -m benchmarks.soak_frames --minutes 30`; `dmlink bench soak_frames` takes four minutes. A camera runs,
readers of each kind take its frames, come and go, and in turn the view is restarted, DigitalMicrograph or
the kernel is busy, an ROI moves, a connection breaks, the companion is stopped and run again. Every few
seconds the camera pauses, and the frames announced by DigitalMicrograph are compared with the counts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import textwrap
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dmlink
from dmlink import bundle
from dmlink.cli import bench
from dmlink.simulator import Microscope

from .link import note
from .of_link.microscope import Noise
from .of_link.tables import table, verdict
from .of_soak.accounts import Account, Taker, cell_account, link_account, recorder_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.scripts import Script

SIZE, FPS = 256, 100.0
RUN_SECONDS, SETTLE_SECONDS = 6.0, 30.0  # the camera runs; until counts are complete
QUIET = 6  # half seconds without a change: reconnecting, or sending a still image, takes less
MAX_MINUTES = 60.0
ROI = dmlink.Roi(40, 40, 168, 168)
# counts what DigitalMicrograph announces: events, and images that exist when the companion opens a view
COUNTED = """
told = dmlink_shared["told"] = [0]

def _counting(call):
    def counted(self, *arguments, **options):
        told[0] += not getattr(self, "stop", False)
        return call(self, *arguments, **options)
    return counted
Listener.HandleDataChangedEvent = _counting(Listener.HandleDataChangedEvent)
View.__init__ = _counting(View.__init__)

"""
BUSY = "import time\ntime.sleep(3)"


def run_counted(dm: Microscope, port: int = 0) -> tuple[Script, str]:
    """Run a companion that counts its events; return it and its endpoint."""
    text = bundle.companion(port)
    begin = text.index('    if __name__ == "__main__"')  # the script is all inside a function
    script = dm.run_script(
        text[:begin] + textwrap.indent(COUNTED, "    ") + text[begin:], name="dm_companion"
    )
    return script, script.wait_for("dmlink://", timeout=60.0)


def announced(dm: Microscope) -> int:
    """Return how many frames DigitalMicrograph has announced to that companion."""
    return int(dm._scripts.value("told")[0])  # noqa: SLF001 - only the soaks need it


class Experiment:
    """A microscope, and readers of every kind."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.dm = stack.enter_context(Microscope(Noise(SIZE), fps=FPS, events="queue"))
        self._folder, self._stack = folder, stack
        self._port, self._numbers, self._stopped = 0, itertools.count(1), False
        self.run_companion()
        link = self.link = stack.enter_context(dmlink.connect(self._endpoint))
        lossless = stack.enter_context(dmlink.connect(self._endpoint, mode="lossless"))
        link.set_roi("roi", ROI)
        while "roi" not in link.rois():
            time.sleep(0.01)
        part, every = link.part("roi"), link.part("roi", "lossless")
        self.accounts = [
            link_account("link, latest", link),
            link_account("link, lossless", lossless),
            self.take("latest", link),
            self.take("latest, slow", link, rest=0.3),
            self.take("latest, of a lossless link", lossless),
            self.take("latest, never asked", link, rest=1e9),
            self.take("lossless", lossless, every=True),
            self.take("lossless, slow", lossless, every=True, rest=0.05),
            self.take("ROI, latest", part),
            self.take("ROI, lossless", every, every=True),
        ]
        for name, options in CELLS.items():
            cell = dmlink.LiveCell("float(frame.mean())", f"cell {len(self.accounts)}", **options)
            stack.callback(cell.stop)
            self.accounts.append(cell_account(name, cell.start(link), link))
        self.accounts.append(self.record("recorder"))
        self.guests: list[Account] = []
        wait(lambda: all(account.total() for account in self.accounts))  # a cell counts from its first frame
        self.dm.camera.pause()
        self.dm.settle()

    def run_companion(self) -> None:
        """Run it, with code added that counts its events."""
        self._companion, self._endpoint = run_counted(self.dm, self._port)
        self._port = int(self._endpoint.rpartition("?")[0].rpartition(":")[2])

    @property
    def announced(self) -> int:
        """How many frames DigitalMicrograph has announced to this companion."""
        return announced(self.dm)

    def take(self, name: str, link: dmlink.Link, *, every: bool = False, rest: float = 0.0) -> Account:
        """Start a thread that takes frames."""
        taker = Taker(link, every=every, rest=rest)
        self._stack.callback(taker.close)
        return Account(name, taker.total, taker.close)

    def record(self, name: str) -> Account:
        """Start a recording."""
        recorder = self.link.record(self._folder / f"recording {next(self._numbers)}")
        self._stack.callback(recorder.stop)
        return recorder_account(name, recorder, self.link)

    def invite(self) -> None:
        """Add temporary readers."""
        number = next(self._numbers)
        mode = "lossless" if number % 2 else "latest"
        link = self._stack.enter_context(dmlink.connect(self._endpoint, mode=mode))
        guest = self.take(f"guest, {mode}", link, every=mode == "lossless", rest=0.01 * (number % 5))
        guest.close = link.close
        self.guests.append(guest)
        if number % 4 == 0:
            self.guests.append(self.record("guest, recorder"))

    # Disturbances

    def nothing(self) -> None:
        """Disturb nothing."""

    def start_view(self) -> None:
        """Restart the view in a new window."""
        self.dm.restart_view(new_image=True)

    def be_busy_in_dm(self) -> None:
        """Keep DigitalMicrograph's main thread busy: events arrive late, all at once."""
        self.dm.run_script(BUSY, background=False)

    def be_busy_in_kernel(self) -> None:
        """Keep this kernel busy."""
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            pass

    def move_roi(self) -> None:
        """Move the ROI back and forth, and resize it."""
        for i in range(20):
            self.link.set_roi("roi", dmlink.Roi(40 + i, 40, 168, 168 - i))
            time.sleep(0.05)
        self.link.set_roi("roi", ROI)

    def break_connection(self) -> None:
        """Break a link's connection; it reconnects by itself."""
        self.link.reconnect()

    def stop_companion(self) -> None:
        """Stop the companion; it is restarted when everything is counted."""
        time.sleep(RUN_SECONDS / 2)
        self._companion.stop()
        self._companion.join()
        self._stopped = True

    def go_on(self) -> None:
        """Run the companion again if it was stopped."""
        if self._stopped:
            self._stopped = False
            self.run_companion()


CELLS: dict[str, dict[str, Any]] = {
    "cell, latest": {},
    "cell, lossless": {"mode": "lossless"},
    "cell, every third": {"every": 3},
    "cell, 5 a second": {"max_rate": 5.0},
}
FAULTS = ("nothing", "start_view", "be_busy_in_dm", "be_busy_in_kernel", "move_roi", "break_connection")
"""Disturbances, in turn; the companion is stopped last."""


def run(quick: bool, minutes: float = 4.0) -> dict[str, Any]:
    """Run it for a time; return what was announced and what each reader counted."""
    end = time.monotonic() + (30.0 if quick else 60.0 * min(minutes, MAX_MINUTES))
    sums: dict[str, list[int]] = {}
    wrong: list[str] = []
    with TemporaryDirectory(prefix="dmlink-soak-") as folder, contextlib.ExitStack() as stack:
        os.environ["DMLINK_HOME"] = folder
        lab = Experiment(Path(folder), stack)
        for fault in itertools.cycle([*FAULTS, "stop_companion"]):
            if time.monotonic() > end:
                break
            check(lab, fault, sums, wrong)
            note(f"{fault.replace('_', ' ')}: {max(s[0] for s in sums.values())} frames, {len(wrong)} wrong")
    return {"sums": sums, "wrong": wrong}


def check(lab: Experiment, fault: str, sums: dict[str, list[int]], wrong: list[str]) -> None:
    """Let the camera run for a while, and compare the announced frames with every reader's count."""
    leaving, lab.guests = lab.guests[:-3], lab.guests[-3:]
    accounts = [*lab.accounts, *lab.guests]
    befores = settled(accounts)
    begun = lab.announced
    lab.dm.camera.resume()
    busy = threading.Thread(target=getattr(lab, fault))
    busy.start()
    time.sleep(RUN_SECONDS)
    for guest in leaving:
        guest.close()
    if fault != "stop_companion":
        lab.invite()
    busy.join()
    lab.dm.camera.pause()
    lab.dm.settle()
    announced = lab.announced - begun
    wait(lambda: all(a.total() - b == announced for a, b in zip(accounts, befores, strict=True)))
    for account, before in zip(accounts, befores, strict=True):
        counted = account.total() - before
        both = sums.setdefault(account.name, [0, 0])
        both[0], both[1] = both[0] + announced, both[1] + counted
        if counted != announced:
            wrong.append(f"{fault}: {account.name}: {announced} announced, {counted} counted")
            note(wrong[-1])
    lab.go_on()


def settled(accounts: list[Account]) -> list[int]:
    """Return all counts once they no longer change."""
    before: list[int] = []
    quiet = 0
    while quiet < QUIET:
        now = [account.total() for account in accounts]
        quiet = quiet + 1 if now == before else 0
        before = now
        time.sleep(0.5)
    return before


def wait(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + SETTLE_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def lines(result: dict[str, Any]) -> list[str]:
    """Return the table."""
    rows = [[name, str(a), str(c), str(a - c)] for name, (a, c) in result["sums"].items()]
    heads = ["", "announced", "delivered + dropped + skipped + unsure", "uncounted"]
    said = [f"  {line}" for line in result["wrong"][:20]]
    return [*table("Frames", heads, rows), *said, verdict(not result["wrong"], "no frame uncounted")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0, help=f"4; at most {MAX_MINUTES:g}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    bench.tell("soak_frames", options.json, minutes=options.minutes)
