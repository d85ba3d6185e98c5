"""Recordings to try dmlink with: generated on first use, then kept in the user's cache."""

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
from dmlink.indm.renaming import give_name

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
    """Return a recording of gold nanoparticles that drift, rotate, crystallise and coalesce; takes 3 s.

    It is synthetic: 120 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px, 20 frames/s. The truth is
    known: `dmlink.open(path).tags["truth"]` has positions, radii, lattice angles, crystallinity and drift.

    Returns
    -------
    pathlib.Path
        A .npy file in `cache_folder()`, with its calibration and truth in the .json file beside it.
    """
    return _made_once(f"nanoparticles-{VERSION}.npy", write)


def moving_particles() -> Path:
    """Return a recording of some 125 particles at a time whose paths cross; takes 1 s.

    It is synthetic: 60 frames of 512 x 512 pixels (uint16 counts), 0.5 nm/px, 20 frames/s; the density is
    that of 500 particles on 1024 x 1024 pixels. `dmlink.open(path).tags["truth"]` has all positions.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"moving-particles-{_moving_particles.VERSION}.npy", _moving_particles.write)


def crystallites() -> Path:
    """Return a recording of crystallites side by side, each with its own lattice fringes; takes 0.1 s.

    It is synthetic: 4 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px. The truth has the direction and
    the spacing of each.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"crystallites-{_crystallites.VERSION}.npy", _crystallites.write)


def crystallisation() -> Path:
    """Return a recording of a film that crystallises while it drifts and the dose changes; takes 1 s.

    It is synthetic: 80 frames of 256 x 256 pixels (uint16 counts), 0.05 nm/px. The truth has the frame in
    which it begins, and the spacing of the ring.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"crystallisation-{_crystallisation.VERSION}.npy", _crystallisation.write)


def ring_pattern() -> Path:
    """Return a recording of elliptically distorted rings of polycrystalline gold; takes 0.1 s.

    It is synthetic: 8 frames of 256 x 256 pixels (uint16 counts), 0.075/nm per pixel. The truth has centres,
    radii and the ellipse.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"ring-pattern-{_ring_pattern.VERSION}.npy", _ring_pattern.write)


def thon_rings() -> Path:
    """Return a recording of an amorphous film at several defocus values, with astigmatism; takes 0.5 s.

    It is synthetic: 6 frames of 512 x 512 pixels (uint16 counts), 0.05 nm/px, 200 kV. The truth has defocus,
    astigmatism and its direction in every frame.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"thon-rings-{_thon_rings.VERSION}.npy", _thon_rings.write)


def drifting_film() -> Path:
    """Return a recording of an uneven film that drifts by some 40 px; takes 1 s.

    It is synthetic: 40 frames of 256 x 256 pixels (uint16 counts), 0.1 nm/px. Halfway through, the dose
    falls by half. The truth has the drift of every frame.

    Returns
    -------
    pathlib.Path
        As of `nanoparticles`.
    """
    return _made_once(f"drifting-film-{_drifting_film.VERSION}.npy", _drifting_film.write)


def cache_folder() -> Path:
    """Return the folder for data that can be regenerated: DMLINK_CACHE if set, else the user's cache."""
    folder = Path(os.environ.get("DMLINK_CACHE") or platformdirs.user_cache_dir("dmlink"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _made_once(name: str, write: Callable[[Path], None]) -> Path:
    """Return the .npy file `name` in the cache; `write` creates it and its sidecar if necessary.

    Both are written elsewhere and then renamed, the .npy last: if it exists, both are complete. Two
    processes that start together generate the same bytes, so it does not matter whose are kept.
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
        except PermissionError:  # on Windows, if the other process was faster and is already reading
            if not path.exists():
                raise
    return path
