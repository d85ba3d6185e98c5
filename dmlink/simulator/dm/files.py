"""Files: opens images from this computer's disk and saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink import recordings
from dmlink.frame import Axis
from dmlink.simulator.dm.data_types import DATA_TYPES
from dmlink.simulator.dm.gatan_files import write_dm4
from dmlink.simulator.dm.tags import recorded_tags

if TYPE_CHECKING:
    from dmlink.simulator.dm.images import Image
    from dmlink.simulator.dm.workspace import Workspace


def open_image(workspace: Workspace, path: str, call: str) -> Image:
    """Return the image in a file: (h, w), or (n, h, w) for a stack.

    For an in-situ recording, this is the first frame, or all with the switch `in_situ="stack"`.

    Raises
    ------
    RuntimeError
        If there is no such file, or it cannot be read.
    """
    try:
        with recordings.open(path) as recording:
            first = workspace.switches.in_situ == "frame" and Path(path).with_suffix(".raw").exists()
            frames = np.stack([recording[i].data for i in range(1 if first else len(recording))])
            axes = [Axis(*recording.x), Axis(*recording.y), Axis()][: 2 + (len(frames) > 1)]
            tags = recorded_tags(recording.tags)
    except (OSError, ValueError, ImportError) as error:
        raise RuntimeError(f"{call}({path!r}): {error}") from None
    if frames.dtype.name not in DATA_TYPES:
        frames = frames.astype(np.float32)
    memory = np.array(frames if len(frames) > 1 else frames[0], frames.dtype.newbyteorder("="), order="C")
    image = workspace.new_image(memory, Path(path).stem)
    image.axes[: len(axes)] = axes
    image.tags.update(tags)
    return image


def save_image(image: Image, path: str, call: str) -> str:
    """Write the image as DM4, overwriting an existing file, and return its path; adds `.dm4` if missing.

    Raises
    ------
    RuntimeError
        If the file cannot be written, or the image is an RGB image.
    """
    if image.rgb:
        raise RuntimeError(f"{call}({path!r}): the simulator saves no RGB images.")
    axes = [(pixel_origin(axis), axis.scale, axis.unit) for axis in reversed(image.axes)]
    file = Path(path).with_suffix(".dm4")
    try:
        file.unlink(missing_ok=True)
        write_dm4(file, image.memory, axes=axes, tags=image.tags)
    except OSError as error:
        raise RuntimeError(f"{call}({path!r}): {error}") from None
    return str(file)


def save_tags(tags: Any, path: str, call: str) -> None:
    """Write tags to a file: in GMS its own format, here JSON.

    Raises
    ------
    RuntimeError
        If the file cannot be written.
    """
    try:
        Path(path).write_text(json.dumps(tags), encoding="utf-8")
    except OSError as error:
        raise RuntimeError(f"{call}({path!r}): {error}") from None


def pixel_origin(axis: Axis) -> float:
    """Return the index at which the axis is zero, as in DM4 files and calibration format 1."""
    return -axis.origin / axis.scale if axis.origin and axis.scale else 0.0
