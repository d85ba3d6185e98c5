"""`dmlink demo`: a simulated microscope, and JupyterLab with the first lesson on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import nbclient
import nbformat

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

INSTALLED = Path(__file__).parents[1] / "notebooks"
LESSONS = INSTALLED if INSTALLED.is_dir() else Path(__file__).parents[2] / "notebooks"
FIRST_LESSON = "01-first-live-cell.ipynb"
HEADLESS_SECONDS = 120


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="try dmlink with a simulated microscope")
    parser.add_argument("--headless", action="store_true", help="run the first lesson without a browser")
    parser.add_argument("--recording", help="what the microscope shows; default: gold nanoparticles")
    parser.add_argument("--fps", help="frames per second")
    parser.add_argument("--scale", help="size of a pixel, if the recording does not say it")
    parser.add_argument("--unit", help="unit of --scale, such as nm")
    parser.add_argument("--port", type=int, default=8888, help="of JupyterLab (8888)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Start both; in a folder of their own, so that nothing of the user's is touched."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the microscope must not be left behind
    with tempfile.TemporaryDirectory(prefix="dmlink-demo-") as folder:
        shutil.copytree(LESSONS, folder, dirs_exist_ok=True)
        arguments = [] if options.recording is None else [options.recording]
        for name in ("fps", "scale", "unit"):
            value = getattr(options, name)
            arguments += [] if value is None else [f"--{name}", value]
        with microscope(arguments, Path(folder)) as endpoint:
            if options.headless:
                return execute(Path(folder) / FIRST_LESSON, endpoint)
            return jupyterlab(Path(folder), endpoint, options.port)


@contextlib.contextmanager
def microscope(arguments: list[str], home: Path) -> Iterator[str]:
    """Run `dmlink simulate` beside us; gives the endpoint that it prints."""
    environment = {**os.environ, "DMLINK_HOME": str(home / ".dmlink")}
    command = [sys.executable, "-m", "dmlink", "simulate", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        endpoint = process.stdout.readline().strip() if process.stdout else ""
        if not endpoint:
            raise ChildProcessError("The simulated microscope did not start; what it said is above.")
        yield endpoint
    finally:
        process.terminate()
        process.wait()


def execute(notebook: Path, endpoint: str) -> int:
    """Run a notebook from beginning to end; what it prints is printed."""
    os.environ["DMLINK_ENDPOINT"] = endpoint
    lesson = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    client = nbclient.NotebookClient(
        lesson, timeout=HEADLESS_SECONDS, resources={"metadata": {"path": str(notebook.parent)}}
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        print(f"{notebook.name} did not run to the end:\n{error}", file=sys.stderr)
        return 1
    for cell in lesson.cells:
        for output in cell.get("outputs", []):
            print(output.get("text", ""), end="")
    print(f"{notebook.name} ran to the end.")
    return 0


def jupyterlab(folder: Path, endpoint: str, port: int) -> int:
    """Run JupyterLab on the lessons until it is ended."""
    for sentence in expectations(port):
        print(sentence, flush=True)
    environment = {**os.environ, "DMLINK_ENDPOINT": endpoint}
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", str(folder / FIRST_LESSON)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    try:
        return subprocess.run(command, env=environment, cwd=folder, check=False).returncode  # noqa: S603
    except KeyboardInterrupt:
        return 0


def expectations(port: int) -> list[str]:
    """Return what a user should know before JupyterLab prints its many lines."""
    sentences = []
    with socket.socket() as sock:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended is none
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sentences.append(f"Port {port} is in use: JupyterLab takes another, or choose it with --port.")
    try:
        webbrowser.get()
    except webbrowser.Error:
        sentences.append(
            "No browser was found on this computer: open the address that JupyterLab prints below, "
            "with its token, in one. `dmlink demo --headless` needs none."
        )
    else:
        sentences.append("Your browser opens with the first lesson; if not, open the address printed below.")
    return sentences
