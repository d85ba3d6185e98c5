"""GMS versions and their Python versions."""

from __future__ import annotations

OLDEST = (3, 7)  # Python of GMS 3.4
NEWEST = (3, 10)  # of GMS 3.6, the newest known
PYTHON_OF_GMS = {"3.4": OLDEST, "3.5": OLDEST, "3.6": NEWEST}
