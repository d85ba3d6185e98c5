"""Kernel: how much incoming frames slow down a Jupyter kernel for its user."""

from __future__ import annotations

import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import start_new_kernel

from . import sender, transport
from .children import answer, child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

SIZE = 2048
RATE = 100.0  # frames/s of 8 MiB: 839 MB/s
PAUSE = 0.02  # s between two cells
CELLS = {"1 + 1": "1 + 1", "10 ms of Python": "sum(i * i for i in range(150_000))"}
TAKE = """
import dmlink, threading
def take():
    for frame in link:
        pass
link = dmlink.connect({endpoint!r})
thread = threading.Thread(target=take)
thread.start()
link.next(5)
"""
END = "link.close(); thread.join()"


def round_trips(runs: int, cells: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return each cell's median round trip in ms, idle and while frames arrive, and the ratio."""
    note("round trip of a cell while frames arrive")
    times: dict[str, dict[str, list[float]]] = {name: {"idle": [], "arriving": []} for name in CELLS}
    arrived = []
    with child(publish, SIZE, RATE) as publisher, _kernel() as kernel:
        endpoint = answer(publisher)
        _execute(kernel, "import dmlink")
        for _ in range(runs):
            for name, text in CELLS.items():
                times[name]["idle"].append(_round_trip(kernel, text, cells))
            _execute(kernel, TAKE.format(endpoint=endpoint))
            before, begun = _received(kernel), time.perf_counter()
            for name, text in CELLS.items():
                times[name]["arriving"].append(_round_trip(kernel, text, cells))
            arrived.append((_received(kernel) - before) / (time.perf_counter() - begun) / 1e6)
            _execute(kernel, END)
    table: dict[str, Any] = {
        name: {
            "idle": median(pair["idle"]),
            "arriving": median(pair["arriving"]),
            "ratio": median(b / a for a, b in zip(pair["idle"], pair["arriving"], strict=True)),
        }
        for name, pair in times.items()
    }
    return {"MB/s": median(arrived), "cells": table}


def publish(pipe: Any, size: int, rate: float) -> None:
    """Send frames at that rate from this process."""
    sender.send(pipe.send, transport.picture(size), transport.Pace(rate))


@contextmanager
def _kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _round_trip(kernel: BlockingKernelClient, text: str, cells: int) -> float:
    """Return the median in ms from sending a cell to its reply."""
    times = []
    for _ in range(cells):
        time.sleep(PAUSE)
        begun = time.perf_counter()
        _execute(kernel, text)
        times.append(time.perf_counter() - begun)
    while kernel.iopub_channel.msg_ready():
        kernel.get_iopub_msg(timeout=1)
    return median(times) * 1e3


def _execute(kernel: BlockingKernelClient, text: str, **expressions: str) -> dict[str, Any]:
    sent = kernel.execute(text, store_history=False, user_expressions=expressions)
    while True:
        reply = kernel.get_shell_msg(timeout=30)
        if reply["parent_header"].get("msg_id") == sent:
            break
    content: dict[str, Any] = reply["content"]
    if content["status"] != "ok":
        raise RuntimeError("\n".join(content["traceback"]))
    return content


def _received(kernel: BlockingKernelClient) -> int:
    reply = _execute(kernel, "", n="link.stats.bytes")
    return int(reply["user_expressions"]["n"]["data"]["text/plain"])
