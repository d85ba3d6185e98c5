"""Asks a real DigitalMicrograph what nobody has published, and prints the answers.

Run it in a script window with the live view running in front: with "Execute on background thread" ticked, and
without. It takes ten seconds and changes nothing. Please send what it prints to the makers of dmlink.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
import traceback
import zlib
from typing import Any, Callable

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import axis, refusal, version

LISTEN_SECONDS = 4.0
SLOW_SECONDS = 0.1  # how long a slow handler takes


class Witness(DM.Py_ScriptObject):  # type: ignore[misc]
    """Notes when the handler is called, on which thread, and whether the data were new."""

    def __init__(self) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.calls: list[tuple[float, int, int, str]] = []
        self.pause = 0.0
        self.stop = False

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: N802 - DM's name
        """Take a note."""
        if self.stop:
            return
        try:
            seen = zlib.crc32(np.atleast_2d(image.GetNumArray())[::16].tobytes())
            self.calls.append((time.perf_counter(), threading.get_ident(), seen, repr(flags)))
            if self.pause:
                time.sleep(self.pause)
        except Exception:  # noqa: BLE001 - nothing may escape into DM
            traceback.print_exc()


def ask(question: str, answer: Callable[[], Any]) -> None:
    """Print a question and its answer; an exception is an answer too."""
    try:
        said = answer()
    except Exception as error:  # noqa: BLE001
        said = f"{type(error).__name__}: {error}"
    print(f"{question}: {said}")


def about_calls(calls: list[tuple[float, int, int, str]]) -> str:
    """Return how often the handler was called, on which threads, and how often nothing was new."""
    if len(calls) < 2:
        return f"{len(calls)} events"
    rate = (len(calls) - 1) / (calls[-1][0] - calls[0][0])
    repeated = sum(a[2] == b[2] for a, b in zip(calls, calls[1:]))
    threads = sorted({call[1] for call in calls})
    flags = sorted({call[3] for call in calls})
    return f"{len(calls)} events, {rate:.1f}/s, {repeated} without new data, threads {threads}, flags {flags}"


def wait(seconds: float) -> None:
    """Let DM work for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if DM.IsScriptOnMainThread():
            DM.DoEvents()
        time.sleep(0.01)


def created(array: Any) -> str:
    """Return what CreateImage makes of an array."""
    image = DM.CreateImage(array)
    if image is None:
        return "None"
    back = image.GetNumArray()
    text = f"{back.shape} {back.dtype}, own data {back.flags.owndata}, type {image.GetDataType()}"
    DM.DeleteImage(image)
    return text


def listen(image: Any) -> None:
    """Ask about events: their thread, rate and repetition, and what a slow handler does."""
    witness = Witness()
    ids = witness.ImageHandleDataChangedEvent(image, "pythonplugin")
    print(f"registration gives: {ids!r}")
    wait(LISTEN_SECONDS)
    calls, witness.calls = witness.calls, []
    ask("events", lambda: about_calls(calls))
    witness.pause = SLOW_SECONDS
    wait(LISTEN_SECONDS)
    ask(f"events with a handler that takes {SLOW_SECONDS} s", lambda: about_calls(witness.calls))
    witness.stop = True
    if hasattr(witness, "UnregisterAllListeners"):
        witness.UnregisterAllListeners()
    late = len(witness.calls)
    wait(0.5)
    print(f"events after UnregisterAllListeners: {len(witness.calls) - late}")


def main() -> None:
    """Ask everything."""
    print("dmlink self-test begins")
    gms = version()
    print(f"GMS {gms}, Python {sys.version}, NumPy {np.__version__}, {platform.platform()}")
    ask("main thread", DM.IsScriptOnMainThread)
    ask("this script's thread", threading.get_ident)
    ask("events of a listener", lambda: [n for n in dir(DM.Py_ScriptObject) if "Handle" in n or "Unreg" in n])
    ask("module", lambda: sorted(n for n in dir(DM) if not n.startswith("_")))
    cube = np.zeros((2, 3, 4), np.float32)
    for name, array in {
        "float32 (3, 4)": np.zeros((3, 4), np.float32),
        "float64 (3, 4)": np.zeros((3, 4)),
        "int64 (3, 4)": np.zeros((3, 4), np.int64),
        "bool (3, 4)": np.zeros((3, 4), bool),
        "a view": cube[0],
        "(5,)": np.zeros(5, np.float32),
        "(1, 5)": np.zeros((1, 5), np.float32),
    }.items():
        ask(f"CreateImage of {name}", lambda array=array: created(array))  # type: ignore[misc]
    if refusal(gms):
        print(refusal(gms))
    else:
        image = DM.GetFrontImage()
        ask("front image", lambda: (image.GetName(), image.GetNumArray().shape, image.GetNumArray().dtype))
        ask("x axis", lambda: axis(image, 0))
        ask("x axis as DM gives it", lambda: image.GetDimensionCalibration(0, 0))
        ask("y axis", lambda: axis(image, 1))
        listen(image)
        del image
    print("dmlink self-test ends")


if __name__ == "__main__":
    main()
