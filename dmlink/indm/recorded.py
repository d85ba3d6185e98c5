"""Recorded: how Gatan's in-situ software lays a recording out in folders, and when each frame was taken."""

from __future__ import annotations

import re
from typing import Sequence

import numpy as np

#: What DM calls the folders of a tree, and how many seconds one of them lasts.
PERIODS = {"hour": 3600, "minute": 60, "second": 1}
PERIOD = re.compile(r"(hour|minute|second)_(\d+)", re.IGNORECASE)

WHOLE_SECONDS = 3  # of so many, one between others was recorded from its beginning to its end


def tree_times(folders: Sequence[str], rate: float | None = None) -> np.ndarray:
    """Return when each frame of a tree was taken, (n,) in s, from its folder (Hour_00/Minute_00/Second_00).

    The frames of a second share it equally. Where none of the seconds need be whole, `rate`, that of the
    exposure in 1/s, tells how many it would have; the camera may sum frames, so whole seconds tell more.
    """
    seconds = {f: sum(PERIODS[p.lower()] * int(n) for p, n in PERIOD.findall(f)) for f in set(folders)}
    counts = dict.fromkeys(seconds, 0)
    within = []
    for folder in folders:
        within.append(counts[folder])
        counts[folder] += 1
    # a second that was not recorded from its beginning, or to its end, has fewer frames than the others
    most = max(counts.values())
    if len(counts) < WHOLE_SECONDS and rate:
        most = max(most, round(rate))
    return np.array([seconds[folder] + k / most for folder, k in zip(folders, within)])
