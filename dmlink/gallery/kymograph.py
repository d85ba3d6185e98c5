# The intensity along a line, frame after frame: %%live kymograph --waterfall. What moves along it leaves a
# slanted trace, position over time, of which the slope is the speed. The line is the one that is drawn on the
# live view in DigitalMicrograph; while there is none, the one given here. A wider line has less noise, and
# blurs what crosses it at an angle. What drifts away from under the line is not followed.
# Sampled at every pixel, linearly between pixels: skimage.measure.profile_line.
import numpy as np
from skimage.measure import profile_line

from_x: (0.0, 100.0, 0.5) = 10.0  # % of the width, where the line begins if none is drawn
from_y: (0.0, 100.0, 0.5) = 50.0  # % of the height
to_x: (0.0, 100.0, 0.5) = 90.0  # % of the width, where it ends
to_y: (0.0, 100.0, 0.5) = 50.0  # % of the height
width: (1, 99) = 5  # px across the line, averaged

last = np.subtract(frame.shape, 1)
begin, end = last * (from_y, from_x) / 100, last * (to_y, to_x) / 100
if info.line:
    begin, end = np.reshape(info.line, (2, 2))
good = np.isfinite(frame)
line = {"linewidth": width, "order": 1, "mode": "grid-constant"}  # beyond the frame nothing is known
values = profile_line(np.where(good, frame, 0).astype(np.float32), begin, end, **line)
share = profile_line(good.astype(np.float32), begin, end, **line)  # of what is known
values = np.where(share > 0.01, values / np.maximum(share, 0.01), np.nan)
if not good.all() or share.min() < 0.99:
    print("Where the line crosses pixels that are not numbers, or leaves the frame, only the others count.")
length = np.hypot(*((end - begin) * (info.y.scale, info.x.scale)))
step = length / max(1, len(values) - 1)
Profile(values, step, 0, info.unit, "counts") if np.isfinite(values).any() else None
