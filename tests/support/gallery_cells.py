"""Gallery cells, and plain frames for them."""

from __future__ import annotations

import numpy as np

from dmlink import Axis, LiveCell, gallery
from dmlink.frame import Info

NM = Axis(-8.0, 0.5, "nm")


INFO = Info(x=NM, y=Axis(3.0, 0.5, "nm"), tags={"exposure": 0.1})


def cell(name, **values):
    made = LiveCell(gallery.text(name), name)
    made.set(**values)
    return made


def poisson(shape, mean=40.0, seed=1):
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.uint16)
