"""Snapshot: one frame as a TIFF file with its calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import tifffile

from dmlink.recordings.file_names import file_name

if TYPE_CHECKING:
    from dmlink.frame import Frame


def save(frame: Frame, folder: Path | str = ".") -> Path:
    """Write the frame's pixels as they are beside the notebook; return the path, which is a new one.

    Axes, time and tags are in the file's description, as JSON.
    """
    name = f"{file_name(frame.source)}-{frame.index:06d}"
    about = {
        "source": frame.source,
        "index": frame.index,
        "time": frame.time,
        "y": frame.y._asdict(),
        "x": frame.x._asdict(),
        "roi": list(frame.roi) if frame.roi else None,
        "tags": frame.tags,
    }
    for number in range(1, 10_000):
        path = Path(folder) / (f"{name}.tif" if number == 1 else f"{name}-{number}.tif")
        try:
            with path.open("xb") as file:
                tifffile.imwrite(file, frame.data, description=json.dumps(about, default=str))
        except FileExistsError:
            continue
        return path.resolve()
    raise FileExistsError(f"There are too many snapshots {name} in {Path(folder).resolve()}.")
