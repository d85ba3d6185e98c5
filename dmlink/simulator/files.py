"""Files: images that are opened from the disk of this computer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dmlink import recordings
from dmlink.indm.info import Axis
from dmlink.simulator.images import DATA_TYPES, Image
from dmlink.simulator.tags import plain_tags

if TYPE_CHECKING:
    from dmlink.simulator.workspace import Workspace


def opened(workspace: Workspace, path: str, call: str) -> Image:
    """Return the image that a file holds, all of it: (h, w), or (n, h, w) of a stack or an in-situ recording.

    Raises
    ------
    RuntimeError
        If there is no such file, or it is none that can be read.
    """
    try:
        with recordings.open(path) as recording:
            frames = np.stack([frame.data for frame in recording])
            axes = [Axis(*recording.x), Axis(*recording.y), Axis()][: 2 + (len(frames) > 1)]
            tags = plain_tags(recording.tags)
    except (OSError, ValueError, ImportError) as error:
        raise RuntimeError(f"{call}({path!r}): {error}") from None
    if frames.dtype.name not in DATA_TYPES:
        frames = frames.astype(np.float32)
    memory = np.array(frames if len(frames) > 1 else frames[0], frames.dtype.newbyteorder("="), order="C")
    image = Image(workspace, memory, Path(path).stem)
    image.axes[: len(axes)] = axes
    image.tags.update(tags)
    return image
