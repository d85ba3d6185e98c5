"""Seven: cells of unequal cost at once, compared with bare processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..of_link import transport
from . import at_once

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 2048
SIDES = {  # side in px of the part that each cell transforms, by the cost of a frame: lightest to heaviest
    "0.8 to 20 ms": (384, 512, 640, 768, 1024, 1280, 1536),
    "0.2 to 8 ms": (192, 256, 320, 384, 512, 768, 1024),
}
CELL = "import numpy as np\nfloat(np.abs(np.fft.rfft2(frame[:{side}, :{side}])).max())"


def throughput(runs: int, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Return, by cost, frames/s of each cell, bare and live, and the ratio of total work done."""
    pictures = transport.picture(SIZE)[None]

    def compared(sides: tuple[int, ...]) -> dict[str, Any]:
        texts = [CELL.format(side=side) for side in sides]
        found = at_once.compared(texts, pictures, runs, seconds, lambda: note("seven cells at once"))
        return {"sides": list(sides), **found}

    return {cost: compared(sides) for cost, sides in SIDES.items()}
