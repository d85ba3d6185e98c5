"""Natural order: names sorted by the numbers in them, 9 before 10 and -10 before -9."""

from __future__ import annotations

import re

#: Every digit as a zero.
WITHOUT_DIGITS = str.maketrans("123456789", "000000000")

#: A number, with its sign if no letter or digit precedes it: the hyphen in "drift-10" is a minus sign only if
#: there is also a "drift+10".
NUMBER = re.compile(r"((?:(?<![^\W_])-)?\d+)")
SIGNED = re.compile(r"([-+]?\d+)")


def in_natural_order(names: list[str]) -> list[str]:
    """Return `names` sorted so that 9 comes before 10, and -10 before -9."""
    # With leading zeros, as cameras write them, even a million names need no parsing.
    if len({name.translate(WITHOUT_DIGITS) for name in names}) == 1 and not any("-" in n for n in names[:1]):
        return sorted(names)
    number = SIGNED if any(re.search(r"\+\d", name) for name in names) else NUMBER
    return sorted(names, key=lambda name: _key(name, number))


def _key(name: str, number: re.Pattern[str]) -> list[tuple[float, str]]:
    """Return a key that sorts numbers by their value and the rest by letters."""
    stem, dot, suffix = name.rpartition(".")
    parts = number.split(stem if dot else name)
    key: list[tuple[float, str]] = []
    below = False  # zero: in -1.5, a larger second number is a smaller one
    for i, part in enumerate(parts):
        if i % 2 == 0:
            key.append((0, part.lower()))
            below = below and part == "."
        else:
            value = int(part)
            key.append((-value if below else value, part))
            below = below or part.startswith("-")
    return [*key, (0, suffix.lower())]
