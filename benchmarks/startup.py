"""Start-up: the cost of starting dmlink, compared with importing NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median
from typing import Any

from .link import note
from .of_link.tables import table, verdict

NUMPY = "import numpy"
COMMAND_LIMIT, IMPORT_LIMIT = 2.0, 4.0
#: Python's arguments, and the allowed CPU time in multiples of NumPy's.
STARTED: dict[str, tuple[list[str], float | None]] = {
    NUMPY: (["-c", NUMPY], None),
    "dmlink --version": (["-m", "dmlink", "--version"], COMMAND_LIMIT),
    "dmlink --help": (["-m", "dmlink", "--help"], COMMAND_LIMIT),
    "import dmlink": (["-c", "import dmlink"], IMPORT_LIMIT),
    "dmlink.connect": (["-c", "import dmlink; dmlink.connect"], None),
    "dmlink.open": (["-c", "import dmlink; dmlink.open"], None),
    "dmlink.LiveCell": (["-c", "import dmlink; dmlink.LiveCell"], None),
    "import IPython": (["-c", "import IPython"], None),
    "imports of %load_ext dmlink": (["-c", "import dmlink_widgets.magics"], None),
    "imports of dmlink.view": (["-c", "import dmlink_widgets.panels.live_view"], None),
}


def run(quick: bool) -> dict[str, Any]:
    """Start all of them in turn: about a minute, or a few seconds if `quick`."""
    if os.name == "nt":
        raise OSError("Windows does not report the CPU time of ended processes; use Linux or macOS.")
    runs = 3 if quick else 15
    seconds: dict[str, list[float]] = {name: [] for name in STARTED}
    for turn in range(runs + 1):
        note(f"start-up, run {turn} of {runs}" if turn else "start-up, once for the byte code")
        for name, (arguments, _) in STARTED.items():
            taken = _cpu_seconds(arguments)
            if turn:
                seconds[name].append(taken)
    return {"runs": runs, "seconds": seconds}


def lines(result: dict[str, Any]) -> list[str]:
    """Return the table."""
    seconds = result["seconds"]
    rows = []
    for name, (_, limit) in STARTED.items():
        ratio = median(one / numpy for one, numpy in zip(seconds[name], seconds[NUMPY], strict=True))
        kept = verdict(ratio <= limit, f"<= {limit:g}") if limit else ""
        rows.append([name, f"{median(seconds[name]) * 1e3:.0f}", f"{ratio:.2f}", kept])
    title = f"CPU time (user and system) of a whole process; medians of {result['runs']} runs"
    return table(title, ["", "ms", "of NumPy", "limit"], rows)


def _cpu_seconds(arguments: list[str]) -> float:
    """Run Python with these arguments in a new process; return the CPU time that it took."""
    import resource  # noqa: PLC0415 - not on Windows

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - ours
        [sys.executable, *arguments],
        env=environment,
        cwd=tempfile.gettempdir(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
