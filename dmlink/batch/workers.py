"""Workers: the Dask processes that process a recording, on this computer or a cluster."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client, Future

SCHEDULER_SECONDS = 10  # within which a scheduler must answer
LOOK_SECONDS = 5  # between looks at whether there still are workers
#: Memory settings of workers on this computer: shorter logs than Dask's thousand entries, no profile, and a
#: heap that keeps freed memory. By default, Dask returns it to the system at once, so that pages are cleared
#: again for each array of each frame, which takes most of the time of a cell with many small arrays.
MEMORY_SETTINGS = {
    "distributed.admin.low-level-log-length": 10,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,  # tasks do not run on the main thread
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32
    << 20,  # the largest value that glibc accepts
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 64 << 20,
}
#: A cell may kill its worker. On a busy computer, the next one may need longer to start than the 15 s after
#: which Dask would close it for good.
RESTART_SETTINGS = {
    "distributed.deploy.lost-worker-timeout": "1h",
    "distributed.scheduler.allowed-failures": 1,  # worker deaths before a block is given up
}


@contextlib.contextmanager
def local(n_workers: int | None = None) -> Iterator[Client]:
    """Yield a client of workers on this computer, one thread each; by default one for each available core."""
    import dask  # noqa: PLC0415 - with distributed 0.3 s
    import distributed  # noqa: PLC0415

    with (
        dask.config.set({**MEMORY_SETTINGS, **RESTART_SETTINGS}),
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port, as there may be several at once
            silence_logs=50,
        ) as workers,
        distributed.Client(workers) as client,
    ):
        try:
            yield client
        finally:
            workers.sync(_started, workers)


async def _started(workers: Any) -> None:
    """Wait for workers that are still starting: Dask cannot close them."""
    await workers


@contextlib.contextmanager
def cluster(client: Client | str | None) -> Iterator[Client]:
    """Yield a client: the given one, one for a scheduler's address, or (for None) one for this computer.

    Raises
    ------
    ConnectionError
        If no scheduler answers.
    """
    import distributed  # noqa: PLC0415

    if client is None:
        with local() as workers:
            yield workers
    elif isinstance(client, str):
        try:
            remote = distributed.Client(client, timeout=SCHEDULER_SECONDS)
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"No Dask scheduler answers at {client}; start one with `dask scheduler`, and workers with "
                "`dask worker ADDRESS`."
            ) from error
        with remote:
            yield remote
    else:
        yield client


def some_worker(client: Client) -> str:
    """Return the address of a worker; wait until there is one."""
    return str(result(client, client.submit(_own_address, pure=False)))


def _own_address() -> str:
    import distributed  # noqa: PLC0415

    return str(distributed.get_worker().address)


def result(client: Client, future: Future[Any]) -> Any:
    """Return the result of a future; meanwhile, make sure that there are workers."""
    import distributed  # noqa: PLC0415

    while not future.done():
        with contextlib.suppress(distributed.TimeoutError):
            distributed.wait(future, timeout=LOOK_SECONDS)
            break
        revive(client)
    return future.result()


def revive(client: Client) -> None:
    """Restart the workers of a local cluster if all of them are gone; warn if another scheduler has none.

    Dask gives up a worker that dies while it starts, as happens if it gets a fatal block right away.
    """
    import distributed  # noqa: PLC0415

    workers: Any = client.cluster
    if isinstance(workers, distributed.LocalCluster):
        gone = {distributed.Status.failed, distributed.Status.closed}
        known = workers.workers.values()  # those that are starting come into it later
        if known and all(worker.status in gone for worker in known):
            number = len(workers.worker_spec)
            workers.scale(0)
            workers.sync(workers._correct_state)  # noqa: SLF001 - closes the workers that `scale` only removed from its list
            workers.scale(number)
    elif not client.scheduler_info()["workers"]:
        address = client.scheduler.address if client.scheduler else "its address"
        warnings.warn(
            f"The Dask scheduler has no workers; start some with `dask worker {address}`.",
            stacklevel=2,
        )
