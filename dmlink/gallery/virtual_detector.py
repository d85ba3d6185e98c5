# A bright-field and a dark-field detector in a diffraction pattern: the counts inside a disc, and between two
# circles, of every frame. The boxes over the live view show where they are. The centre is found once, as the
# middle of the brightest disc, and kept, so that a beam that wanders off is seen; reset to find it anew.
# Where the pattern is clipped (saturated, beam stop) the sums are too low. Method: Cowley, Spence,
# Ultramicroscopy 3, 433 (1979).
import numpy as np
from scipy.ndimage import gaussian_filter

bright: (1.0, 500.0, 0.5) = 12.0  # px, radius of the disc
inner: (0.0, 1000.0, 0.5) = 24.0  # px, from this radius ...
outer: (1.0, 2000.0, 0.5) = 80.0  # px, ... to this one reaches the dark-field detector
centre_y: float = -1.0  # px from the top; -1: find it
centre_x: float = -1.0  # px from the left; -1: find it

good = np.isfinite(frame)
counts = np.where(good, frame, 0).astype(float)
if not good.all():
    print("%d pixels are not numbers, and not counted." % (~good).sum())
row, column = np.ogrid[: frame.shape[0], : frame.shape[1]]
if "centre" not in state and np.ptp(counts) > 0:
    smooth = gaussian_filter(np.float32(counts), min(bright, max(frame.shape) / 8) / 3)
    weight = np.clip(smooth - (smooth.max() + np.median(smooth)) / 2, 0, None)
    at = np.unravel_index(smooth.argmax(), smooth.shape)
    weight[np.hypot(row - at[0], column - at[1]) > 2 * bright] = 0
    weight[at] += 1e-9
    state["centre"] = (weight * row).sum() / weight.sum(), (weight * column).sum() / weight.sum()
y, x = state.get("centre", (-1, -1))
y, x = centre_y if centre_y >= 0 else y, centre_x if centre_x >= 0 else x
settings = (y, x, bright, inner, outer)
if state.get("settings") != settings:  # which pixels belong to which detector
    radius = np.hypot(row - y, column - x)
    masks = {"bright field": radius <= bright, "dark field": (radius >= inner) & (radius <= outer)}
    state.update(settings=settings, masks={k: np.flatnonzero(mask) for k, mask in masks.items()})
sums = {name: counts.ravel()[pixels].sum() for name, pixels in state["masks"].items()}
if frame.dtype.kind in "iu" and frame.max() == np.iinfo(frame.dtype).max:
    print("Some pixels are saturated: sums that contain them are too low.")
if y < 0 or x < 0:
    print("No centre: all pixels are equal. Set it, or wait for a pattern.")
elif min(y, x, frame.shape[0] - 1 - y, frame.shape[1] - 1 - x) < outer:
    print("The dark-field detector reaches beyond the frame: its sum lacks what is there.")
boxes = Boxes([(y - r, x - r, y + r, x + r) for r in (bright, inner, outer)], labels=["BF", "DF", "DF"])
{"sums": Scalar(sums, "counts"), "detectors": boxes} if y >= 0 and x >= 0 else None
