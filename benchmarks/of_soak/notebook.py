"""Notebook: a real kernel that runs live cells, queried without blocking."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from jupyter_client import BlockingKernelClient

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

LOOK_SECONDS = 0.1
READY_SECONDS = 300.0  # for a kernel to start and run the cells, on a busy machine

FIRST = """
%load_ext dmlink
import dmlink, json, threading, time
from benchmarks.of_soak import probe
link = dmlink.connect()
link.set_roi({roi!r}, dmlink.Roi{place})
until = time.monotonic() + 20
while {roi!r} not in link.rois() and time.monotonic() < until: time.sleep(0.02)
"""


class Notebook:
    """Cells in our own kernel, run as a user would run them.

    Parameters
    ----------
    name : str
        Also that of its ROI.
    place : tuple of int
        (top, left, bottom, right) of that ROI.
    cells : dict
        Texts of its live cells by name; a text begins with the magic's options, and a line break.
    folder : Path
    home : Path
        Where it finds the companion's endpoint.
    """

    def __init__(
        self,
        name: str,
        place: tuple[int, int, int, int],
        cells: dict[str, str],
        folder: Path,
        home: Path,
    ) -> None:
        self.name, self.place, self.cells = name, place, cells
        self.folder = folder
        self.seen: dict[str, Any] = {}  # its last report
        self.heard = 0.0  # when it came, monotonic
        self.environment = {**os.environ, "DMLINK_HOME": str(home)}
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None
        self._asked: str | None = None
        self._answers: dict[str, Any] = {}

    @property
    def texts(self) -> list[str]:
        """The notebook's cells as typed."""
        first = FIRST.format(roi=self.name, place=self.place)
        return [first, *(f"%%live {name} {text}" for name, text in self.cells.items())]

    def start(self) -> Iterator[float]:
        """Start a kernel and run all cells; yields while it waits."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / f"{self.name}-{time.monotonic_ns()}.json"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(file)]
        log = (self.folder / f"{self.name}.log").open("ab")
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        until = time.monotonic() + READY_SECONDS
        while not (file.exists() and file.stat().st_size) and time.monotonic() < until:
            yield LOOK_SECONDS
        yield from self.attach(file)
        for text in self.texts:
            yield from self.run(text)

    def attach(self, file: Path) -> Iterator[float]:
        """Use the kernel of this connection file from now on."""
        self.close_client()
        time.sleep(0.05)  # the file is written in one go, but not atomically
        self._client = BlockingKernelClient(connection_file=str(file))
        self._client.load_connection_file()
        # without iopub, which would carry all pictures of the live view
        self._client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        self.pid = int((yield from self.run("import os", "os.getpid()")))

    def run(self, code: str, value: str = "None") -> Generator[float, None, Any]:
        """Run code as a cell; return the value of an expression afterwards. Yields while it waits.

        Raises
        ------
        TimeoutError
            If it does not end.
        RuntimeError
            If it raises.
        """
        number = self._client.execute(code, user_expressions={"value": value})
        until = time.monotonic() + READY_SECONDS
        while number not in self._answers:
            if time.monotonic() > until:
                raise TimeoutError(f"Notebook {self.name} did not answer to: {code.strip()[:100]}")
            yield LOOK_SECONDS
            self._take()
        return self._value(self._answers.pop(number), code)

    def tell(self, code: str) -> None:
        """Run code without waiting for it."""
        if self._client:
            self._client.execute(code, silent=True)

    def look(self) -> None:
        """Process its answers, and ask it for its state."""
        if self._client is None:
            return
        self._take()
        if self._asked in self._answers:
            reply = self._answers.pop(self._asked)
            self._asked = None
            with contextlib.suppress(RuntimeError):  # no cell has run yet
                self.seen = json.loads(self._value(reply, "probe"))
                self.heard = time.monotonic()
        if self._asked is None:
            look = {"value": "probe.look(globals())"}
            self._asked = self._client.execute("", silent=True, user_expressions=look)
        for number in list(self._answers)[:-20]:  # of code run without waiting
            del self._answers[number]

    def held(self) -> Generator[float, None, dict[str, float]]:
        """Return what the kernel holds."""
        held: dict[str, float] = json.loads((yield from self.run("", "probe.held()")))
        return held

    def kill(self) -> list[int]:
        """Kill the kernel as the system does when memory runs out; return its child processes."""
        workers = [*self.seen.get("workers", ())]
        self.forget()
        os.kill(self.pid, signal.SIGKILL)
        if self._process:
            self._process.wait()
        return workers

    def forget(self) -> None:
        """Discard its last report."""
        self.seen, self._asked = {}, None
        self._answers.clear()

    def close_client(self) -> None:
        """Close the connection to it."""
        if self._client:
            self._client.stop_channels()
            self._client = None
        self._asked = None

    def close(self) -> None:
        """End the kernel."""
        self.close_client()
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _take(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                reply = self._client.get_shell_msg(timeout=0)
                self._answers[reply["parent_header"].get("msg_id", "")] = reply["content"]

    def _value(self, content: dict[str, Any], code: str) -> Any:
        if content["status"] != "ok":
            raise RuntimeError(f"Notebook {self.name}: {content.get('evalue')} in: {code.strip()[:200]}")
        value = content["user_expressions"]["value"]
        if value["status"] != "ok":
            raise RuntimeError(f"Notebook {self.name}: {value.get('evalue')} in: {code.strip()[:200]}")
        return ast.literal_eval(value["data"]["text/plain"])
