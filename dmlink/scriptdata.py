"""The arrays of a cell in its exported script: as compressed text, or in a file beside it."""

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

MAX_TEXT = 1 << 20  # characters: beyond this, a script window becomes slow
DATA_FILE = "DATA_FILE"  # the script's name for where its arrays are

_TAKEN = '''def dmlink_array(text, dtype, shape):
    """Return an array that stands in this script as compressed text."""
    import base64
    import zlib

    import numpy as np

    return np.frombuffer(zlib.decompress(base64.b85decode("".join(text.split()))), dtype).reshape(shape)


'''
_LOADED = '''def dmlink_arrays(path):
    """Return the arrays of a .npz file by name; they cannot be written to."""
    import numpy as np

    with np.load(path) as file:
        arrays = dict(file)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


globals().update(dmlink_arrays(DATA_FILE))
'''


def embedded(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return the statements that make the arrays, b85 of zlib; None if that is too much text."""
    statements: list[str] = []
    for name, array in arrays.items():
        text = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
        if len(text) + sum(len(statement) for statement in statements) > MAX_TEXT:
            return None
        lines = "\n".join(textwrap.wrap(text, 100)) if text else ""
        statements.append(f'{name} = dmlink_array("""\n{lines}\n""", "{array.dtype.str}", {array.shape})\n')
    return _TAKEN + "\n".join(statements) + "\n\n" if statements else ""


def beside(script: Path) -> Path:
    """Return where arrays are that are too large for the script: NAME.npz beside it."""
    return script.resolve().with_suffix(".npz")


def names(script: Path, data: Path) -> bool:
    """Tell whether there is a script at the path whose arrays are in a file called like this."""
    lines = script.read_text(encoding="utf-8", errors="replace").splitlines() if script.exists() else []
    return any(line.startswith(f"{DATA_FILE} = ") and data.name in line for line in lines)


def save(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the arrays into a file."""
    with path.open("wb") as file:
        np.savez_compressed(file, **dict[str, Any](arrays))


def named(path: str) -> str:
    """Return the line that stands on top of the script."""
    return f'# Where the arrays are: set the path that the file has on this computer\n{DATA_FILE} = r"{path}"'


def loaded() -> str:
    """Return what makes the arrays of that file known."""
    return f"{_LOADED}\n\n"


def arrays_of(above: str, below: str) -> dict[str, np.ndarray]:
    """Return the arrays of a script, of what stands above and below its line.

    Raises
    ------
    OSError
        If they are in a file that is not there.
    """
    found = re.findall(r'^(\w+) = dmlink_array\("""([^"]*)""", "(.+?)", (\(.*?\))\)$', below, re.MULTILINE)
    arrays = {
        name: np.frombuffer(zlib.decompress(base64.b85decode("".join(text.split()))), dtype).reshape(
            ast.literal_eval(shape)
        )
        for name, text, dtype, shape in found
    }
    if place := re.search(rf"^{DATA_FILE} = (.*)$", above, re.MULTILINE):
        expression = ast.parse(place[1], mode="eval").body
        with np.load(Path(ast.literal_eval(expression)), allow_pickle=False) as file:
            arrays |= dict(file)
    return arrays
