"""A simulated DigitalMicrograph in one of GMS's versions of Python, which needs only NumPy.

    python3.7 tests/support/dm_in_gms_python.py ROOT

Requests arrive on standard input and are answered on standard output, both pickled: (name, arguments) of a
method of `Host`, and (None or the traceback, value). It ends with the input.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
import types
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGES = ("dmlink", "dmlink.recordings")  # packages whose __init__ imports missing modules


def prepare(root: str) -> None:
    """Make the simulator's modules importable without the packages that the rest of dmlink needs."""
    for name in PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(Path(root, *name.split(".")))]  # type: ignore[attr-defined]
        sys.modules[name] = package
        parent, _, short = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], short, package)
    # the simulator only uses the axes of frames, which come from the code for DM
    sys.modules["dmlink.frame"] = import_module("dmlink.indm.info")


class View:
    """The camera's images: a recording in memory."""

    def __init__(self, path: str, name: str, x: Any, y: Any) -> None:
        import numpy as np

        self.stack = np.load(path)
        self.name, self.shape, self.dtype = name, self.stack.shape, self.stack.dtype
        self.x, self.y = x, y
        self.tags = {"Microscope Info:Voltage": 200000.0}

    def __len__(self) -> int:
        return len(self.stack)

    def __getitem__(self, i: int) -> Any:
        return types.SimpleNamespace(data=self.stack[i])


class Host:
    """A microscope that plays a file of frames; several can be started one after another."""

    began = 0.0

    def about(self) -> str:
        """Return the versions running here."""
        import platform

        import numpy as np

        return f"Python {platform.python_version()} on {platform.system()}, NumPy {np.__version__}"

    def start(self, path: str, name: str, x: Any, y: Any, fps: float, paused: bool) -> None:
        """Start DM with a live view of the frames, on the first one if the camera is paused."""
        from dmlink.indm.info import Axis
        from dmlink.simulator.microscope import Microscope

        self.microscope = Microscope(View(path, name, Axis(*x), Axis(*y)), fps)
        if paused:
            self.microscope.camera.pause()
        self.microscope.start()
        if paused:
            self.microscope.camera.step()

    def run(self, text: str, name: str, background: bool, until: str) -> str:
        """Run a script until it prints a line that contains `until`, and return that line."""
        self.began = time.perf_counter()
        self.script = self.microscope.run_script(text, background=background, name=name)
        return self.script.wait_for(until, 60.0)

    def step(self, n: int) -> None:
        """Show the next frame (n=1) or none, and wait until DM and its scripts have finished with it."""
        if n:
            time.sleep(time.perf_counter() - self.began)  # a script pauses for as long as it has worked
            self.began = time.perf_counter()
            self.microscope.camera.step()
        self.microscope.settle(60.0)

    def windows(self) -> Any:
        """Return the windows as the user sees them."""
        return self.microscope.windows()

    def window(self, name: str) -> Any:
        """Wait for a window whose title contains this."""
        return self.microscope.window(name, 60.0)

    def output(self) -> Any:
        """Return what the last script printed."""
        return self.script.output

    def close(self) -> Any:
        """End DM; return exceptions that escaped into it, and images that scripts left behind."""
        self.microscope.close()
        return [repr(error) for error in self.microscope.escaped], self.microscope.leaked_images


def main() -> None:
    """Answer requests."""
    prepare(sys.argv[1])
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not get into the pipe
    host = Host()
    while True:
        try:
            name, arguments = pickle.load(requests)  # noqa: S301 - from the test that started us
        except EOFError:
            return
        try:
            reply = None, getattr(host, name)(*arguments)
        except BaseException:  # noqa: BLE001 - the test raises it
            reply = traceback.format_exc(), None
        pickle.dump(reply, replies, protocol=4)
        replies.flush()


if __name__ == "__main__":
    main()
