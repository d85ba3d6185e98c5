"""One JupyterLab and one browser for all tests of pages; each test has its own window."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import browser
import pytest

from dmlink.cli import demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


class Lab(NamedTuple):
    """A JupyterLab on a folder, and a browser for its notebooks."""

    folder: Path
    address: str
    chromium: Browser

    def microscope(self) -> contextlib.AbstractContextManager[str]:
        """Run `dmlink simulate` as the microscope that a notebook finds; yield its endpoint.

        It is slow enough to leave time for everything else.
        """
        return demo.microscope(["--fps", "8"], self.folder)

    @contextlib.contextmanager
    def window(self, width: int, height: int) -> Iterator[Page]:
        """Open a window; the kernels of its notebooks end with it."""
        page = self.chromium.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(browser.PATIENCE_MS)
        try:
            yield page
        finally:
            page.close()
            browser.end_kernels(self.address)


@pytest.fixture(scope="package")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("jupyter")
    home = {"DMLINK_HOME": str(folder / ".dmlink"), "DMLINK_ENDPOINT": ""}
    with browser.jupyterlab(folder, home) as address, browser.chromium() as page:
        yield Lab(folder, address, page.context.browser)
