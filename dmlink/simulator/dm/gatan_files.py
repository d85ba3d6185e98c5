"""Gatan files: writes DM4 images and in-situ recordings as DigitalMicrograph does."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.simulator.dm.data_types import BINARY, DATA_TYPES
from dmlink.simulator.dm.tags import plain_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Literal

PIXEL_TYPES = {**DATA_TYPES, "bool": BINARY}
"""The numbers of pixels' types in files (ImageData:DataType), by NumPy's name."""

ENCODED = {"h": 2, "i": 3, "H": 4, "I": 5, "f": 6, "d": 7, "?": 8, "b": 9, "B": 10, "q": 11, "Q": 12}
"""The numbers of a tag's type, by the character of `struct`."""

ARRAY, STRUCT = 20, 15
GROUP, DATA = 20, 21


def write_dm4(
    path: Path,
    pixels: np.ndarray,
    *,
    axes: Sequence[tuple[float, float, str]] = (),
    tags: Mapping[str, Any] | None = None,
    byteorder: Literal["<", ">"] = "<",
) -> None:
    """Write one image as DM4.

    Parameters
    ----------
    path : pathlib.Path
        The file; its stem becomes the image's name.
    pixels : numpy.ndarray
        The image, slowest dimension first.
    axes : sequence of (origin, scale, unit), optional
        Calibration of every dimension of `pixels`, with DM's origin: the pixel that is zero.
    tags : mapping, optional
        The image's tags, nested or with paths such as "In-situ:Recorded:# Frames" as keys.
    byteorder : str
        "<", or ">" as DM on an old Macintosh.
    """
    values = pixels.astype(pixels.dtype.newbyteorder(byteorder))
    axes = axes or [(0.0, 1.0, "")] * pixels.ndim
    image = {
        "ImageData": {
            "Calibrations": {
                "Dimension": [
                    {"Origin": float(origin), "Scale": float(scale), "Units": unit}
                    for origin, scale, unit in reversed(axes)
                ]
            },
            "Data": values,
            "DataType": PIXEL_TYPES[pixels.dtype.name],
            "Dimensions": dict(enumerate(reversed(pixels.shape))),  # numbers as names: entries without
            "PixelDepth": pixels.dtype.itemsize,
        },
        "ImageTags": plain_tags(tags or {}),
        "Name": path.stem,
    }
    root = _group({"ImageList": [image]}, byteorder)
    with path.open("xb") as file:
        file.write(struct.pack(">IQI", 4, len(root), byteorder == "<"))
        file.write(root)
        file.write(bytes(8))


def write_in_situ_raw(
    header: Path,
    frames: np.ndarray,
    *,
    exposure: float,
    part_bytes: int | None = None,
    axes: Sequence[tuple[float, float, str]] = (),
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Write NAME.dm4 with the first frame, and all frames (n, h, w) into NAME.raw, NAME.raw_1, ...

    Parameters
    ----------
    exposure : float
        Exposure per frame, in s.
    part_bytes : int, optional
        Size of every .raw but the last; frames can span two files.
    """
    write_dm4(header, frames[0], axes=axes, tags=in_situ_tags(len(frames), exposure, tags))
    raw = np.ascontiguousarray(frames).tobytes()
    step = part_bytes or len(raw)
    for i, start in enumerate(range(0, len(raw), step)):
        part = header.with_suffix(f".raw_{i}" if i else ".raw")
        part.write_bytes(raw[start : start + step])


def write_in_situ_tree(
    folder: Path,
    frames: np.ndarray,
    *,
    name: str = "insitu",
    exposure: float,
    axes: Sequence[tuple[float, float, str]] = (),
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Write frames (n, h, w) one by one to Hour_00/Minute_00/Second_00/NAME_..._Frame_0000.dm4 in `folder`.

    `exposure` (s) determines the second in which each frame is taken.
    """
    header = in_situ_tags(len(frames), exposure, tags)
    write_dm4(folder / f"{name}.dm4", frames[0], axes=axes, tags=header)
    for i, frame in enumerate(frames):
        path = tree_place(folder / f"{name}.dm4", i, exposure)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_dm4(path, frame, axes=axes, tags=header)


def tree_place(header: Path, i: int, exposure: float) -> Path:
    """Return the file of frame `i` in the tree next to a header; `exposure` is in s."""
    second = int(i * exposure + 1e-9)
    candidates = itertools.count(max(0, int(second / exposure) - 1))
    first = next(k for k in candidates if int(k * exposure + 1e-9) == second)
    parts = f"Hour_{second // 3600:02}", f"Minute_{second // 60 % 60:02}", f"Second_{second % 60:02}"
    name = "_".join([header.stem, *parts, f"Frame_{i - first:04}"])
    return header.parent.joinpath(*parts, f"{name}.dm4")


def in_situ_tags(n: int, exposure: float, tags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the tags of an in-situ header, as far as public scripts read them."""
    return {
        "Acquisition:Parameters:High Level:Exposure (s)": float(exposure),
        "In-situ:Recorded:# Frames": n,
        **(tags or {}),
    }


def _group(entries: Mapping[Any, Any] | Sequence[Any], order: str) -> bytes:
    """Return a group of tags: a dict, or a list for entries without names."""
    unnamed = not isinstance(entries, dict) or all(isinstance(key, int) for key in entries)
    values = list(entries.values() if isinstance(entries, dict) else entries)
    names = [""] * len(values) if unnamed else [str(name) for name in entries]
    parts = [struct.pack(">BBQ", 1, 0, len(values))]
    for name, value in zip(names, values):
        group = isinstance(value, dict) or (isinstance(value, list) and isinstance((value or [{}])[0], dict))
        body = _group(value, order) if group else _data(value, order)
        label = name.encode("latin-1")
        parts.append(struct.pack(">BH", GROUP if group else DATA, len(label)) + label)
        parts.append(struct.pack(">Q", len(body)) + body)
    return b"".join(parts)


def _data(value: Any, order: str) -> bytes:
    """Return one tag's value: text, an array, a few numbers, or a number."""
    if isinstance(value, str):
        raw = value.encode("utf-16-le" if order == "<" else "utf-16-be")
        return _described((ARRAY, ENCODED["H"], len(raw) // 2), raw)
    if isinstance(value, np.ndarray):
        # A complex pixel is a struct of two numbers; all others are plain numbers.
        pair = value.dtype.kind == "c"
        kind = next(n for char, n in ENCODED.items() if np.dtype(char).str[1:] == value.real.dtype.str[1:])
        element = (STRUCT, 0, 2, 0, kind, 0, kind) if pair else (kind,)
        return _described((ARRAY, *element, value.size), value.tobytes())
    if isinstance(value, (list, tuple)):
        info = (STRUCT, 0, len(value), *(n for _ in value for n in (0, ENCODED["d"])))
        return _described(info, struct.pack(f"{order}{len(value)}d", *value))
    char = "?" if isinstance(value, bool) else "d" if isinstance(value, float) else "I"
    if char == "I" and not 0 <= value < 2**32:
        char = "q"
    return _described((ENCODED[char],), struct.pack(order + char, value))


def _described(info: tuple[int, ...], raw: bytes) -> bytes:
    """Return `raw` after a description of its type."""
    return b"%%%%" + struct.pack(f">Q{len(info)}Q", len(info), *info) + raw
