"""Clip budget: how much disk space the clips in a folder may use, for all cells together."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import weakref
from typing import TYPE_CHECKING

from dmlink.indm.renaming import give_name

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = 10_000_000_000  # bytes, unless the user sets another
CHOSEN = "budget.json"  # in the folder, if the user has set one

_budgets: weakref.WeakValueDictionary[Path, ClipBudget] = weakref.WeakValueDictionary()
_making = threading.Lock()


def budget_of(folder: Path) -> ClipBudget:
    """Return the budget of a folder, one for all cells of this process."""
    with _making:
        key = folder.absolute()
        budget = _budgets.get(key)
        if budget is None:
            budget = _budgets[key] = ClipBudget(folder)
        return budget


class ClipBudget:
    """The disk space that the clips in a folder may use, and how much they use.

    Attributes
    ----------
    folder : Path
        The folder, which need not exist yet.
    used : int
        Bytes in use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self.used = _size(folder)
        self._total = _chosen(folder / CHOSEN)

    @property
    def total(self) -> int:
        """Bytes that the folder may use; setting it writes it into the folder."""
        return self._total

    @total.setter
    def total(self, total: float) -> None:
        if not 0 <= total < math.inf:
            raise ValueError(f"total={total}: clips may use 0 or more bytes on disk.")
        self._total = int(total)
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f".{CHOSEN}"
        new.write_text(json.dumps({"bytes": self._total}), encoding="utf-8")
        give_name(new, self.folder / CHOSEN, overwrite=True)

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return self._total - self.used

    def measure(self) -> None:
        """Measure again how much is in use: the user may have deleted clips."""
        used = _size(self.folder)
        with self._lock:
            self.used = used

    def take(self, size: int) -> None:
        """Count bytes that were written."""
        with self._lock:
            self.used += size


def _chosen(file: Path) -> int:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return max(0, int(json.loads(file.read_text("utf-8"))["bytes"]))
    return BUDGET


def _size(folder: Path) -> int:
    """Return the total size of the files in a folder in bytes."""
    if not folder.is_dir():
        return 0
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # another kernel may delete it
            total += file.stat().st_size if file.is_file() else 0
    return total
