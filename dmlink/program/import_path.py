"""Import path: where a notebook's module, function or class is imported from, and if it is the user's own."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
import sysconfig
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLATFORM = {"posixpath": "os.path", "ntpath": "os.path"}


def import_of(value: Any) -> tuple[str, str] | None:
    """Return (module, attribute or "") from which `value` can be imported; None if it cannot."""
    if isinstance(value, ModuleType):
        path = _PLATFORM.get(value.__name__, value.__name__)
        return (path, "") if path != "__main__" and is_module(path) else None
    name = getattr(value, "__name__", None) if callable(value) else None
    if not isinstance(name, str):
        return None
    home = getattr(value, "__module__", None)
    if home == "__main__" or (isinstance(value, (FunctionType, type)) and not is_module(home)):
        return None
    # The documented place is usually the package: skimage.filters, not skimage._shared.filters.
    public = [p for p in list(sys.modules) if not re.search(r"(^|\.)_", p)]
    public.sort(key=lambda p: (p.count("."), p))
    if isinstance(home, str):
        home = _PLATFORM.get(home, home)
        above = [p for p in public if f"{home}.".startswith(f"{p}.")]
        package = home.lstrip("_").partition(".")[0]
        beside = [p for p in public if p.partition(".")[0] == package and p.count(".") <= 1]
        public = [*above, *beside, home]
    for place in public:
        module = sys.modules.get(place)
        # getattr may import lazily, which is fine in the packages of `home` but must not load others.
        has = getattr(module, name, None) if home else getattr(module, "__dict__", {}).get(name)
        if has is value:
            return place, name
    return None


def is_module(path: str | None) -> bool:
    """Return whether a module of this name can be imported."""
    if not path or path in sys.modules:
        return bool(path)
    try:
        return importlib.util.find_spec(path) is not None
    except (ImportError, AttributeError, ValueError):
        return False


@functools.cache
def is_installed(package: str) -> bool:
    """Return whether a top-level module belongs to an installed package."""
    if package in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    if not spec or not spec.origin:
        return False
    places = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    known = any(Path(spec.origin).is_relative_to(place) for place in places)
    return known or not {"site-packages", "dist-packages"}.isdisjoint(Path(spec.origin).parts)


def is_own(name: str) -> bool:
    """Return whether a module is the user's own file, which may change while the notebook runs."""
    package = name.partition(".")[0]
    ours = package in ("__main__", "dmlink", "dmlink_widgets")
    return not ours and package not in sys.stdlib_module_names and not is_installed(package)


class Imported(NamedTuple):
    """One of the user's own modules, as the notebook imported it."""

    spec: Any  # another object after importlib.reload
    file: Path
    written: tuple[int, int]  # the file: modification time in ns, size
    uses: frozenset[str]  # modules, and names that may be modules, that it imports


_imported: dict[str, Imported] = {}  # by name, as when first seen or reloaded


def own_modules(names: Iterable[str]) -> dict[str, Imported]:
    """Return the loaded modules among `names` that are the user's own, and their own imports in turn."""
    found: dict[str, Imported] = {}
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        spec, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
        if name in found or not spec or not isinstance(file, str) or not is_own(name):
            continue
        if name not in _imported or _imported[name].spec is not spec:
            _imported[name] = Imported(spec, Path(file), _written(Path(file)), _uses(Path(file), name))
        found[name] = _imported[name]
        waiting += found[name].uses
    return found


def is_edited(module: Imported) -> bool:
    """Return whether the file has changed since the notebook imported it."""
    return _written(module.file) != module.written


def _uses(file: Path, name: str) -> frozenset[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):  # it is compiled or being edited
        return frozenset()
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*filter(None, above), *filter(None, [node.module])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _written(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # deleted
        return 0, 0
    return status.st_mtime_ns, status.st_size
