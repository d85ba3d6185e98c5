# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Groups and lists of tags as Python sees them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.simulator.dm.files import save_tags
from dmlink.simulator.dm.python.handles import Handle, wrap
from dmlink.simulator.dm.tags import find_tag, set_tag, tag_text
from dmlink.simulator.dm.text import ascii_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dmlink.simulator.dm.workspace import Workspace


def _number(kind: type, low: float, high: float) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, (str, list, dict)) or not low <= value <= high:
            raise ValueError(f"{value!r} is not a number from {low:g} to {high:g}.")
        return kind(value)

    return convert


def _single(value: float) -> float:
    return float(np.float32(value))


_FLOAT = _number(_single, -3.5e38, 3.5e38)  # type: ignore[arg-type]
_DOUBLE = _number(float, -np.inf, np.inf)
_LONG = _number(int, -(2**31), 2**31 - 1)
_SHORT = _number(int, -(2**15), 2**15 - 1)
_UINT16 = _number(int, 0, 2**16 - 1)
_BOOLEAN = _number(bool, -np.inf, np.inf)


def _getter(convert: Callable[[Any], Any], missing: Any) -> Callable[[Py_TagGroup, str], tuple[bool, Any]]:
    def get(self: Py_TagGroup, path: str) -> tuple[bool, Any]:
        found, node = find_tag(self._open(), path)
        try:
            return (True, convert(node)) if found else (False, missing)
        except (TypeError, ValueError):
            return False, missing

    return get


def _setter(convert: Callable[[Any], Any]) -> Callable[[Py_TagGroup, str, Any], None]:
    def put(self: Py_TagGroup, path: str, value: Any) -> None:
        set_tag(self._group(), path, convert(value))

    return put


def _inserter(convert: Callable[[Any], Any]) -> Callable[[Py_TagGroup, int, Any], None]:
    def insert(self: Py_TagGroup, index: int, value: Any) -> None:
        self._insert(index, convert(value))

    return insert


class Py_TagGroup(Handle, wraps=(dict, list)):
    """A group or a list of tags; with `single_use` it works only once."""

    __slots__ = ("_single_use", "_used")
    simulated: dict[str, Any] | list[Any]

    def __init__(
        self, workspace: Workspace, simulated: dict[str, Any] | list[Any], *, single_use: bool = False
    ) -> None:
        super().__init__(workspace, simulated)
        self._single_use = single_use
        self._used = False

    def _open(self) -> Any:
        if self._single_use and self._used:
            raise RuntimeError(
                "This persistent tag group was used before and no longer works: call "
                "DM.GetPersistentTagGroup() each time."
            )
        self._used = True
        return self.simulated

    def _group(self) -> dict[str, Any]:
        node = self._open()
        if not isinstance(node, dict):
            raise TypeError("SetTag is for tag groups; this is a tag list.")
        return node

    def _insert(self, index: int, value: Any) -> None:
        node = self._open()
        if not isinstance(node, list):
            raise TypeError("InsertTag is for tag lists; this is a tag group.")
        node.insert(index, value)

    GetTagAsString = _getter(tag_text, "")
    GetTagAsText = _getter(tag_text, "")
    GetTagAsFloat = _getter(_FLOAT, 0.0)
    GetTagAsDouble = _getter(_DOUBLE, 0.0)
    GetTagAsLong = _getter(_LONG, 0)
    GetTagAsShort = _getter(_SHORT, 0)
    GetTagAsBoolean = _getter(_BOOLEAN, missing=False)
    GetTagAsUInt16 = _getter(_UINT16, 0)
    GetTagAsUInt32 = _getter(_number(int, 0, 2**32 - 1), 0)
    SetTagAsString = _setter(lambda value: ascii_only(value, "SetTagAsString"))
    SetTagAsFloat = _setter(_FLOAT)
    SetTagAsDouble = _setter(_DOUBLE)
    SetTagAsLong = _setter(_LONG)
    SetTagAsShort = _setter(_SHORT)
    SetTagAsUInt16 = _setter(_UINT16)
    SetTagAsBoolean = _setter(_BOOLEAN)
    InsertTagAsText = _inserter(lambda value: ascii_only(value, "InsertTagAsText"))
    InsertTagAsString = _inserter(lambda value: ascii_only(value, "InsertTagAsString"))
    InsertTagAsFloat = _inserter(_FLOAT)
    InsertTagAsLong = _inserter(_LONG)
    InsertTagAsShort = _inserter(_SHORT)
    InsertTagAsBoolean = _inserter(_BOOLEAN)

    def InsertTagAsTagGroup(self, index: int, group: Py_TagGroup) -> None:
        self._insert(index, group._open())

    def InsertTagAsLongRect(self, index: int, top: int, left: int, bottom: int, right: int) -> None:
        self._insert(index, tuple(_LONG(edge) for edge in (top, left, bottom, right)))

    def InsertTagAsShortPoint(self, index: int, x: int, y: int) -> None:
        self._insert(index, (_SHORT(x), _SHORT(y)))

    def GetTagAsTagGroup(self, path: str) -> Py_TagGroup:
        found, node = find_tag(self._open(), path)
        if not found or not isinstance(node, (dict, list)):
            raise RuntimeError(f"GetTagAsTagGroup({path!r}): there is no such group.")
        group: Py_TagGroup = wrap(self._workspace, node)
        return group

    def SetTagAsTagGroup(self, path: str, group: Py_TagGroup) -> None:
        set_tag(self._group(), path, group._open())

    def DoesTagExist(self, path: str) -> bool:
        return find_tag(self._open(), path)[0]

    def CountTags(self) -> int:
        return len(self._open())

    def GetTagLabel(self, index: int) -> str:
        node = self._open()
        if not 0 <= index < len(node):
            raise IndexError(f"GetTagLabel({index}): there are {len(node)}, counted from 0.")
        return list(node)[index] if isinstance(node, dict) else ""

    def IsList(self) -> bool:
        return isinstance(self._open(), list)

    def Clone(self) -> Py_TagGroup:
        group: Py_TagGroup = wrap(self._workspace, copy.deepcopy(self._open()))
        return group

    def CopyTagsFrom(self, group: Py_TagGroup) -> None:
        self._group().update(copy.deepcopy(group._group()))

    def DeleteAllTags(self) -> None:
        self._open().clear()

    def DeleteTagWithLabel(self, label: str) -> bool:
        return self._group().pop(label, None) is not None

    def IsValid(self) -> bool:
        return not (self._single_use and self._used)

    def OpenBrowserWindow(self, _modal: bool) -> None:
        self._open()

    def SaveToFile(self, path: str) -> None:
        save_tags(self._open(), path, "SaveToFile")

    def __getitem__(self, key: Any) -> Any:
        value = self._open()[key]
        return list(value) if isinstance(value, tuple) else wrap(self._workspace, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        node = self._open()
        if isinstance(value, Py_TagGroup):
            value = value.simulated
        elif isinstance(value, str):
            value = ascii_only(value, "A tag")
        elif isinstance(value, np.generic):
            value = value.item()
        elif not isinstance(value, (bool, int, float)):
            raise TypeError(f"A tag cannot be {value!r}.")
        node[key] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._open()))

    def __len__(self) -> int:
        return len(self._open())

    def __contains__(self, key: object) -> bool:
        return key in self._open()
