"""Switch interval: how long a computing thread may keep the interpreter from a receiving one."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# With Python's default of 5 ms, a cell drops a quarter of 100 frames/s while the notebook computes in Python,
# and its results are 40 ms old; with 0.5 ms it drops 2 %, results are 4 ms old, and the computation takes 3 %
# longer. A separate receiving process would do no better, and could also die.
TURN_SECONDS = 0.0005

_lock = threading.Lock()
_users = 0
_before = 0.0


@contextlib.contextmanager
def short() -> Iterator[None]:
    """Shorten Python's thread switch interval; the previous one is restored when the last user leaves."""
    global _users, _before  # noqa: PLW0603 - the interpreter has one such interval
    with _lock:
        if not _users:
            _before = sys.getswitchinterval()
            if _before > TURN_SECONDS:
                sys.setswitchinterval(TURN_SECONDS)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            ours = math.isclose(sys.getswitchinterval(), TURN_SECONDS, rel_tol=0.01)
            if not _users and ours:  # leave an interval that the user has set since
                sys.setswitchinterval(_before)
