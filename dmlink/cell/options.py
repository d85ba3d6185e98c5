"""Options: which frames a live cell processes, and which resources it may use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Which frames a cell processes, and which resources it may use; see `LiveCell`.

    Raises
    ------
    ValueError
        If a value is invalid, or two options conflict.
    """

    every: int = 1
    max_rate: float | None = None
    mode: str = "latest"
    timeout: float = 10.0
    memory: int | None = None
    keep: float | None = None
    keep_after: float = 5.0
    clips: Path = Path("clips")

    def __post_init__(self) -> None:
        if self.every != int(self.every) or self.every < 1:
            raise ValueError(f"every={self.every!r}: it must be 1, 2, 3 ..., to process every n-th frame.")
        if self.mode not in ("latest", "lossless"):
            raise ValueError(f'mode={self.mode!r}: it must be "latest" or "lossless".')
        for name in ("max_rate", "timeout", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value!r}: it must be greater than 0.")
        for name in ("keep", "keep_after"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name}={value!r}: it must be 0 or more seconds.")
        if self.max_rate and self.mode == "lossless":
            raise ValueError(
                "max_rate skips frames, but a lossless cell must process every frame; use only one of them."
            )
