"""Snapshot: one frame as a TIFF file with its calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import tifffile

from dmlink.recordings.writing.file_names import file_name, open_new

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink_widgets.drawing.image_figure import ImageFigure

MOST = 10_000  # snapshots of one frame


def save_picture(frame: Frame, figure: ImageFigure, folder: Path | str = ".") -> tuple[Path, Path]:
    """Save what a figure shows, with axes, scale bar and marks, as a new PNG and a new SVG.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    name = f"{file_name(frame.source)}-{frame.index:06d}"
    paths = []
    for ending, content in ((".png", figure.png()), (".svg", figure.svg())):
        numbers = ["", *(f"-{i}" for i in range(2, MOST))]
        with open_new(Path(folder).resolve() / f"{name}{number}{ending}" for number in numbers) as file:
            file.write(content)
        paths.append(Path(file.name))
    return paths[0], paths[1]


def save(frame: Frame, folder: Path | str = ".") -> Path:
    """Save the unchanged pixels of a frame to a new file, and return its path.

    Axes, time and tags are stored in the file's description, as JSON.

    Raises
    ------
    OSError
        If the file cannot be written.
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
    numbers = ["", *(f"-{i}" for i in range(2, MOST))]
    with open_new(Path(folder).resolve() / f"{name}{number}.tif" for number in numbers) as file:
        tifffile.imwrite(file, frame.data, description=json.dumps(about, default=str))
    return Path(file.name)
