"""Probe: a notebook's kernel reports its state."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import IPython
import psutil
from dmlink_widgets.panels.live_view import LiveView

import dmlink
from dmlink.cell.live_cell import live_cells
from dmlink.engine.pool import engine

_moved = 0  # number of parameter changes


def look(names: dict[str, Any]) -> str:
    """Return, as JSON, the counters of the notebook's link, cells, view and recording."""
    link, recorder, view = names.get("link"), names.get("recorder"), names.get("view")
    seen: dict[str, Any] = {"pid": os.getpid(), "cells": {cell.name: _cell(cell) for cell in live_cells()}}
    if isinstance(link, dmlink.Link):
        stats = link.stats
        seen["link"] = {
            "received": stats.received,
            "dropped": stats.dropped,
            "age": stats.age,
            "moved": _moved,
        }
    if isinstance(recorder, dmlink.Recorder):
        facts = ("frames", "dropped", "state", "reason")
        seen["recorder"] = {"path": str(recorder.path), **{fact: getattr(recorder, fact) for fact in facts}}
    if isinstance(view, LiveView):
        seen["painted"] = view.fence.painted
    spare = engine._spare  # noqa: SLF001 - only the soak needs it
    seen["workers"] = [w.pid for w in (*engine._workers, *([spare] if spare else []))]  # noqa: SLF001
    return json.dumps(seen)


def move_parameters(share: float) -> None:
    """Set every parameter with a range to this fraction of it, as sliders would."""
    global _moved  # noqa: PLW0603 - one per kernel
    for cell in live_cells():
        for name, parameter in cell.parameters.items():
            if parameter.minimum is not None and parameter.maximum is not None:
                value = parameter.minimum + share * (parameter.maximum - parameter.minimum)
                cell.set(**{name: round(value) if parameter.kind == "integer" else value})
                _moved += 1


def held() -> str:
    """Return, as JSON, what the kernel holds."""
    me = psutil.Process()
    memory = me.memory_info()
    blocks = _blocks()
    return json.dumps(
        {
            "descriptors": me.num_fds() - blocks,
            "threads": threading.active_count(),
            "processes": len(me.children(recursive=True)),
            "blocks": blocks,
            "MB": (memory.rss - memory.shared - _signatures()) / 1e6,
        }
    )


def _signatures() -> int:
    """Return the size of the message signatures that Jupyter keeps to reject repeated ones.

    They grow to 65536, 10 MB, in the first half hour of a live view; then old ones are dropped.
    """
    shell = IPython.get_ipython()  # type: ignore[attr-defined]
    remembered = shell.kernel.session.digest_history if shell else set()
    return sys.getsizeof(remembered) + sum(map(sys.getsizeof, remembered))


def _blocks() -> int:
    """Return how many blocks of shared memory are mapped: each uses a descriptor while it holds a frame."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of this loop itself
            count += str(descriptor.readlink()).startswith("/dev/shm/")  # noqa: S108 - looked at
    return count


def _cell(cell: dmlink.LiveCell) -> dict[str, Any]:
    stats = cell.stats
    worker = cell._runner._worker  # noqa: SLF001
    return {
        **{name: getattr(stats, name) for name in ("received", "processed", "skipped", "dropped", "errors")},
        "error": cell.error[:200],
        "worker": worker.pid if worker else 0,
    }
