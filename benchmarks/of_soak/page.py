"""Page: a notebook in JupyterLab in a real Chromium, which can be killed and reopened."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from ..of_link.children import Failure, child
from .notebook import LOOK_SECONDS, Notebook

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from multiprocessing.connection import Connection

TESTS = Path(__file__).parents[2] / "tests" / "support"
PATIENCE_SECONDS = 300.0
VIEW = "view = dmlink.view(link, size=384)\nview"


class Page(Notebook):
    """A notebook in a browser; its last cell shows the live view."""

    def open(self, address: str) -> Iterator[float]:
        """Write the notebook, open it in a browser and run it; yields while it waits."""
        self._address, self._browser = address, contextlib.ExitStack()
        self.file = self.folder / f"{self.name}.ipynb"
        import browser  # noqa: PLC0415 - only a clone has it

        browser.write_notebook(self.file, [*self.texts, VIEW])
        yield from self.open_browser("run_all")
        yield from self.attach(self.connection_file())

    def open_browser(self, then: str) -> Iterator[float]:
        """Open the notebook in a new browser, and run all of it or only the last cell."""
        self._pipe = self._browser.enter_context(child(serve, self._address, self.file.name))
        yield from self._answer()
        yield from self.do(then)

    def do(self, what: str, *arguments: Any) -> Generator[float, None, Any]:
        """Do something in the page, and wait for it."""
        self._pipe.send((what, arguments))
        return (yield from self._answer())

    def kill_browser(self) -> None:
        """Kill all processes of the browser."""
        driver = psutil.Process(self._driver)
        for process in [driver, *driver.children(recursive=True)]:  # the driver is useless without it
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._browser.close()

    def browser_processes(self) -> list[psutil.Process]:
        """Return the browser's processes."""
        found = psutil.Process(self._driver).children(recursive=True)
        return [process for process in found if "chrom" in process.name()]

    def close(self) -> None:
        """Close the browser; the server ends the kernel."""
        self.close_client()
        if hasattr(self, "_browser"):
            self._browser.close()

    def connection_file(self) -> Path:
        """Return the kernel's connection file; a restarted kernel keeps it."""
        files = (self.folder / "runtime").glob("kernel-*.json")
        return max(files, key=lambda file: file.stat().st_mtime)

    def _answer(self) -> Generator[float, None, Any]:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._pipe.poll():
            if time.monotonic() > until:
                raise TimeoutError("The browser did not answer.")
            yield LOOK_SECONDS
        value = self._pipe.recv()
        if isinstance(value, Failure):
            raise RuntimeError(value.text)  # noqa: TRY004
        self._driver = value
        return value


def serve(pipe: Connection, address: str, name: str) -> None:
    """Drive a browser: open the notebook, then serve requests."""
    sys.path.insert(0, str(TESTS))
    import browser  # noqa: PLC0415

    with browser.chromium(width=1300, height=1500) as page, contextlib.suppress(EOFError):
        page.set_default_timeout(PATIENCE_SECONDS * 1e3)
        browser.open_notebook(page, address, name)
        pipe.send(os.getpid())
        at = At(page)
        while True:
            while not pipe.poll(0):
                page.wait_for_timeout(100)  # the page's own events need this thread
            what, arguments = pipe.recv()
            getattr(at, what)(*arguments)
            pipe.send(os.getpid())


class At:
    """The actions possible in the page, inside the process that drives it."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def run_all(self) -> None:
        """Run all cells, and scroll to the view."""
        import browser  # noqa: PLC0415

        self.dismiss()
        browser.run_all(self._page)
        self._show_view()

    def run_last(self) -> None:
        """Run the last cell, and scroll to the view."""
        page = self._page
        page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
        self._show_view()

    def dismiss(self) -> None:
        """Dismiss JupyterLab's dialogs, such as that a kernel has died."""
        for button in self._page.locator(".jp-Dialog .jp-mod-accept").all():
            button.click()

    def _show_view(self) -> None:
        last = self._page.locator(".jp-Notebook .jp-CodeCell").last
        last.locator(".dmlink-panel .dmlink-overlay, .dmlink-panel canvas").first.scroll_into_view_if_needed()
