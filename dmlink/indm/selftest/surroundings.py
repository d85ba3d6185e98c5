"""Questions about GMS's Python and its surroundings: packages, clocks, folders, the camera, recordings."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

import DigitalMicrograph as DM

from dmlink.indm.gms import delete_image
from dmlink.indm.questions import NOT_ASKED, PACKAGES
from dmlink.indm.selftest.answers import Answers, allowed, wait_for
from dmlink.indm.selftest.calls import FUNCTIONS, METHODS
from dmlink.indm.selftest.events import Witness

RECORDING = r""  # the folder of a recording that is being written during the test
RECORDING_SECONDS = 3.0
EXPOSURE = 0.2  # s, exposure used for the camera question
THREAD_SECONDS = 600.0  # after which the thread started for a question ends, without a second run
TICK_SECONDS = 0.02


def ask_about_python(answers: Answers, shared: dict[str, Any]) -> None:
    """Ask the questions that need no image; `shared` are the global names that all scripts share."""
    answers.ask("threads", lambda: threads(shared))  # first: it compares with the time before this run
    answers.ask("packages", lambda: [name for name in PACKAGES if find_spec(name) is not None])
    answers.ask("argv", argv)
    answers.ask("folder", folder)
    answers.ask("timer", timer)
    answers.ask("loopback", loopback)
    answers.ask("stale_groups", stale_groups)
    answers.ask("event_names", event_names)
    answers.ask("python_strings", lambda: python_strings(shared))
    answers.ask("recording", recording)


def argv() -> str:
    """Return what `sys.argv` is."""
    if not hasattr(sys, "argv"):
        return "missing"
    return "host" if sys.argv else "empty"


def folder() -> dict[str, Any]:
    """Return the kind of working folder, without its name, and whether it is writable."""
    here = Path.cwd()
    where = "other"
    for name, path in (("home", Path.home()), ("temporary", Path(tempfile.gettempdir()))):
        if path == here:
            where = name
    if here.name.lower() == "system32":
        where = "system32"
    name = f"dmlink-self-test-{os.getpid()}.tmp"
    try:
        with open(name, "x"):  # noqa: PTH123 - as scripts do
            pass
        os.remove(name)  # noqa: PTH107
    except OSError:
        return {"where": where, "writable": False}
    return {"where": where, "writable": True}


def timer() -> dict[str, float]:
    """Return the steps in which clocks advance and the length of the shortest sleep, in ms."""
    steps = {"time": time.time, "monotonic": time.monotonic, "perf_counter": time.perf_counter}
    found = {name: step_of(clock) for name, clock in steps.items()}
    sleeps = []
    for _ in range(5):
        begin = time.perf_counter()
        time.sleep(0.001)
        sleeps.append(time.perf_counter() - begin)
    return {name: round(1e3 * s, 3) for name, s in dict(found, sleep=sorted(sleeps)[2]).items()}


def step_of(clock: Any) -> float:
    """Return the smallest observed step of a clock, in seconds."""
    steps: list[float] = []
    end = time.perf_counter() + 1.0
    now = clock()
    while len(steps) < 5 and time.perf_counter() < end:
        then = clock()
        if then != now:
            steps.append(then - now)
            now = then
    return float(min(steps)) if steps else 1.0


def loopback() -> bool:
    """Return whether a port can be opened on this computer, for local connections."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
    return True


def stale_groups() -> bool:
    """Return whether a stored persistent tag group fails from the second use on."""
    tags = DM.GetPersistentTagGroup()
    tags.SetTagAsLong("dmlink:selftest", 1)
    try:
        return not (tags.GetTagAsLong("dmlink:selftest")[0] and tags.GetTagAsLong("dmlink:selftest")[0])
    except Exception:  # noqa: BLE001
        return True


def event_names() -> list[str]:
    """Return all names related to events."""
    return sorted(n for n in dir(DM.Py_ScriptObject) if "Handle" in n or "Unreg" in n)


def threads(shared: dict[str, Any]) -> str:
    """Return whether the previous run's thread continued after it; if there was none, start one.

    It counts as running if it made a step in the middle half of the time between the runs: a frozen thread
    may make some before it freezes and when this script starts, and on a busy computer any makes few.
    """
    before = shared.pop("dmlink_selftest_ticks", None)
    if isinstance(before, dict):
        before["stop"] = True
        if before.get("end") is not None:
            quarter = (time.perf_counter() - before["end"]) / 4
            after = [tick - before["end"] for tick in list(before["times"])]
            return "run" if any(quarter <= tick <= 3 * quarter for tick in after) else "frozen"
    ticks: dict[str, Any] = {"times": [], "end": None, "stop": False}

    def tick() -> None:
        last = time.perf_counter() + THREAD_SECONDS
        while not ticks["stop"] and time.perf_counter() < last:
            time.sleep(TICK_SECONDS)
            ticks["times"].append(time.perf_counter())

    shared["dmlink_selftest_ticks"] = ticks
    threading.Thread(target=tick, daemon=True).start()
    return "run the self-test a second time"


def python_strings(shared: dict[str, Any]) -> str:
    """Return whether Python started by DM-script, as by a menu item, shares the scripts' global names."""
    path = Path(tempfile.gettempdir()) / f"dmlink-self-test-{os.getpid()}.txt"
    shared["dmlink_selftest_shared"] = 1
    text = f"open({path.as_posix()!a}, 'w').write(str('dmlink_selftest_shared' in globals()))"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    try:
        DM.ExecuteScriptString(f'ExecutePythonScriptString("{quoted}", 1)')
        wait_for(lambda: path.exists() and path.read_text(), 3.0)
        return {"True": "shared", "False": "own"}.get(path.read_text() if path.exists() else "", "no answer")
    except Exception:  # noqa: BLE001
        return "missing"
    finally:
        shared.pop("dmlink_selftest_shared", None)
        if path.exists():
            path.unlink()


def recording() -> Any:
    """Return what a recording looks like while it is being written: kinds of files, whether they grow."""
    if not RECORDING:
        return NOT_ASKED
    path = Path(RECORDING)
    folder = path if path.is_dir() else path.parent
    before = files_in(folder)
    wait_for(lambda: False, RECORDING_SECONDS)
    after = files_in(folder)
    written = [name for name in after if after[name] != before.get(name)]
    raw = [name for name in written if ".raw" in name]
    header = any(name.endswith(".dm4") and os.sep not in name for name in after)
    return {
        "layout": "raw" if any(".raw" in name for name in after) else "tree",
        "header": "first" if header else "last",
        "is_written": bool(written),
        "preallocate": bool(raw) and all(after[name][0] == before.get(name, (0, 0))[0] for name in raw),
        "readable": all(readable(folder / name) for name in (written or list(after))[:20]),
    }


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return sizes and times of at most 10,000 files below a folder, by name."""
    files: dict[str, tuple[int, int]] = {}
    for path, _, names in os.walk(str(folder)):
        for name in names:
            file = Path(path) / name
            try:
                status = file.stat()
            except OSError:
                continue
            files[str(file.relative_to(folder))] = status.st_size, status.st_mtime_ns
            if len(files) >= 10_000:
                return files
    return files


def readable(path: Path) -> bool:
    """Return whether a file can be read while another program writes it."""
    try:
        with path.open("rb") as file:
            file.read(16)
    except OSError:
        return False
    return True


def ask_about_camera(answers: Answers) -> None:
    """Ask how long to wait for a frame, if the user lets us use the camera."""
    if allowed(
        "dmlink self-test: may it use the camera for two seconds, in continuous mode? Your live view may "
        "stop; start View again afterwards. Press Cancel to skip this question."
    ):
        answers.ask("continuous", continuous)


def continuous() -> str:
    """Return "any" if a short wait finds a frame that has already arrived, else "exposure"."""
    camera = DM.GetActiveCamera()
    camera.StartContinuousAcquisition(EXPOSURE, 1, 1, 3)
    image = None
    try:
        image = camera.CreateImageForAcquire(1, 1, 3)
        camera.GetFrameInContinuousMode(image, 2 * EXPOSURE)
        short = [camera.GetFrameInContinuousMode(image, EXPOSURE / 5) for _ in range(20)]
        return "any" if any(short) else "exposure"
    finally:
        camera.StopContinuousAcquisition()
        if image is not None:
            delete_image(image)


def missing(image: Any) -> list[str]:
    """Return which calls that dmlink makes do not exist; `image` has a window."""
    display = image.GetImageDisplay(0)
    document = image.GetOrCreateImageDocument()
    objects: dict[str, Callable[[], Any]] = {
        "Py_ScriptObject": Witness,
        "Py_Image": lambda: image,
        "Py_ImageDocument": lambda: document,
        "Py_ImageDisplay": lambda: display,
        "Py_ROI": lambda: DM.NewROI(),  # noqa: PLW0108 - it may be missing
        "Py_Component": lambda: display.AddNewComponent(13, 1, 1, 9, 9),
        "Py_TagGroup": lambda: DM.GetPersistentTagGroup(),  # noqa: PLW0108
        "Py_Camera": lambda: DM.GetActiveCamera(),  # noqa: PLW0108
    }
    gone = [f"DM.{name}" for name in FUNCTIONS if not hasattr(DM, name)]
    for kind, names in METHODS.items():
        try:
            thing = objects[kind]()
        except Exception:  # noqa: BLE001, S112 - there is no such object here; other questions find out why
            continue
        gone += [f"{kind}.{name}" for name in names if not hasattr(thing, name)]
    return gone
