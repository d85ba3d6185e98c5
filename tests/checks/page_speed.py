"""The cost of a page with live panels for its user: main thread, typing, leftovers of re-runs, tools.

    .venv/bin/python tests/checks/page_speed.py              # about six minutes
    .venv/bin/python tests/checks/page_speed.py page         # all but the tools, three minutes
    .venv/bin/python tests/checks/page_speed.py tools        # only these, three minutes

Limits: main thread at most 50 % with one live view at 20 frames/s; typing beside five live panels at most 2.5
times (median) and 4 times (p90) as slow as with all of them paused; eight re-runs of a cell leave no widget
in the kernel, and less than 5 % of nodes and heap in the page; with all tools open, the view keeps 0.9 of its
painted rate, as the median of interleaved pairs.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import browser  # noqa: E402
from hand import Desk  # noqa: E402

import dmlink  # noqa: E402
from dmlink.cli.demo import microscope  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SECONDS = 15.0
KEYS = 60
BUSIEST = 0.5  # share of the main thread
SLOWER, P90_SLOWER = 2.5, 4.0
LEFT = 1.05
KEPT = 0.9  # of the painted rate
PAIRS = 7
PAIR_SECONDS = 6.0
VIEW = """%load_ext dmlink
import dmlink, gc, ipywidgets
link = dmlink.connect()
view = dmlink.view(link)
view"""
CELLS = {
    "mean": "frame.mean()",
    "rows": "frame.mean(axis=0)",
    "columns": "frame.mean(axis=1)",
    "small": "Image(frame[::4, ::4])",
}
PAUSE = """from dmlink.cell.live_cell import live_cells
view.paused = True
for cell in live_cells():
    cell.paused = True
print('paused')"""
WATCH = """() => {
    window.latencies = [];
    window.addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => requestAnimationFrame(
        () => window.latencies.push(performance.now() - timeStamp))), true);
}"""


class Meter:
    """Reads the counters of a page, in real time or in time of its main thread ("threadTicks")."""

    def __init__(self, page: Page, clock: str = "timeTicks") -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": clock})

    def now(self) -> dict[str, float]:
        """Return the counters, by their names in Chromium."""
        found = self._session.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    def busy(self) -> float:
        """Return the fraction of time in which the main thread is busy."""
        before = self.now()
        self._page.wait_for_timeout(SECONDS * 1e3)
        after = self.now()
        return (after["TaskDuration"] - before["TaskDuration"]) / (after["Timestamp"] - before["Timestamp"])

    def rest(self) -> dict[str, float]:
        """Return the counters after garbage collection."""
        for _ in range(3):
            self._session.send("HeapProfiler.collectGarbage")
            self._page.wait_for_timeout(500)
        return self.now()


def typing(page: Page) -> tuple[float, float]:
    """Type into the last cell; return median and p90 of the time until it is painted, in ms."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputArea-editor").click()
    page.evaluate("() => { window.latencies.length = 0; }")
    for _ in range(KEYS):
        page.keyboard.press("a")
        page.wait_for_timeout(120)
    found = sorted(page.evaluate("() => window.latencies"))
    return statistics.median(found), found[int(0.9 * len(found))]


def ask(page: Page, text: str) -> str:
    """Run a cell that prints something, and return its output."""
    browser.run_cell(page, text)
    outputs = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output pre")
    outputs.last.wait_for()
    return outputs.last.inner_text().strip()


def measured(page: Page, address: str) -> dict[str, Any]:
    """Return all figures."""
    meter = Meter(page)
    browser.open_notebook(page, address, "speed.ipynb")
    browser.run_all(page)
    browser.panel(page, "nanoparticles")
    found: dict[str, Any] = {"main thread": meter.busy()}
    for name, text in CELLS.items():
        browser.run_cell(page, f"%%live {name}\n{text}")
        browser.panel(page, name)
    page.evaluate(WATCH)
    browser.run_cell(page, "'typed here'")
    found["typing live"] = typing(page)
    pauses = "view.paused = True\nfor c in dmlink.live_cells(): c.paused = True\nprint('paused')"
    pauses = pauses.replace(
        "dmlink.live_cells()", "__import__('dmlink.cell.live_cell', fromlist=['x']).live_cells()"
    )
    ask(page, pauses)
    browser.run_cell(page, "'typed here'")
    found["typing paused"] = typing(page)
    count = "from ipywidgets.widgets.widget import _instances\ngc.collect(); print(len(_instances))"
    browser.run_cell(page, "%%live again\nframe.mean(), frame[0]")
    browser.panel(page, "again")
    page.wait_for_timeout(2000)
    widgets, before = int(ask(page, count)), meter.rest()
    for _ in range(8):
        cell = page.locator(".jp-CodeCell", has=page.locator(".dmlink-title:text-is('again')")).last
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1500)
        browser.panel(page, "again")
    page.wait_for_timeout(2000)
    after = meter.rest()
    found["re-runs"] = {
        "widgets": (widgets, int(ask(page, count))),
        "nodes": (before["Nodes"], after["Nodes"]),
        "heap MB": (before["JSHeapUsedSize"] / 1e6, after["JSHeapUsedSize"] / 1e6),
    }
    return found


def painted_rate(view: Locator) -> float:
    """Return how many pictures of the view are painted per second."""
    before, began = browser.painted(view), view.page.evaluate("() => performance.now()")
    view.page.wait_for_timeout(PAIR_SECONDS * 1e3)
    after, ended = browser.painted(view), view.page.evaluate("() => performance.now()")
    return 1e3 * (after - before) / float(ended - began)


def rates_with_tools(page: Page, address: str, endpoint: str, folder: Path) -> list[tuple[float, float]]:
    """Return the painted rate without and with all tools, in pairs of changing order."""
    browser.open_notebook(page, address, "speed.ipynb")
    browser.run_all(page)
    pairs = []
    with dmlink.connect(endpoint) as link:
        desk = Desk(page, link, folder)
        for i in range(PAIRS):
            rates = {}
            for opened in (False, True) if i % 2 else (True, False):
                if opened:
                    desk.open_tools()
                page.wait_for_timeout(1500)
                rates[opened] = painted_rate(desk.view)
                if opened:
                    desk.close_tools()
            pairs.append((rates[False], rates[True]))
    return pairs


def main() -> int:
    """Measure, print, and return whether all limits are met."""
    parts = sys.argv[1:] or ["page", "tools"]
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        browser.write_notebook(folder / "speed.ipynb", [VIEW])
        with (
            microscope([], folder) as endpoint,
            browser.jupyterlab(folder, {"DMLINK_ENDPOINT": endpoint}) as address,
            browser.chromium(width=1500, height=2400) as page,
        ):
            if "page" in parts:
                checks |= limits_of_page(measured(page, address))
                browser.end_kernels(address)
            if "tools" in parts:
                pairs = rates_with_tools(page, address, endpoint, folder)
                ratio = statistics.median(opened / without for without, opened in pairs)
                each = ", ".join(f"{without:.1f}/{opened:.1f}" for without, opened in pairs)
                checks[f"all tools open: {ratio:.2f} of the painted rate ({each} f/s)"] = ratio >= KEPT
    for text, kept in checks.items():
        print("kept  " if kept else "MISSED", text)
    return not all(checks.values())


def limits_of_page(found: dict[str, Any]) -> dict[str, bool]:
    """Return whether each limit is kept, by a text with the figures."""
    (live, slow), (paused, paused_slow) = found["typing live"], found["typing paused"]
    busy = found["main thread"]
    checks = {
        f"main thread {busy:.0%} of {BUSIEST:.0%}": busy <= BUSIEST,
        f"typing {live:.0f} ms, paused {paused:.0f} ms": live <= SLOWER * paused,
        f"typing, p90 {slow:.0f} ms, paused {paused_slow:.0f} ms": slow <= P90_SLOWER * paused_slow,
    }
    for what, (before, after) in found["re-runs"].items():
        checks[f"{what} {before:.0f} -> {after:.0f}"] = after <= before * (1.0 if what == "widgets" else LEFT)
    return checks


if __name__ == "__main__":
    sys.exit(main())
