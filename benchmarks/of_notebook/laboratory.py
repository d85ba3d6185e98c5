"""Laboratory: notebooks in a real JupyterLab in a real Chromium, and what the page paints."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from ..of_link.children import answer, child
from . import source

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[2] / "tests" / "support"
PATIENCE_MS = 90_000  # a busy machine may start slowly, which is not measured
WARM_SECONDS = 3.0  # before a measurement begins
CELL_SECONDS = 1.0  # per cell: its process starts meanwhile
# Without a graphics card, a browser repaints its whole window whenever JupyterLab indicates a busy kernel,
# above the notebook and below it. So each window is only as large as its contents.
SCREEN = {"width": 1920, "height": 1080}
LARGE_SCREEN = {"width": 2400, "height": 1500}  # seven panels in three columns
PICTURES = "DMLINK_BENCH_PICTURES"  # a folder for screenshots
CONNECT = """%load_ext dmlink
import dmlink, os, pathlib
pathlib.Path("pid").write_text(str(os.getpid()))
link = dmlink.connect({endpoint!r})
"""


class Laboratory:
    """One server and one browser page, for one notebook after another."""

    def __init__(self, page: Any, address: str, folder: Path) -> None:
        self.page = page
        self._address = address
        self._folder = folder
        self._count = 0
        self._displayed: Any = None
        self.seconds = 0.0  # s of the last measurement, by the page's clock

    @contextlib.contextmanager
    def notebook(
        self, size: int, fps: float, cell: str, live: int = 0, screen: dict[str, int] = SCREEN
    ) -> Iterator[None]:
        """Run a cell on a microscope of size x size pixels, with `link` connected to it.

        The cell starts `live` live cells.
        """
        import browser  # noqa: PLC0415 - only a clone has it

        self._count += 1
        name, clock = f"bench{self._count}.ipynb", self._folder / f"clock{self._count}"
        with child(source.serve, size, fps, str(clock)) as microscope:
            first = CONNECT.format(endpoint=answer(microscope))
            browser.write_notebook(self._folder / name, [first + cell])
            self._displayed = source.displayed(clock)
            self.page.set_viewport_size(screen)
            browser.open_notebook(self.page, self._address, name)
            self.page.wait_for_function("() => window.bench")
            browser.run_all(self.page)
            shown = ".dmlink-panel, .renderview-wrapper, .bqplot"
            self.page.locator(shown).nth(live).wait_for()
            self.page.locator(shown).first.scroll_into_view_if_needed()
            self.wait(WARM_SECONDS + CELL_SECONDS * live)
            try:
                yield
            finally:
                self._keep()
                self.page.goto("about:blank")
                browser.end_kernels(self._address)

    def bare_page(self, seconds: float = 3.0) -> float:
        """Return the animation frames per second of an empty page."""
        rate: float = self.page.evaluate(
            """seconds => new Promise((resolve) => {
                const begun = performance.now();
                let frames = 0;
                const next = (now) => {
                    const passed = (now - begun) / 1e3;
                    if (passed > seconds) resolve(frames / passed);
                    else { frames += 1; requestAnimationFrame(next); }
                };
                requestAnimationFrame(next);
            })""",
            seconds,
        )
        return rate

    def painted(self, seconds: float) -> dict[str, dict[str, Any]]:
        """Return what is painted in that time: each panel's `rate` (1/s) and `p50`, `p95` of the age (ms)."""
        paints = self.paints(seconds)
        return {title: summary(found, self.seconds) for title, found in paints.items()}

    def paints(self, seconds: float) -> dict[str, list[tuple[float, float]]]:
        """Return, for each panel, the times of its paints and the ages of their frames, in s."""
        self.begin()
        self.wait(seconds)
        return self.end()

    def begin(self) -> None:
        """Start recording paints."""
        self.page.evaluate("() => window.bench.begin()")

    def end(self) -> dict[str, list[tuple[float, float]]]:
        """Return what was painted since `begin`."""
        noted, self.seconds = self.page.evaluate("() => window.bench.end()")
        return {
            title: [(t, t - self._displayed[n] if n >= 0 else np.nan) for n, t in paints]
            for title, paints in noted.items()
        }

    def wait(self, seconds: float) -> None:
        """Wait, while the browser goes on."""
        self.page.wait_for_timeout(seconds * 1e3)

    def run_cell(self, text: str) -> None:
        """Run another cell at the end of the notebook without waiting for it."""
        import browser  # noqa: PLC0415 - only a clone has it

        browser.run_cell(self.page, text)

    def memory(self) -> tuple[float, float]:
        """Return the memory of page (JavaScript heap) and kernel, in MB."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        kernel = psutil.Process(int((self._folder / "pid").read_text())).memory_info().rss
        return heap / 1e6, kernel / 1e6

    def _keep(self) -> None:
        if PICTURES in os.environ:
            folder = Path(os.environ[PICTURES])
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"notebook-{self._count}.png")


@contextlib.contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Start server and browser."""
    if not TESTS.is_dir():
        raise ValueError("`dmlink bench notebook` drives a browser with the tests' tools: run it in a clone.")
    sys.path.insert(0, str(TESTS))
    import browser  # noqa: PLC0415

    # JupyterLab ends its last kernels while the folder is removed
    with (
        tempfile.TemporaryDirectory(prefix="dmlink-bench-", ignore_cleanup_errors=True) as name,
        browser.jupyterlab(Path(name), {}) as address,
        browser.chromium() as page,
    ):
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(path=Path(__file__).parent / "page.js")
        yield Laboratory(page, address, Path(name))


def summary(paints: list[tuple[float, float]], seconds: float) -> dict[str, Any]:
    """Return rate (1/s) and p50 and p95 of the age (ms); None for curves, which carry no number."""
    ages = np.array([age for _, age in paints if np.isfinite(age)]) * 1e3
    p50, p95 = np.percentile(ages, [50, 95]) if ages.size else (None, None)
    return {"rate": len(paints) / seconds, "p50": p50, "p95": p95}
