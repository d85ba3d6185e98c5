"""Cluster: a given number of `dmlink.process` workers on this computer, with their imports done."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING

from dmlink.batch.workers import local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client


@contextlib.contextmanager
def workers(n: int) -> Iterator[Client]:
    """Yield a client of `n` workers."""
    with local(n) as client:
        client.wait_for_workers(n, timeout=30)
        client.run(_imported)
        yield client


def _imported() -> None:
    import_module("dmlink.batch.processing")
