"""Origin: the import that gives a module, function or class that the notebook has imported."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import FunctionType, ModuleType
from typing import Any

_PLATFORM = {"posixpath": "os.path", "ntpath": "os.path"}


def import_of(value: Any) -> tuple[str, str] | None:
    """Return (module, attribute or "") from where `value` can be imported, None if it can not."""
    if isinstance(value, ModuleType):
        path = _PLATFORM.get(value.__name__, value.__name__)
        return (path, "") if path != "__main__" and is_module(path) else None
    name = getattr(value, "__name__", None) if callable(value) else None
    if not isinstance(name, str):
        return None
    home = getattr(value, "__module__", None)
    if home == "__main__" or (isinstance(value, (FunctionType, type)) and not is_module(home)):
        return None
    # The documented place is mostly a package, not its file: skimage.filters, not skimage._shared.filters.
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
        # a package of `home` may load the name only when asked; others are not asked, for that may load them
        has = getattr(module, name, None) if home else getattr(module, "__dict__", {}).get(name)
        if has is value:
            return place, name
    return None


def is_module(path: str | None) -> bool:
    """Say whether this is the name of a module that can be imported."""
    if not path or path in sys.modules:
        return bool(path)
    try:
        return importlib.util.find_spec(path) is not None
    except (ImportError, AttributeError, ValueError):
        return False
