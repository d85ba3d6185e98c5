"""Calls: which of Python's calls this DigitalMicrograph has, which of them fail, and a hook for each."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.switches import Switches


class Calls:
    """Which calls exist, fail or are reported, by name, such as "DM.CreateImage" or "Py_Image.GetLabel".

    Parameters
    ----------
    switches : Switches
        Its `missing` and `failing` calls.
    heard : callable or None
        Called with the name of every call before it is made, on the thread that makes it.
    """

    def __init__(self, switches: Switches, heard: Callable[[str], None] | None = None) -> None:
        self._missing = frozenset(switches.missing)
        self._failing = frozenset(switches.failing)
        self._heard = heard
        self.names: set[str] = set()

    def of(self, kind: type[Any]) -> type[Any]:
        """Return a class with the calls of `kind` as this DigitalMicrograph has them."""
        found = {name: getattr(kind, name) for name in dir(kind) if name[0].isupper()}
        changed: dict[str, Any] = {}
        for name, function in found.items():
            call = f"{kind.__name__}.{name}"
            other = self.changed(call, function) if self.has(call) and callable(function) else function
            if other is not function:
                changed[name] = other
            elif call in self._missing:
                changed[name] = _Missing(name)
        return _Changed(kind.__name__, (kind,), {"__slots__": (), **changed}) if changed else kind

    def has(self, call: str) -> bool:
        """Return whether there is a call of that name."""
        self.names.add(call)
        return call not in self._missing

    def changed(self, call: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what a script gets for a function: `function` itself if nothing changes it."""
        if call in self._failing:
            return _failing(call)
        return _heard(call, function, self._heard) if self._heard else function

    def check(self) -> None:
        """Raise ValueError if a switch names a call that does not exist."""
        script = {name for name in self._missing | self._failing if name.startswith("DMScript.")}
        unknown = sorted((self._missing | self._failing) - script - self.names)
        if unknown:
            raise ValueError(f"The simulated DigitalMicrograph has no call {', '.join(unknown)}.")


class _Changed(type):
    """A class of which `dir` does not show the calls that are missing."""

    def __dir__(cls) -> list[str]:
        return [name for name in super().__dir__() if not isinstance(getattr(cls, name, None), _Missing)]


class _Missing(property):
    """A call that a class has in other versions of GMS."""

    def __init__(self, name: str) -> None:
        super().__init__(functools.partial(_missing, name))


def _missing(name: str, handle: Any) -> Any:
    raise AttributeError(f"{type(handle).__name__!r} object has no attribute {name!r}")


def _failing(call: str) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{call} fails in this version of GMS.")

    return fail


def _heard(call: str, function: Callable[..., Any], heard: Callable[[str], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def hear(*arguments: Any, **options: Any) -> Any:
        heard(call)
        return function(*arguments, **options)

    return hear
