"""Preload: how a worker starts, what it imports ahead of its cell, and where it finds modules."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.program.import_path import is_installed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_ROOT = str(Path(__file__).parents[2])  # the folder that dmlink is imported from


def arguments(code: str) -> list[str]:
    """Return Python's arguments to execute code that imports dmlink.

    Files in the working folder, such as a random.py next to the notebook, do not shadow modules.
    """
    return ["-P", "-c", f"import sys; sys.path.append({_ROOT!r}); {code}"]


def installed(modules: Iterable[str]) -> set[str]:
    """Return the modules that belong to installed packages.

    Modules in the user's own folders may change before the worker is used, so they are left out.
    """
    return {name for name in modules if is_installed(name.partition(".")[0])}


def import_all(names: Iterable[str]) -> None:
    """Import them; ignore errors, because the cell's own import raises them again."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def standard() -> frozenset[str]:
    """Return the standard-library modules that this process has loaded."""
    return frozenset(
        name
        for name in sys.stdlib_module_names & sys.modules.keys()
        if _is_standard(getattr(sys.modules[name], "__file__", None))
    )


def find_as_kernel(path: Sequence[str], standard: Collection[str]) -> None:
    """Find modules on the kernel's `path`, but its `standard` ones only in the standard library."""
    sys.path[:] = path
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _StandardFinder)]
    sys.meta_path.insert(0, _StandardFinder(standard))


class _StandardFinder:
    """Finds standard-library modules, even if files with their names are in the notebook's folder."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the module's spec; None leaves it to the next finder."""
        if path is not None or name not in self._names or name in sys.builtin_module_names:
            return None
        return PathFinder.find_spec(name, [*_standard_folders()], target)


@functools.cache
def _standard_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    binary = [os.path.join(folder, "lib-dynload") for folder in folders]  # noqa: PTH118 - for sys.path
    return (*folders, *binary, os.path.join(sys.base_prefix, "DLLs"))  # noqa: PTH118


def _is_standard(file: str | None) -> bool:
    """Return whether a module's file is in the standard library; a cell's first result waits for this."""
    if file is None:
        return True
    return file.startswith(tuple(f"{folder}{os.sep}" for folder in _standard_folders())) and (
        "site-packages" not in file
    )
