"""Clock: seconds since 1970 that advance steadily, even when somebody sets the computer's clock."""

from __future__ import annotations

import time

# Times are needed for ages and intervals between frames. If the clock were set, by hand or by a time server,
# a picture could seem an hour old, or a recording could end without its last frames. Also, time.time() and
# time.monotonic() advance in steps of 15.6 ms on Windows before Python 3.13: frames would have equal times.
_START = time.time() - time.perf_counter()


def steady_time() -> float:
    """Return seconds since 1970, based on the computer's clock when this was loaded."""
    return time.perf_counter() + _START
