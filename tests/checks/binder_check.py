"""Does what Binder does, without Binder: `.venv/bin/python tests/checks/binder_check.py`, about ten minutes.

A clean clone; an environment built from exactly the files of binder/; postBuild; Jupyter as Binder starts it
(through `start`, behind a base URL, on 0.0.0.0, with a token), on one core; the first lesson in a browser. It
ends with an error if anything fails, if the data is 50 MB or more, or if the processes take 1 GB.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "support"))
import browser  # noqa: E402 - found there

DATA_MB, MEMORY_MB, CORES = 50, 1000, {0}
BASE = "/user/somebody/"


def main():
    """Run all steps, and print how long each took."""
    with tempfile.TemporaryDirectory(prefix="dmlink-binder-") as name:
        folder = Path(name)
        clone, home = folder / "clone", folder / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        step("clone")
        venv.create(folder / "env", with_pip=True)
        bin_folder = folder / "env" / "bin"
        environment = {
            "HOME": str(home),
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
        }
        pip = ["python", "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt"]
        subprocess.run(pip, cwd=clone, env=environment, check=True)
        step("install binder/requirements.txt")
        subprocess.run(["bash", "binder/postBuild"], cwd=clone, env=environment, check=True)
        size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) / 1e6
        step(f"postBuild, which leaves {size:.1f} MB of data")
        assert size < DATA_MB
        lesson_in_browser(clone, environment)


def lesson_in_browser(clone, environment):
    """Run the first lesson in a browser, on one core, and watch the memory meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    token = secrets.token_hex(16)
    jupyter = [
        "jupyter",
        "lab",
        "--ip=0.0.0.0",
        f"--port={port}",
        "--no-browser",
        f"--ServerApp.base_url={BASE}",
    ]
    jupyter += [f"--IdentityProvider.token={token}", "--ServerApp.allow_root=True"]
    log = (clone / "jupyter.log").open("w")
    process = subprocess.Popen(
        ["bash", "binder/start", *jupyter],
        cwd=clone,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, CORES),  # noqa: PLW1509 - no threads yet
    )
    highest, over = [0.0], threading.Event()
    watching = threading.Thread(target=watch_memory, args=(process.pid, highest, over))
    watching.start()
    try:
        browser.wait_until_up(process, f"http://127.0.0.1:{port}{BASE}api/status?token={token}", 120)
        step("Jupyter is up")
        address = f"http://127.0.0.1:{port}{BASE}lab/tree/{{path}}?token={token}"
        with browser.chromium(width=1200, height=1400) as page:
            page.set_default_timeout(120_000)
            browser.open_notebook(page, address, "notebooks/01-first-live-cell.ipynb")
            step("the first lesson is open")
            browser.run_all(page)
            view = page.locator(".dmlink-panel").first
            view.scroll_into_view_if_needed()
            view.locator("text=/painted +[1-9]/").wait_for()
            step("it has run, and the live view is painted: " + view.locator(".dmlink-light").inner_text())
            page.screenshot(path=ROOT / "artefacts" / "binder.png")
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        over.set()
        watching.join()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()
    psutil.wait_procs(children, 30)
    step(f"ended; its processes took {highest[0]:.0f} MB at most, on one core")
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert highest[0] < MEMORY_MB


def watch_memory(pid, highest, over):
    """Record the peak memory of all processes; shared memory counts once (PSS)."""
    while not over.wait(0.5):
        total = 0
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # the process has ended meanwhile
                continue
        highest[0] = max(highest[0], total / 1e6)


def step(what, began=[time.monotonic()]):  # noqa: B006 - the time of the last one
    """Print what was done and how long it took."""
    print(f"{time.monotonic() - began[0]:7.1f} s  {what}", flush=True)
    began[0] = time.monotonic()


if __name__ == "__main__":
    sys.exit(main())
