"""Recordings to try dmlink with: made on first use, then kept in the user's cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

# Imported before the functions of the same names are defined: importing a module later would replace one.
from dmlink.data import moving_particles as _moving_particles
from dmlink.data.nanoparticles import VERSION, write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cache_folder", "moving_particles", "nanoparticles"]


def nanoparticles() -> Path:
    """Return a recording of gold nanoparticles that drift, turn, crystallise and coalesce; made in 3 s.

    It is synthetic: 120 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px, 20 frames/s. What happens is
    known: `dmlink.open(path).tags["truth"]` has positions, radii, lattice angles, crystallinity and drift.

    Returns
    -------
    pathlib.Path
        A .npy file in `cache_folder()`, with its calibration and truth in the .json file beside it.
    """
    return _made_once(f"nanoparticles-{VERSION}.npy", write)


def moving_particles() -> Path:
    """Return a recording of some 125 particles at a time that cross each other's ways; made in 1 s.

    It is synthetic: 60 frames of 512 x 512 pixels (uint16 counts), 0.5 nm/px, 20 frames/s; the density is
    that of 500 particles on 1024 x 1024 pixels. `dmlink.open(path).tags["truth"]` has all positions.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"moving-particles-{_moving_particles.VERSION}.npy", _moving_particles.write)


def cache_folder() -> Path:
    """Return the folder for data that can be made again: DMLINK_CACHE if set, else the user's cache."""
    folder = Path(os.environ.get("DMLINK_CACHE") or platformdirs.user_cache_dir("dmlink"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _made_once(name: str, write: Callable[[Path], None]) -> Path:
    """Return the .npy file `name` in the cache; `write` makes it and its sidecar if need be.

    Both are written elsewhere and then renamed, the .npy last: where it exists, both are whole. Two
    processes that start together make the same bytes, and the later one replaces them with themselves.
    """
    path = cache_folder() / name
    if path.exists():
        return path
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent, ignore_cleanup_errors=True) as made:
        new = Path(made) / name
        write(new)
        try:
            new.with_suffix(".json").replace(path.with_suffix(".json"))
            new.replace(path)
        except PermissionError:  # Windows, when the other process was faster and already reads
            if not path.exists():
                raise
    return path
