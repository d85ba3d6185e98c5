"""Cluster: Dask workers on this computer, one thread each, that have done their importing."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client


@contextlib.contextmanager
def workers(n: int) -> Iterator[Client]:
    """Give a client of `n` workers."""
    import distributed  # noqa: PLC0415 - takes 0.3 s

    with (
        distributed.LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(n, timeout=30)
        client.run(_imported)
        yield client


def _imported() -> None:
    import_module("dmlink.batch")
