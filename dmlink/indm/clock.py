"""Clock: seconds since 1970 that go on steadily, also when somebody sets the computer's clock."""

from __future__ import annotations

import time

# Ages and the time between frames are what times are for; a clock that is set, by hand or by a time server,
# would make a picture an hour old, or end a recording that waits for its last frames. And time.time() and
# time.monotonic() go in steps of 15.6 ms on Windows before Python 3.13: frames would have equal times.
_START = time.time() - time.perf_counter()


def steady_time() -> float:
    """Return seconds since 1970, by the computer's clock as it was when this was loaded."""
    return time.perf_counter() + _START
