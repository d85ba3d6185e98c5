"""Images: DigitalMicrograph's images with calibration, tags and listeners."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from dmlink.frame import Axis
from dmlink.simulator.dm.data_types import DATA_TYPES, RGB

if TYPE_CHECKING:
    import numpy as np

    from dmlink.simulator.dm.registration import Registration


class Image:
    """An image in DM, independent of the documents that show it.

    Attributes
    ----------
    memory : numpy.ndarray
        The pixels, slowest dimension first (the reverse of DM's order); (h, w, 3) for an RGB image.
    axes : list of Axis
        Calibration in DM's order, x first: value = origin + scale * index.
    live : bool
        Whether it is the live view of a camera.
    handles : weakref.WeakSet
        Python's references to it.
    """

    def __init__(
        self, number: int, label: str, memory: np.ndarray, name: str, *, rgb: bool, live: bool
    ) -> None:
        self.id = number
        self.label = label
        self.memory = memory
        self.name = name
        self.rgb = rgb
        self.live = live
        self.axes = [Axis() for _ in self.shape]
        self.intensity = Axis()
        self.tags: dict[str, Any] = {}
        self.deleted = False
        self.listeners: list[Registration] = []
        self.handles: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in NumPy's order, without colour."""
        return self.memory.shape[:2] if self.rgb else self.memory.shape

    @property
    def data_type(self) -> int:
        """DM's number for the data type."""
        return RGB if self.rgb else DATA_TYPES[self.memory.dtype.name]
