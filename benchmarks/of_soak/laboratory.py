"""Laboratory: a microscope, a network and three notebooks, and a user who works with them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..of_link.children import answer, child
from . import proxy
from .cells import of_notebooks
from .microscope import SIZE, Desk
from .notebook import Notebook
from .page import TESTS, Page
from .recordings import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from random import Random

PLACES = {"a": (256, 256, 768, 768), "b": (900, 300, 1412, 812), "c": (512, 768, 1024, 1280)}
ROI_SECONDS, PARAMETER_SECONDS, RECORD_SECONDS = 3.0, 7.0, 25.0
LONGEST_RECORDING = 15.0  # s


class Laboratory:
    """Everything that runs. Faults act on its parts; `pass_time` lets it run and observes it.

    Attributes
    ----------
    desk : Desk
    notebooks : dict of Notebook
        "a" is in a browser, "b" behind a bad network, "c" records.
    recordings : Recordings
    """

    def __init__(self, folder: Path, rng: Random, watch: Callable[[Laboratory], None]) -> None:
        self.folder = folder
        self._rng = rng
        self._watch = watch
        self._stack = contextlib.ExitStack()
        self._due = {"roi": 0.0, "parameter": 0.0, "record": 0.0}
        self._moving = False
        home, far_home = folder / "home", folder / "far"
        for path in (home, far_home):
            path.mkdir()
        self._far_home = far_home
        self.desk = Desk(home)
        cells = of_notebooks("abc")
        self.notebooks: dict[str, Notebook] = {
            name: kind(name, PLACES[name], cells[name], folder / name, far_home if name == "b" else home)
            for name, kind in (("a", Page), ("b", Notebook), ("c", Notebook))
        }
        self.recordings = Recordings(folder / "c")

    def open(self) -> None:
        """Start everything."""
        self.do(self.desk.start())
        self._stack.callback(self.desk.close)
        self._proxy = self._stack.enter_context(child(proxy.serve, self.desk.port))
        self._far_port = answer(self._proxy)
        self.tell_far_endpoint()
        page = self.page
        page.folder.mkdir()
        address = self._stack.enter_context(_jupyterlab(page))
        for notebook in self.notebooks.values():
            self._stack.callback(notebook.close)
        for start in (page.open(address), self.notebooks["b"].start(), self.notebooks["c"].start()):
            self.do(start)
        self._moving = True

    @property
    def page(self) -> Page:
        """The notebook in the browser."""
        page = self.notebooks["a"]
        assert isinstance(page, Page)
        return page

    def close(self) -> None:
        """End everything."""
        self._moving = False
        self._stack.close()
        self.recordings.close()

    def run_companion(self) -> None:
        """Run the companion (again), and publish its endpoint."""
        self.desk.run_companion()
        self.tell_far_endpoint()

    def network(self, way: str) -> None:
        """Make the network of notebook b behave in this way; see `Proxy`."""
        self._proxy.send(way)
        answer(self._proxy)

    def tell_far_endpoint(self) -> None:
        """Give notebook b the companion's endpoint, through the proxy."""
        _, token = self.desk.endpoint.split("?token=")
        file = self._far_home / "endpoint.json"
        text = json.dumps({"host": "127.0.0.1", "port": self._far_port, "token": token, "pid": os.getpid()})
        new = file.with_suffix(".new")
        new.touch(0o600)
        new.write_text(text)
        new.replace(file)

    def draw_rois(self) -> None:
        """Draw all notebooks' ROIs where they were."""
        for name, notebook in self.notebooks.items():
            notebook.tell(f"link.set_roi({name!r}, dmlink.Roi{PLACES[name]})")

    def do(self, steps: Generator[float, None, Any] | Iterator[float]) -> None:
        """Go through steps, letting time pass between them."""
        for seconds in steps:
            self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass while observing everything and working with it."""
        end = time.monotonic() + seconds
        while True:
            for notebook in self.notebooks.values():
                notebook.look()
            self.recordings.follow(self.notebooks["c"].seen.get("recorder"))
            self._watch(self)
            if self._moving:
                self._work(time.monotonic())
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def _work(self, now: float) -> None:
        """Move an ROI, change a parameter, start a recording: what a user does all day."""
        if self._is_due("roi", ROI_SECONDS, now):
            name = self._rng.choice("abc")
            top, left, bottom, right = PLACES[name]
            dy, dx = (self._rng.randrange(-200, 200) for _ in range(2))
            top, left = max(0, top + dy), max(0, left + dx)
            bottom, right = top + PLACES[name][2] - PLACES[name][0], left + PLACES[name][3] - PLACES[name][1]
            place = (top, left, bottom, right) if max(bottom, right) <= SIZE else PLACES[name]
            self.notebooks[name].tell(f"link.set_roi({name!r}, dmlink.Roi{place})")
        if self._is_due("parameter", PARAMETER_SECONDS, now):
            share = round(self._rng.random(), 3)
            self.notebooks[self._rng.choice("abc")].tell(f"probe.move_parameters({share})")
        if self._is_due("record", RECORD_SECONDS, now):
            path = self.recordings.next_path()
            seconds = round(self._rng.uniform(LONGEST_RECORDING / 3, LONGEST_RECORDING), 1)
            self.notebooks["c"].tell(
                f"recorder = link.part('c').record({str(path)!r}, max_seconds={seconds})"
            )

    def _is_due(self, what: str, seconds: float, now: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + seconds
        return True


@contextlib.contextmanager
def laboratory(rng: Random, watch: Callable[[Laboratory], None]) -> Iterator[Laboratory]:
    """Yield a running laboratory; ends all of it."""
    if not TESTS.is_dir():
        raise ValueError("The soak drives a browser with the tests' tools: run it in a clone.")
    with TemporaryDirectory(prefix="dmlink-soak-", ignore_cleanup_errors=True) as name:
        lab = Laboratory(Path(name), rng, watch)
        try:
            lab.open()
            yield lab
        finally:
            lab.close()


@contextlib.contextmanager
def _jupyterlab(page: Page) -> Iterator[str]:
    sys.path.insert(0, str(TESTS))
    import browser  # noqa: PLC0415

    with browser.jupyterlab(page.folder, page.environment) as address:
        yield address
