"""Arrays of a cell in its exported script: as compressed text, or in a file next to the script."""

from __future__ import annotations

import ast
import base64
import re
import textwrap
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 1 << 20  # characters; with more, DM's script window becomes slow
DATA_FILE = "DATA_FILE"  # the script's variable with the path of its arrays; `_` is appended if it is in use


def as_text(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return the arrays as a literal, {name: (dtype, shape, b85 of zlib)}; None if it is too long."""
    items: list[str] = []
    for name, array in arrays.items():
        text = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
        if len(text) + sum(len(item) for item in items) > MAX_TEXT:
            return None
        lines = "\n".join(textwrap.wrap(text, 100)) if text else ""
        items.append(f'"{name}": ("{array.dtype.str}", {array.shape}, """\n{lines}\n"""),\n')
    return "{\n" + "".join(items) + "}" if items else ""


def file_beside(script: Path) -> Path:
    """Return the path for arrays that are too large for a script: NAME.npz next to it."""
    return script.resolve().with_suffix(".npz")


def refers_to(script: Path, data: Path) -> bool:
    """Return whether the script exists and has its arrays in a file named like `data`."""
    lines = script.read_text(encoding="utf-8", errors="replace").splitlines() if script.exists() else []
    return any(re.match(f"{DATA_FILE}_* = ", line) and data.name in line for line in lines)


def save(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the arrays to a file."""
    with path.open("wb") as file:
        np.savez_compressed(file, **dict[str, Any](arrays))


def path_setting(name: str, path: str) -> str:
    """Return the line near the top of the script with the path of its arrays."""
    return f'# Where the arrays are: set the path that the file has on this computer\n{name} = r"{path}"'


def read_text(literal: ast.expr) -> dict[str, np.ndarray]:
    """Return arrays written as a literal."""
    return {name: array_of(*written) for name, written in ast.literal_eval(literal).items()}


def array_of(dtype: str, shape: tuple[int, ...], text: str) -> np.ndarray:
    """Return an array written as compressed text."""
    return np.frombuffer(zlib.decompress(base64.b85decode("".join(text.split()))), dtype).reshape(shape)


def read_file(path: str) -> dict[str, np.ndarray]:
    """Return the arrays in a file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with np.load(Path(path), allow_pickle=False) as file:
        return dict(file)
