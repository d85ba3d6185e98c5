"""Which combinations of parameters stand for all of them, where those are too many for each run."""

from __future__ import annotations

import collections
import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def representatives(combinations: Sequence[dict[str, Any]], cover: int) -> set[int]:
    """Return positions of combinations in which every `cover` values that occur together do so.

    One after the other the combination is taken that has most of what is missing; of several such, one
    whose values were taken least.
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
