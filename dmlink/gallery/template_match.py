# Where in the frame it looks as in a chosen square of the first frame: markers with the likeness, 1 for the
# same. Normalised cross-correlation: Lewis, Vision Interface, 120 (1995), by skimage.feature.match_template.
# It does not see what is turned or of another size, and finds noise if the square holds nothing else.
import numpy as np
from skimage.feature import match_template, peak_local_max

x: (0.0, 100.0, 0.5) = 50.0  # % of the width, the middle of the square
y: (0.0, 100.0, 0.5) = 50.0  # % of the height; a moved square is taken from the newest frame
size: (5, 255, 2) = 33  # px, its side
likeness: (0.05, 1.0, 0.05) = 0.6  # that is marked, at least

good = np.isfinite(frame)
image = np.where(good, frame, np.median(frame[good]) if good.any() else 0).astype(float)
image = np.float32((image - image.mean()) / (image.std() or 1))
side = min(size, *(n - (n + 1) % 2 for n in image.shape))  # odd, and within the frame
if state.get("taken") != (x, y, size):
    centre = np.round(np.subtract(image.shape, 1) * [y / 100, x / 100]).astype(int)
    corner = np.clip(centre - side // 2, 0, np.subtract(image.shape, side))
    template = image[corner[0] : corner[0] + side, corner[1] : corner[1] + side].copy()
    state.update(taken=(x, y, size), template=template)

result = None
if side < 3 or np.ptp(state["template"]) == 0:
    print("There is nothing in the square to look for: move it.")
    state.pop("taken")
else:
    match = np.pad(match_template(image, state["template"], pad_input=True), 1, constant_values=-1)
    match = np.clip(np.where(np.isfinite(match), match, 0), -1, 1)
    found = peak_local_max(match, min_distance=side // 2, threshold_abs=likeness, num_peaks=500)
    top = match[tuple(found.T)]
    lines = [[match[tuple((found + d * np.eye(2, dtype=int)[i]).T)] for d in (-1, 1)] for i in (0, 1)]
    offset = [(a - b) / np.minimum(a + b - 2 * top, -1e-9) / 2 for a, b in lines]  # of a parabola
    marks = Points(found - 1 + np.transpose(offset), labels=["%.2f" % value for value in top])
    result = {"matches": marks, "count": Scalar(len(top)), "best": Scalar(match.max())}
result
