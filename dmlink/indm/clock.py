"""Clock: seconds since 1970 that go on steadily, also when somebody sets the computer's clock."""

from __future__ import annotations

import time

# Ages and the time between frames are what times are for; a clock that is set, by hand or by a time server,
# would make a picture an hour old, or end a recording that waits for its last frames.
_START = time.time() - time.monotonic()


def steady_time() -> float:
    """Return seconds since 1970, by the computer's clock as it was when this was loaded."""
    return time.monotonic() + _START
