"""Recorded: the folders of a recording by Gatan's in-situ software, and when each frame was taken."""

from __future__ import annotations

import re
from typing import Sequence

import numpy as np

#: Names of the folders in a tree, and how many seconds each of them lasts.
PERIODS = {"hour": 3600, "minute": 60, "second": 1}
PERIOD = re.compile(r"(hour|minute|second)_(\d+)", re.IGNORECASE)

WHOLE_SECONDS = 3  # with this many, at least one in the middle was recorded from beginning to end


def tree_times(folders: Sequence[str], rate: float | None = None) -> np.ndarray:
    """Return when each frame of a tree was taken, (n,) in s, from its folder (Hour_00/Minute_00/Second_00).

    Frames divide their second equally. If no second is certain to be complete, `rate` (from the
    exposure, in 1/s) gives its number; complete seconds are better, because cameras may sum frames.
    """
    seconds = {f: sum(PERIODS[p.lower()] * int(n) for p, n in PERIOD.findall(f)) for f in set(folders)}
    counts = dict.fromkeys(seconds, 0)
    within = []
    for folder in folders:
        within.append(counts[folder])
        counts[folder] += 1
    # a second that was not recorded from beginning to end has fewer frames than the others
    most = max(counts.values())
    if len(counts) < WHOLE_SECONDS and rate:
        most = max(most, round(rate))
    return np.array([seconds[folder] + k / most for folder, k in zip(folders, within)])
