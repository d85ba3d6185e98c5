"""`dmlink demo`: starts a simulated microscope, and JupyterLab with the first lesson."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.cli import option_types

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from types import FrameType

INSTALLED = Path(__file__).parents[1] / "notebooks"
LESSONS = INSTALLED if INSTALLED.is_dir() else Path(__file__).parents[2] / "notebooks"
FIRST_LESSON = "01-first-live-cell.ipynb"
HEADLESS_SECONDS = 600  # limit per cell, for a hang; long enough for a slow computer
END_SECONDS = 60  # limit for JupyterLab to end, including its kernels
#: Ctrl+C, kill, and, if the system has it, the end of the terminal.
ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: No notifications over the lesson: no question about news, no notice of a new version.
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="try dmlink with a simulated microscope")
    parser.add_argument("--headless", action="store_true", help="run the first lesson without a browser")
    parser.add_argument("--recording", help="recording to show; default: gold nanoparticles")
    parser.add_argument("--fps", help="frames per second")
    parser.add_argument("--scale", help="pixel size, if the recording has none")
    parser.add_argument("--unit", help="unit of --scale, such as nm")
    parser.add_argument("--port", type=option_types.port, default=8888, help="port of JupyterLab (8888)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Start both in a temporary folder, so that the user's files stay untouched."""
    for number in ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, _end)
    with tempfile.TemporaryDirectory(prefix="dmlink-demo-", ignore_cleanup_errors=True) as folder:
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
    """Run `dmlink simulate` as another process; yield the endpoint that it prints."""
    environment = {**os.environ, "DMLINK_HOME": str(home / ".dmlink")}
    command = [sys.executable, "-m", "dmlink", "simulate", *arguments]
    with _beside(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        endpoint = process.stdout.readline().strip() if process.stdout else ""
        if not endpoint:
            raise ChildProcessError("The simulated microscope did not start; see its message above.")
        yield endpoint


def execute(notebook: Path, endpoint: str) -> int:
    """Run a notebook from start to end, and print its output."""
    import nbclient
    import nbformat

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
    """Run JupyterLab in the lessons' folder until Ctrl+C."""
    for sentence in expectations(port):
        print(sentence, flush=True)
    runtime, settings = folder / ".jupyter" / "runtime", folder / ".jupyter" / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(SETTINGS), "utf-8")
    environment = {
        **os.environ,
        "DMLINK_ENDPOINT": endpoint,
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_TOKEN": secrets.token_hex(24),  # otherwise JupyterLab makes one and prints more addresses
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", str(folder / FIRST_LESSON), f"--port={port}"),
        f"--LabApp.app_settings_dir={settings}",
        *(
            "--LabApp.log_level=ERROR",
            "--ServerApp.log_level=ERROR",
        ),  # otherwise our address would be lost among its messages
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with contextlib.suppress(KeyboardInterrupt), _beside(command, env=environment, cwd=folder) as process:
        address = ""
        while process.poll() is None:
            if not address and (address := _address(runtime)):
                print(f"The first lesson: {address}\nCtrl+C ends the demo.", flush=True)
            time.sleep(0.2)  # on Windows, Ctrl+C does not interrupt process.wait()
        return int(process.returncode)
    return 0


def expectations(port: int) -> list[str]:
    """Return what a user should know before JupyterLab starts."""
    sentences = []
    with socket.socket() as sock:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore a server that has just ended
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            sentences.append(f"Port {port} is in use, so JupyterLab uses another; --port chooses one.")
    try:
        webbrowser.get()
    except webbrowser.Error:
        sentences.append(
            "No browser was found on this computer: open the address printed below, including its token, in "
            "a browser elsewhere. `dmlink demo --headless` needs none."
        )
    else:
        sentences.append("Your browser opens the first lesson; if not, open the address below.")
    return sentences


def _address(runtime: Path) -> str:
    """Return the lesson's address with the token; empty until JupyterLab has written its own."""
    for file in runtime.glob("jpserver-*.json"):
        with contextlib.suppress(json.JSONDecodeError):  # it is still being written
            server = json.loads(file.read_text("utf-8"))
            return f"{server['url']}lab/tree/{FIRST_LESSON}?token={server['token']}"
    return ""


@contextlib.contextmanager
def _beside(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process until the end of the context.

    It is shielded from Ctrl+C in the terminal, because JupyterLab would ask for confirmation, and Python
    would print a traceback while it is still importing.
    """
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen(command, start_new_session=True, **options)  # noqa: S603 - ours
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end(number: int, _: FrameType | None) -> None:
    """End the demo cleanly; ignore further signals, which could leave a process behind."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)
