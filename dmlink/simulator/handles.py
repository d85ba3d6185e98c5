"""Handle: what Python holds of an object of DM, made anew whenever DM hands that object out."""

from __future__ import annotations

from typing import Any, ClassVar


class Handle:
    """Base of all `Py_...` classes that stand for something that lives in DM."""

    __slots__ = ("__weakref__", "_thing")
    _kinds: ClassVar[dict[type, type[Handle]]] = {}

    def __init_subclass__(cls, wraps: type) -> None:
        Handle._kinds[wraps] = cls

    def __init__(self, thing: Any) -> None:
        self._thing = thing


def wrap(thing: Any) -> Any:
    """Return a new handle of `thing` for Python; None, numbers and text stay what they are."""
    kind = Handle._kinds.get(type(thing))  # noqa: SLF001 - the base class of this module
    return kind(thing) if kind else thing


def unwrap(handle: Any, wanted: str, call: str) -> Any:
    """Return what `handle` stands for, which must be of the class `wanted`."""
    if not isinstance(handle, Handle) or type(handle).__name__ != wanted:
        raise TypeError(f"{call} wants a {wanted}, not {handle!r}.")
    return handle._thing  # noqa: SLF001 - the base class of this module


def ascii_only(text: Any, call: str) -> str:
    """Return `text` if DM can take it: other than ASCII has crashed GMS."""
    if not isinstance(text, str):
        raise TypeError(f"{call} wants a str, not {text!r}.")
    if not text.isascii():
        raise ValueError(f"{call}({text!r}): text that goes to DigitalMicrograph must be ASCII.")
    return text
