"""ZSPY: HyperSpy's signals in Zarr, a folder or a ZIP file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from dmlink.recordings.array_stack import ArrayStack, choose
from dmlink.recordings.formats.hyperspy_layout import Found, signals
from dmlink.recordings.formats.ome_zarr import Chunks, store

if TYPE_CHECKING:
    from pathlib import Path

    from dmlink.recordings import Dimensions, Item


def read(path: Path, *, axis: Dimensions = None, item: Item = None) -> ArrayStack:
    """Return one signal of a .zspy: the first, or `item` by number or name."""
    try:
        root: Any = zarr.open_group(store(path), mode="r")
        found = signals(root)
    except (KeyError, ValueError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ValueError(f"{path} cannot be read as HyperSpy's Zarr ({error}).") from error
    if not found:
        raise ValueError(f"{path} holds no signal below Experiments; choose another recording.")
    names = [one.name for one in found]
    chosen: Found = choose(path, found, names, item)
    chunks = Chunks(path, chosen.data)
    return ArrayStack(
        path,
        chunks,
        axis=axis,
        axes=chosen.axes,
        names=chosen.names,
        tags=chosen.tags,
        items=names if len(names) > 1 else (),
        notes=chosen.notes,
        files=chunks.files,
    )
