"""Fields: a panel's settings from a notebook's metadata, checked one by one: anybody may have edited them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

UNFIT = ArithmeticError, AttributeError, LookupError, TypeError, ValueError


class Fields:
    """Fields of a panel's settings.

    Parameters
    ----------
    given : object
        The settings as read from the notebook; anything but a dict has no fields.

    Attributes
    ----------
    refused : list of str
        Names of the fields that could not be used.
    """

    def __init__(self, given: Any) -> None:
        self._given = given if isinstance(given, dict) else {}
        self.refused: list[str] = []

    def use(self, name: str, how: Callable[[Any], None]) -> None:
        """Call `how` with a field if it is there; an error affects no other field."""
        if self._given.get(name) is None:
            return
        try:
            how(self._given[name])
        except (*UNFIT, OSError):
            self.refused.append(name)

    def use_each(self, name: str, how: Callable[[str, Any], None]) -> None:
        """Do the same for each entry of a field that is a dict."""
        entries = self._given.get(name)
        if isinstance(entries, dict):
            for key, value in entries.items():
                try:
                    how(str(key), value)
                except (*UNFIT, OSError):
                    self.refused.append(f"{name[:-1]} {key:.50}")
        elif entries is not None:
            self.refused.append(name)

    @property
    def note(self) -> str:
        """What was left out, in one sentence; "" if nothing was."""
        if not self.refused:
            return ""
        names = ", ".join(self.refused[:5]) + (" ..." if len(self.refused) > 5 else "")
        return f"This notebook's settings were restored except for these, which cannot be used: {names}."


def numbers(values: Any, count: int) -> list[float]:
    """Return the values as `count` finite numbers, or raise a ValueError."""
    found = [float(value) for value in values if type(value) in (int, float)]
    if len(found) != count or len(values) != count or not all(map(math.isfinite, found)):
        raise ValueError(f"Expected {count} finite numbers, not {values!r:.100}.")
    return found
