# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Tags: groups of labelled values, nested; a path such as "A:B:C" leads into them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.simulator.handles import ascii_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def plain_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tags` (nested, or with paths as keys, or both) as nested dicts of what a tag can hold."""
    root: dict[str, Any] = {}
    for path, value in tags.items():
        *groups, label = str(path).split(":")
        group = root
        for name in groups:
            group = group.setdefault(name, {})
        if isinstance(value, dict):
            group.setdefault(label, {}).update(plain_tags(value))
        elif isinstance(value, np.generic):
            group[label] = value.item()
        elif isinstance(value, (list, tuple)):
            group[label] = list(value)
        elif isinstance(value, (bool, int, float, str)):
            group[label] = value
    return root


def set_tag(root: dict[str, Any], path: str, value: Any) -> None:
    """Put `value` at `path`, making the groups on the way."""
    *groups, label = ascii_only(path, "SetTag").split(":")
    for name in groups:
        if not isinstance(root.get(name), dict):
            root[name] = {}
        root = root[name]
    root[label] = value


def _number(kind: type, low: float, high: float) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, str) or not low <= value <= high:
            raise ValueError(f"{value!r} is not a number from {low:g} to {high:g}.")
        return kind(value)

    return convert


def _single(value: float) -> float:
    return float(np.float32(value))


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError("A group has no text.")
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


_FLOAT = _number(_single, -3.5e38, 3.5e38)  # type: ignore[arg-type]
_DOUBLE = _number(float, -np.inf, np.inf)
_LONG = _number(int, -(2**31), 2**31 - 1)
_BOOLEAN = _number(bool, -np.inf, np.inf)


def _getter(convert: Callable[[Any], Any], missing: Any) -> Callable[[Py_TagGroup, str], tuple[bool, Any]]:
    def get(self: Py_TagGroup, path: str) -> tuple[bool, Any]:
        node: Any = self._open()
        for name in path.split(":"):
            if not isinstance(node, dict) or name not in node:
                return False, missing
            node = node[name]
        try:
            return True, convert(node)
        except (TypeError, ValueError):
            return False, missing

    return get


def _setter(convert: Callable[[Any], Any]) -> Callable[[Py_TagGroup, str, Any], None]:
    def put(self: Py_TagGroup, path: str, value: Any) -> None:
        set_tag(self._group(), path, convert(value))

    return put


def _inserter(convert: Callable[[Any], Any]) -> Callable[[Py_TagGroup, int, Any], None]:
    def insert(self: Py_TagGroup, index: int, value: Any) -> None:
        node = self._open()
        if not isinstance(node, list):
            raise TypeError("InsertTag is for tag lists; this is a tag group.")
        node.insert(index, convert(value))

    return insert


class Py_TagGroup:
    """A group or a list of tags; `single_use` makes it useless after one call, like a kept persistent one."""

    __slots__ = ("_node", "_single_use", "_used")

    def __init__(self, node: dict[str, Any] | list[Any], *, single_use: bool = False) -> None:
        self._node = node
        self._single_use = single_use
        self._used = False

    def _open(self) -> Any:
        if self._single_use and self._used:
            raise RuntimeError(
                "This persistent tag group was used before and works no more: call "
                "DM.GetPersistentTagGroup() each time."
            )
        self._used = True
        return self._node

    def _group(self) -> dict[str, Any]:
        node = self._open()
        if not isinstance(node, dict):
            raise TypeError("SetTag is for tag groups; this is a tag list.")
        return node

    GetTagAsString = _getter(_text, "")
    GetTagAsText = _getter(_text, "")
    GetTagAsFloat = _getter(_FLOAT, 0.0)
    GetTagAsDouble = _getter(_DOUBLE, 0.0)
    GetTagAsLong = _getter(_LONG, 0)
    GetTagAsShort = _getter(_number(int, -(2**15), 2**15 - 1), 0)
    GetTagAsBoolean = _getter(_BOOLEAN, missing=False)
    GetTagAsUInt16 = _getter(_number(int, 0, 2**16 - 1), 0)
    GetTagAsUInt32 = _getter(_number(int, 0, 2**32 - 1), 0)
    SetTagAsString = _setter(lambda value: ascii_only(value, "SetTagAsString"))
    SetTagAsFloat = _setter(_FLOAT)
    SetTagAsDouble = _setter(_DOUBLE)
    SetTagAsLong = _setter(_LONG)
    SetTagAsBoolean = _setter(_BOOLEAN)
    InsertTagAsText = _inserter(lambda value: ascii_only(value, "InsertTagAsText"))
    InsertTagAsLong = _inserter(_LONG)

    def SetTagAsTagGroup(self, path: str, group: Py_TagGroup) -> None:
        set_tag(self._group(), path, group._open())

    def Clone(self) -> Py_TagGroup:
        return Py_TagGroup(copy.deepcopy(self._open()))

    def CopyTagsFrom(self, group: Py_TagGroup) -> None:
        self._group().update(copy.deepcopy(group._group()))

    def DeleteAllTags(self) -> None:
        self._open().clear()

    def DeleteTagWithLabel(self, label: str) -> None:
        self._group().pop(label, None)

    def IsValid(self) -> bool:
        return not (self._single_use and self._used)

    def OpenBrowserWindow(self, _modal: bool) -> None:
        self._open()

    def __getitem__(self, key: Any) -> Any:
        value = self._open()[key]
        return Py_TagGroup(value) if isinstance(value, (dict, list)) else value

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._open()))

    def __len__(self) -> int:
        return len(self._open())

    def __contains__(self, key: object) -> bool:
        return key in self._open()
