"""Accounts: how many frames each kind of reader has accounted for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import dmlink


@dataclass
class Account:
    """A reader: `total()` is the number of frames that it has accounted for, `close()` ends it."""

    name: str
    total: Callable[[], int]
    close: Callable[[], None]


class Taker:
    """A thread that takes frames from a link, with `rest` seconds between them."""

    def __init__(self, link: dmlink.Link, *, every: bool, rest: float) -> None:
        self._link, self._rest, self._every = link, rest, every
        self._over = threading.Event()
        self._reader: Any = link.reader(every=every)
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def total(self) -> int:
        """Return the frames received, dropped, skipped or unsure; those still to be taken are received."""
        reader, link = self._reader, self._link
        with link._status.changed:  # noqa: SLF001 - all at one moment
            left_out = reader.dropped + reader.skipped + link.stats.unsure
            waiting = reader.waiting if self._every else reader._open is not None  # noqa: SLF001
            return reader.received + waiting + left_out

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._reader.close()
        self._thread.join()

    def _take(self) -> None:
        if self._rest > 1e6:
            self._over.wait()
        for _ in self._reader:
            if self._over.wait(self._rest):
                return


def link_account(name: str, link: dmlink.Link) -> Account:
    """Return the account of `link.stats`."""

    def total() -> int:
        stats = link.stats
        return stats.received + stats.dropped + stats.skipped + stats.unsure

    return Account(name, total, link.close)


def cell_account(name: str, cell: dmlink.LiveCell, link: dmlink.Link) -> Account:
    """Return the account of a live cell on the link."""

    def total() -> int:
        stats = cell.stats
        return stats.processed + stats.dropped + stats.skipped + link.stats.unsure

    return Account(name, total, cell.stop)


def recorder_account(name: str, recorder: dmlink.Recorder, link: dmlink.Link) -> Account:
    """Return the account of a recording of the link's view."""
    return Account(name, lambda: recorder.frames + recorder.dropped + link.stats.unsure, recorder.stop)
