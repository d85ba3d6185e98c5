"""Ahead: a spare process imports what cells import, so that the one it replaces is not missed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def installed(modules: Iterable[str]) -> set[str]:
    """Return those that belong to installed packages.

    Not those of the user's own folders: they may have changed when the process is needed.
    """
    return {name for name in modules if _is_installed(name.partition(".")[0])}


def import_all(names: Iterable[str]) -> None:
    """Import them; what fails fails again, and is told, when the cell imports it."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def _is_installed(package: str) -> bool:
    if package in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    places = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    return bool(spec and spec.origin and any(Path(spec.origin).is_relative_to(place) for place in places))
