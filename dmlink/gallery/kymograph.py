# The intensity along a line over time: anything that moves along it leaves a slanted trace, whose slope is
# its speed. The line does not follow drift, and anything that crosses a wide line at an angle is blurred.
#
# Method. The frame is sampled at every pixel of the line, linearly between pixels, and averaged across its
# width (skimage.measure.profile_line). It uses the line drawn on the live view in DigitalMicrograph or, if
# there is none, the line set by the parameters. Samples outside the frame, or on pixels that are NaN or
# infinite, are left out of the average.
import numpy as np
from skimage.measure import profile_line

from_x: (0.0, 100.0, 0.5) = 10.0  # %, start of the line along the width, if none is drawn
from_y: (0.0, 100.0, 0.5) = 50.0  # %, start of the line along the height
to_x: (0.0, 100.0, 0.5) = 90.0  # %, end of the line along the width
to_y: (0.0, 100.0, 0.5) = 50.0  # %, end of the line along the height
width: (1, 99) = 5  # px, width over which the line is averaged

LEAST = 0.01  # of the width, that must lie on known pixels

if info.line:
    begin, end = np.reshape(info.line, (2, 2))
else:
    last = np.subtract(frame.shape, 1)  # row and column of the last pixel
    begin = last * (from_y, from_x) / 100
    end = last * (to_y, to_x) / 100


def along_the_line(image):
    """Return the mean across the width, with 0 outside the frame, where nothing is known."""
    return profile_line(image, begin, end, linewidth=width, order=1, mode="grid-constant")


is_number = np.isfinite(frame)
counts = along_the_line(np.where(is_number, frame, 0).astype(np.float32))
known = along_the_line(is_number.astype(np.float32))  # from 0 to 1: how much of the width is
values = np.where(known > LEAST, counts / np.maximum(known, LEAST), np.nan)
if not is_number.all() or known.min() < 0.99:
    print("Points of the line outside the frame, or on pixels that are NaN or infinite, are left out.")

result = None
if np.isfinite(values).any():
    length = np.hypot(*((end - begin) * (info.y.scale, info.x.scale)))
    step = length / max(1, len(values) - 1)
    result = Profile(values, step, 0, info.unit, "counts", waterfall=True)
result
