"""Children: a benchmark's processes, each with a pipe to the one that started it."""

from __future__ import annotations

import contextlib
import multiprocessing
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

_spawn = multiprocessing.get_context("spawn")  # nothing is inherited: neither threads nor memory


@contextlib.contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Run `target(pipe, *arguments)` in a new process; yields our end of the pipe, then ends the process."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_main, args=(target, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(0.0 if target.__name__ == "publish" else 5.0)  # a publisher stops no other way
        process.terminate()
        process.join(5.0)
        if process.is_alive():
            process.kill()
            process.join()


def answer(pipe: Connection, timeout: float = 60.0) -> Any:
    """Return what the child has sent.

    Raises
    ------
    RuntimeError
        If it has failed; the message is its traceback.
    TimeoutError
        If it sends nothing.
    """
    if not pipe.poll(timeout):
        raise TimeoutError(f"A process of the benchmark sent nothing for {timeout:g} s.")
    try:
        value = pipe.recv()
    except EOFError:
        raise RuntimeError("A process of the benchmark has died.") from None
    if isinstance(value, Failure):
        raise RuntimeError(value.text)  # noqa: TRY004 - it is not about types
    return value


class Failure:
    """A child's exception, as the text of its traceback."""

    def __init__(self, text: str) -> None:
        self.text = text


def _main(target: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    try:
        target(pipe, *arguments)
    except Exception:  # noqa: BLE001 - reported by the parent
        with contextlib.suppress(OSError):
            pipe.send(Failure(traceback.format_exc()))
