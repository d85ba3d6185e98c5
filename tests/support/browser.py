"""A real JupyterLab and a real Chromium for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import nbformat
from playwright.sync_api import Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as NoResponse
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
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
FRAME = re.compile(r"frame\s+(\d+)")
PATIENCE_MS = 240_000  # ends a hang, also on a busy computer
SETTINGS = {
    # no network requests, and nothing that covers the notebook
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # cells scrolled out of sight stay in the page, where tests can find them
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextlib.contextmanager
def jupyterlab(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run JupyterLab on `folder`; yield its address, with the token."""
    token = secrets.token_hex(16)
    config = folder / ".jupyter"
    (config / "lab" / "user-settings").mkdir(parents=True)
    overrides = config / "share" / "jupyter" / "lab" / "settings"
    overrides.mkdir(parents=True)
    (overrides / "overrides.json").write_text(json.dumps(SETTINGS))
    command = [
        *[sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"],
        f"--IdentityProvider.token={token}",
        "--LabApp.expose_app_in_browser=True",
        *[
            f"--LabApp.app_settings_dir={overrides}",
            f"--LabApp.extra_labextensions_path={ROOT / 'widgets' / 'labextensions'}",
            f"--LabApp.user_settings_dir={config / 'lab' / 'user-settings'}",
        ],
    ]
    runtime = folder / "runtime"
    environment = {**os.environ, **environment, "JUPYTER_RUNTIME_DIR": str(runtime)}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            # it takes a free port, and writes its number to a file
            _wait(process, lambda: any(file.stat().st_size for file in runtime.glob("jpserver-*.json")))
            (about,) = runtime.glob("jpserver-*.json")
            port = json.loads(about.read_text("utf-8"))["port"]
            wait_until_up(process, f"http://127.0.0.1:{port}/api/status?token={token}")
            yield f"http://127.0.0.1:{port}/lab/tree/{{path}}?token={token}"
        finally:
            process.terminate()
            process.wait()


def wait_until_up(process: subprocess.Popen[Any], url: str, seconds: float = 300.0) -> None:
    """Wait until a server answers; RuntimeError if it ends or takes longer."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return True
        except OSError:
            return False

    _wait(process, answers, seconds)


def _wait(process: subprocess.Popen[Any], condition: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"It did not start; see server.log: {process.args}")
        time.sleep(0.2)


def end_kernels(address: str) -> None:
    """End all kernels of a JupyterLab, and with them their live cells."""
    root, token = re.match(r"(.*)/lab/.*token=(\w+)", address).groups()  # type: ignore[union-attr]
    with urllib.request.urlopen(f"{root}/api/sessions?token={token}") as reply:  # noqa: S310 - our own server
        sessions = json.load(reply)
    for session in sessions:
        url = f"{root}/api/sessions/{session['id']}?token={token}"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()  # noqa: S310


@contextlib.contextmanager
def chromium(*, width: int = 1280, height: int = 1000) -> Iterator[Page]:
    """Run a browser with an empty profile; yield its page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("DMLINK_BROWSER") or shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
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
    """Open a notebook, without those open before, and wait until its kernel is ready."""
    page.goto(address.format(path=name) + "&reset")
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


def save_notebook(page: Page, path: Path) -> None:
    """Save a notebook that is open, and wait until it is on disk."""

    def saves(response: Any) -> bool:
        return response.request.method == "PUT" and path.name in response.url

    while True:
        with contextlib.suppress(NoResponse):  # JupyterLab ignores the keys while it still saves
            with page.expect_response(saves, timeout=5000) as saved:
                page.keyboard.press("Control+s")
            assert saved.value.ok
            return


def restart_kernel(page: Page) -> None:
    """Restart the kernel of the notebook that is open, and wait until it is ready."""
    page.click(".lm-MenuBar-itemLabel:text-is('Kernel')")
    page.click(".lm-Menu-itemLabel:text-is('Restart Kernel…')")
    page.click(".jp-Dialog button.jp-mod-accept")
    page.locator(".dmlink-panel.jupyter-widgets-disconnected").first.wait_for()
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")


def resize(page: Page, width: int, height: int = 1000) -> None:
    """Change the size of a window, and wait until JupyterLab has laid out its notebook for it."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(
        """width => {
            const notebook = document.querySelector('.jp-NotebookPanel').getBoundingClientRect();
            return innerWidth === width && notebook.right <= width && notebook.right > width - 100;
        }""",
        arg=width,
    )


def choose_theme(page: Page, theme: str) -> None:
    """Set JupyterLab's theme to "Light", "Dark" or "Dark High Contrast"."""
    page.click(".lm-MenuBar-itemLabel:text-is('Settings')")
    page.hover(".lm-Menu-itemLabel:text-is('Theme')")
    page.click(f".lm-Menu-itemLabel:text-is('JupyterLab {theme}')")
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=f"JupyterLab {theme}")


def titled(page: Page, title: str) -> Locator:
    """Return the panel with that title, on its own or in a dashboard; the first if there are several."""
    return page.locator(
        ".dmlink-panel:not(.dmlink-dashboard)",
        has=page.locator(f".dmlink-title:text-is({json.dumps(title)})"),
    ).first


def panel(page: Page, title: str) -> Locator:
    """Scroll to the panel with that title, and return it once it is being painted."""
    found = titled(page, title)
    found.scroll_into_view_if_needed()
    counts = found.locator(".dmlink-status-line", has_text=re.compile(r"painted +[\d.]*[1-9]"))
    counts.first.wait_for(state="attached")  # they are hidden until opened
    return found


def painted(view: Locator) -> int:
    """Return how many pictures the page has painted of a view."""
    return int(view.locator("canvas").first.get_attribute("data-painted") or 0)


def stopped(view: Locator, reader: Any) -> int:
    """Wait until no more pictures arrive, including those in transit; return how many there were."""
    for _ in range(20):
        before = painted(view)
        for _ in range(40):
            reader.next(60)
        if painted(view) == before:
            return before
    raise AssertionError("The view is still being painted.")


def current(view: Locator, reader: Any) -> int:
    """Wait until the view shows a frame newer than this moment; return its number."""
    now = reader.next(60).index
    while (shown := frame_shown(view)) < now:
        reader.next(60)
    return shown


def frame_shown(view: Locator) -> int:
    """Return the number of the frame that a live view or a cell's panel reports."""
    line = view.locator(".dmlink-status-line", has_text=FRAME).first
    return int(FRAME.search(line.text_content())[1])
