"""Crossings: how many particles that meet keep their numbers until they are apart again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from dmlink.data.synthesis.moving_particles import DOSE, image, story
from dmlink.indm.memory import Tracks

from . import alone

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAR, APART = 9.0, 16.0  # px: discs of 8 to 12 px that overlap, and that are clear of each other
EDGE = 20  # px from the edge of the frame: anything nearer is not counted
SIDE = 512  # px


def kept(per_megapixel: int, recordings: int) -> dict[str, int]:
    """Return the number of crossings on 1024 x 1024 frames, and after how many both keep their numbers.

    `of two` counts those with no third particle near; `by true places` is the best that is possible.
    """
    counts = {"crossings": 0, "kept": 0, "of two": 0, "of two kept": 0, "by true places": 0}
    for seed in range(recordings):
        rng = np.random.default_rng([per_megapixel, seed])
        yx, diameters = story(rng, SIDE, density=per_megapixel / 1024**2)
        frames = [rng.poisson(DOSE * image(yx[:, i], diameters, SIDE)) for i in range(yx.shape[1])]
        for same, by_themselves in crossings(yx, followed(frames, yx)):
            counts["crossings"] += 1
            counts["kept"] += same
            counts["of two"] += by_themselves
            counts["of two kept"] += same and by_themselves
        counts["by true places"] += sum(same for same, _ in crossings(yx, linked(yx)))
    return counts


def followed(frames: Sequence[Any], truth: np.ndarray) -> np.ndarray:
    """Return the number that the cell gives each particle in each frame; 0 where it does not find it.

    `truth` is (particle, frame, yx) in px.
    """
    run, ids = alone.cell("particle_tracking"), np.zeros(truth.shape[:2], int)
    for i, frame in enumerate(frames):
        marks = run(frame.astype(np.uint16), i).results["particles"]
        here = np.flatnonzero(_within(truth[:, i], 0))
        distance, nearest = cKDTree(marks.yx).query(truth[here, i])
        near = distance < 3
        ids[here[near], i] = [int(marks.labels[k]) for k in nearest[near]]
    return ids


def linked(truth: np.ndarray) -> np.ndarray:
    """Return each particle's number in each frame, as if all were found exactly, even hidden ones."""
    tracks, ids = Tracks(linear_sum_assignment), np.zeros(truth.shape[:2], int)
    for i in range(truth.shape[1]):
        here = np.flatnonzero(_within(truth[:, i], 0))
        which = tracks.add(truth[here, i], i, 10, 10)
        ids[here, i] = tracks.ids[which]
    return ids


def crossings(truth: np.ndarray, ids: np.ndarray) -> list[tuple[bool, bool]]:
    """Return for each crossing whether both kept their numbers, and whether no third particle was near.

    A crossing lasts from the last frame in which two particles were clear of each other to the first in which
    they are again.
    """
    yx, found = np.where(_within(truth, 0)[..., None], truth, np.inf), []
    with np.errstate(invalid="ignore"):
        apart = np.array([np.nan_to_num(np.hypot(*(yx - one).transpose(2, 0, 1)), nan=np.inf) for one in yx])
    for a, b in np.argwhere((apart.min(axis=2) < NEAR) & np.tri(len(yx), k=-1, dtype=bool)):
        closest = apart[a, b].argmin()
        before = np.flatnonzero(apart[a, b, :closest] > APART)[-1:]
        after = np.flatnonzero(apart[a, b, closest:] > APART)[:1] + closest
        if not before.size or not after.size:
            continue
        during = np.s_[before[0] : after[0] + 1]
        if not _within(truth[[a, b], during], EDGE).all():
            continue
        numbers = [(ids[p, : before[0] + 1], ids[p, after[0] :]) for p in (a, b)]
        same = all(old.any() and new.any() and old[old > 0][-1] == new[new > 0][0] for old, new in numbers)
        third = np.delete(apart[[a, b]], [a, b], axis=1)[:, :, during]
        found.append((same, bool(third.min(initial=np.inf) > APART)))
    return found


def _within(yx: np.ndarray, edge: float) -> Any:
    return ((yx > edge) & (yx < SIDE - 1 - edge)).all(axis=-1)
