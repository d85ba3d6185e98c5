"""Tags: groups of labelled values, nested; a path such as "A:B:C" leads into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.info import TAGS
from dmlink.simulator.dm.text import ascii_only

if TYPE_CHECKING:
    from collections.abc import Mapping


def plain_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tags` (nested, or with paths as keys, or both) as nested dicts of valid tag values."""
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
        elif isinstance(value, list):
            group[label] = list(value)
        elif isinstance(value, (bool, int, float, str, tuple)):
            group[label] = value
    return root


def recorded_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recording's tags as in DM: those that dmlink knows by a name are where DM has them."""
    return plain_tags({TAGS.get(name, name): value for name, value in tags.items()})


def find_tag(root: Any, path: str) -> tuple[bool, Any]:
    """Return whether there is a tag at `path`, and its value; "[2]" is the third entry of a list."""
    node = root
    for name in path.split(":"):
        if isinstance(node, list) and name.strip("[]").isdigit() and int(name.strip("[]")) < len(node):
            node = node[int(name.strip("[]"))]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            return False, None
    return True, node


def tag_text(value: Any) -> str:
    """Return a tag as text; pairs and rectangles, which are tuples here, as "0, 0, 512, 512"."""
    if isinstance(value, (dict, list)):
        raise TypeError("A group has no text.")
    if isinstance(value, tuple):
        return ", ".join(map(tag_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def set_tag(root: dict[str, Any], path: str, value: Any) -> None:
    """Set the tag at `path`; missing groups are created."""
    *groups, label = ascii_only(path, "SetTag").split(":")
    for name in groups:
        if not isinstance(root.get(name), dict):
            root[name] = {}
        root = root[name]
    root[label] = value
