"""A real JupyterLab and a real Chromium, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    # nothing that looks for the network, or covers the notebook
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # cells that are scrolled away stay in the page, where a test can find them
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextlib.contextmanager
def jupyterlab(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run JupyterLab on `folder`; gives its address, with the token."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    token = secrets.token_hex(16)
    config = folder / ".jupyter"
    (config / "lab" / "user-settings").mkdir(parents=True)
    overrides = config / "share" / "jupyter" / "lab" / "settings"
    overrides.mkdir(parents=True)
    (overrides / "overrides.json").write_text(json.dumps(SETTINGS))
    command = [
        *[sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"],
        *[f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0"],
        *[
            f"--LabApp.app_settings_dir={overrides}",
            f"--LabApp.user_settings_dir={config / 'lab' / 'user-settings'}",
        ],
    ]
    with _server(command, folder, environment, f"http://127.0.0.1:{port}/api/status?token={token}"):
        yield f"http://127.0.0.1:{port}/lab/tree/{{path}}?token={token}"


def wait_until_up(process: subprocess.Popen[Any], url: str, seconds: float = 60.0) -> None:
    """Wait until a server answers; RuntimeError if it ends or takes longer."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"It did not start; see server.log: {process.args}") from None
            time.sleep(0.2)


@contextlib.contextmanager
def _server(command: list[str], folder: Path, environment: dict[str, str], url: str) -> Iterator[None]:
    """Run a server until the end of the context; it is up when the url can be read."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_until_up(process, url)
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def chromium(*, width: int = 1280, height: int = 1000) -> Iterator[Page]:
    """Run a browser with an empty profile; gives its page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("DMLINK_BROWSER") or shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def write_notebook(path: Path, texts: Iterable[str]) -> None:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(text) for text in texts],  # type: ignore[no-untyped-call]
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}},
    )
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def open_notebook(page: Page, address: str, name: str) -> None:
    """Open a notebook and wait until its kernel is ready."""
    page.goto(address.format(path=name))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")


def run_all(page: Page) -> None:
    """Run all cells to the end; raises with the text of the first error."""
    page.click(".lm-MenuBar-itemLabel:text-is('Run')")
    page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    page.wait_for_function(
        """() => {
            const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')];
            const ran = prompts.filter((p) => /\\[[0-9]+\\]/.test(p.textContent)).length;
            return ran === prompts.length || document.querySelector('.jp-RenderedText[data-mime-type*=err]');
        }"""
    )
    error = page.query_selector(".jp-RenderedText[data-mime-type*=err]")
    if error:
        raise AssertionError(error.inner_text())


def run_cell(page: Page, text: str) -> None:
    """Run a new cell at the end of the notebook; does not wait for it."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputArea-editor").click()
    for key in ("Escape", "b", "Enter"):
        page.keyboard.press(key)
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Enter")


def choose_theme(page: Page, theme: str) -> None:
    """Let JupyterLab be "Light" or "Dark"."""
    page.click(".lm-MenuBar-itemLabel:text-is('Settings')")
    page.hover(".lm-Menu-itemLabel:text-is('Theme')")
    page.click(f".lm-Menu-itemLabel:text-is('JupyterLab {theme}')")
    page.wait_for_function(
        "theme => document.body.dataset.jpThemeLight === theme", arg=str(theme == "Light").lower()
    )


def titled(page: Page, title: str) -> Locator:
    """Return the panel of that title, by itself or in a dashboard."""
    return page.locator(
        ".dmlink-panel:not(.dmlink-dashboard)",
        has=page.locator(f".dmlink-title:text-is({json.dumps(title)})"),
    )


def panel(page: Page, title: str) -> Locator:
    """Scroll to the panel of that title and return it, once it is being painted."""
    found = titled(page, title)
    found.scroll_into_view_if_needed()
    found.locator(".dmlink-status", has_text=re.compile(r"painted +[1-9]")).wait_for()
    return found


def painted(view: Locator) -> int:
    """Return how many pictures the page has painted of a view."""
    return int(view.locator("canvas").first.get_attribute("data-painted") or 0)


def stopped(view: Locator, reader: Any) -> int:
    """Wait until no more pictures come; return how many there were."""
    for _ in range(20):
        before = painted(view)
        for _ in range(10):
            reader.next(5)
        if painted(view) == before:
            return before
    raise AssertionError("The view is still being painted.")
