"""Probe: what a notebook's kernel answers when it is asked how it is."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import psutil
from dmlink_widgets.live_view import LiveView

import dmlink
from dmlink.cell import live_cells
from dmlink.engine import engine


def look(names: dict[str, Any]) -> str:
    """Return, as JSON, the counters of the notebook's link, cells, view and recording."""
    link, recorder, view = names.get("link"), names.get("recorder"), names.get("view")
    seen: dict[str, Any] = {"pid": os.getpid(), "cells": {cell.name: _cell(cell) for cell in live_cells()}}
    if isinstance(link, dmlink.Link):
        stats = link.stats
        seen["link"] = {
            "received": stats.received,
            "dropped": stats.dropped,
            "state": link.state,
            "age": stats.age,
        }
        seen["rois"] = sorted(link.rois())
    if isinstance(recorder, dmlink.Recorder):
        facts = ("frames", "dropped", "state", "reason")
        seen["recorder"] = {"path": str(recorder.path), **{fact: getattr(recorder, fact) for fact in facts}}
    if isinstance(view, LiveView):
        seen["painted"] = view.fence.painted
    spare = engine._spare  # noqa: SLF001 - nobody else has a reason to know
    seen["workers"] = [w.pid for w in (*engine._workers, *([spare] if spare else []))]  # noqa: SLF001
    return json.dumps(seen)


def move_parameters(share: float) -> None:
    """Set every parameter with a range to this share of it, as sliders would."""
    for cell in live_cells():
        for name, parameter in cell.parameters.items():
            if parameter.kind == "slider":
                low, high, step = parameter.range
                n = round(share * (high - low) / step)
                cell.set(**{name: type(parameter.value)(low + n * step)})


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
            "MB": (memory.rss - memory.shared) / 1e6,
        }
    )


def _blocks() -> int:
    """Return how many blocks of shared memory are mapped: each takes a descriptor while a frame is in it."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it was that of this loop
            count += str(descriptor.readlink()).startswith("/dev/shm/")  # noqa: S108 - looked at
    return count


def _cell(cell: dmlink.LiveCell) -> dict[str, Any]:
    stats = cell.stats
    worker = cell._runner._worker  # noqa: SLF001
    return {
        **{name: getattr(stats, name) for name in ("received", "processed", "skipped", "dropped", "errors")},
        "error": cell.error[:200],
        "state": cell.link.state if cell.link else "",
        "worker": worker.pid if worker else 0,
    }
