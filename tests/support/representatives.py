"""Choosing combinations of parameters that represent all of them, if there are too many for each run."""

from __future__ import annotations

import collections
import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def representatives(combinations: Sequence[dict[str, Any]], cover: int) -> set[int]:
    """Return indices of combinations that contain every `cover`-tuple of values that occurs.

    The combination with the most missing tuples is taken first, then the next; if there are several, the one
    whose values have been used least.
    """
    known = [sorted((name, id(value)) for name, value in values.items()) for values in combinations]
    together = [set(itertools.combinations(values, cover)) for values in known]
    missing, taken, chosen = set().union(*together), collections.Counter(), set()
    while missing:
        best = max(
            range(len(known)),
            key=lambda i: (len(together[i] & missing), -sum(taken[value] for value in known[i])),
        )
        chosen.add(best)
        missing -= together[best]
        taken.update(known[best])
    return chosen
