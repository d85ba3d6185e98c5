"""Pictures: thumbnails of frames with events, and images made by cells as long as they fit in memory."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dmlink.frame import Axis, Frame

FRAME_PX = 384  # longer side of the picture of an event
MOST_FRAMES = 200
MEMORY = 256_000_000  # bytes of the cells' images; the oldest are dropped first
IMAGE_SECONDS = 0.5  # between two kept images of a cell


class Picture(NamedTuple):
    """A thumbnail of a frame: its time (s), its number, its pixels, and their scale."""

    time: float
    frame: int
    pixels: np.ndarray
    x: Axis


class CellImage(NamedTuple):
    """An image that a cell has made from a frame."""

    cell: str
    name: str
    time: float
    frame: int
    values: np.ndarray


class Pictures:
    """Pictures of both kinds. Any thread may read and add."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._frames: collections.OrderedDict[tuple[int, float], Picture] = collections.OrderedDict()
        self._images: collections.deque[CellImage] = collections.deque()
        self._newest: dict[tuple[str, str], float] = {}  # time of the newest image of each cell
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Memory used by the cells' images."""
        return self._bytes

    def keep_frame(self, frame: Frame) -> None:
        """Keep a thumbnail of a frame; if there are too many, drop every other one of the older half."""
        place = frame.index, frame.time
        with self._lock:
            if place in self._frames or not frame.data.size:
                return
        step = max(1, -(-max(frame.data.shape[:2]) // FRAME_PX))
        scale = frame.x._replace(scale=frame.x.scale * min(step, frame.data.shape[1]))
        with self._lock:
            self._frames[place] = Picture(frame.time, frame.index, smaller(frame.data, step), scale)
            if len(self._frames) > MOST_FRAMES:
                for gone in list(self._frames)[: MOST_FRAMES // 2 : 2]:
                    del self._frames[gone]

    def of_frame(self, index: int, time: float) -> Picture | None:
        """Return the thumbnail of a frame, if it is kept."""
        with self._lock:
            return self._frames.get((index, time))

    def keep_image(self, cell: str, name: str, time: float, frame: int, values: Any) -> None:
        """Keep a reduced image of a cell, unless the last one kept is very recent."""
        with self._lock:
            if time - self._newest.get((cell, name), -np.inf) < IMAGE_SECONDS:
                return
            self._newest[cell, name] = time
            step = max(1, -(-max(values.shape[:2]) // FRAME_PX))
            array = np.array(values[::step, ::step])
            self._images.append(CellImage(cell, name, time, frame, array))
            self._bytes += array.nbytes
            while self._bytes > self._memory:
                self._bytes -= self._images.popleft().values.nbytes

    def images_at(self, time: float) -> list[CellImage]:
        """Return each cell's newest image at that time, if it is still kept."""
        found: dict[tuple[str, str], CellImage] = {}
        with self._lock:
            for image in self._images:
                if image.time <= time:
                    found[image.cell, image.name] = image
        return list(found.values())


def smaller(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return the means of squares of `step` pixels, (h, w) or (h, w, 3), as float32; the rest is left out.

    Of an image that is narrower than that, the means of its whole width or height.
    """
    down, across = (min(step, n) for n in pixels.shape[:2])
    h, w = (n // by * by for n, by in zip(pixels.shape[:2], (down, across), strict=True))
    grey = np.abs(pixels[:h, :w]) if np.iscomplexobj(pixels) else pixels[:h, :w]
    blocks = grey.reshape(h // down, down, w // across, across, *pixels.shape[2:])
    small: np.ndarray = blocks.mean(axis=(1, 3), dtype=np.float32)
    return small
