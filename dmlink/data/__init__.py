"""Recordings to try dmlink with: made on first use, then kept in the user's cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from dmlink.data.synthesis import crystallisation as _crystallisation
from dmlink.data.synthesis import crystallites as _crystallites
from dmlink.data.synthesis import drifting_film as _drifting_film
from dmlink.data.synthesis import moving_particles as _moving_particles
from dmlink.data.synthesis import ring_pattern as _ring_pattern
from dmlink.data.synthesis import thon_rings as _thon_rings
from dmlink.data.synthesis.nanoparticles import VERSION, write
from dmlink.renaming import give_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "cache_folder",
    "crystallisation",
    "crystallites",
    "drifting_film",
    "moving_particles",
    "nanoparticles",
    "ring_pattern",
    "thon_rings",
]


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


def crystallites() -> Path:
    """Return a recording of crystallites side by side, each with lattice fringes of its own; made in 0.1 s.

    It is synthetic: 4 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px. The truth has the direction and
    the spacing of each.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"crystallites-{_crystallites.VERSION}.npy", _crystallites.write)


def crystallisation() -> Path:
    """Return a recording of a film that crystallises while it drifts and the dose changes; made in 1 s.

    It is synthetic: 80 frames of 256 x 256 pixels (uint16 counts), 0.05 nm/px. The truth has the frame in
    which it begins, and the spacing of the ring.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"crystallisation-{_crystallisation.VERSION}.npy", _crystallisation.write)


def ring_pattern() -> Path:
    """Return a recording of the rings of polycrystalline gold, elliptically distorted; made in 0.1 s.

    It is synthetic: 8 frames of 256 x 256 pixels (uint16 counts), 0.075/nm per pixel. The truth has centres,
    radii and the ellipse.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"ring-pattern-{_ring_pattern.VERSION}.npy", _ring_pattern.write)


def thon_rings() -> Path:
    """Return a recording of an amorphous film at several defoci, with astigmatism; made in 0.5 s.

    It is synthetic: 6 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px, 200 kV. The truth has defocus,
    astigmatism and its direction in every frame.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"thon-rings-{_thon_rings.VERSION}.npy", _thon_rings.write)


def drifting_film() -> Path:
    """Return a recording of an uneven film that drifts by some 40 px; made in 1 s.

    It is synthetic: 40 frames of 256 x 256 pixels (uint16 counts), 0.1 nm/px. Halfway the dose falls to a
    half. The truth has the drift of every frame.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"drifting-film-{_drifting_film.VERSION}.npy", _drifting_film.write)


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
            give_name(new.with_suffix(".json"), path.with_suffix(".json"), overwrite=True)
            give_name(new, path, overwrite=True)
        except PermissionError:  # Windows, when the other process was faster and already reads
            if not path.exists():
                raise
    return path
