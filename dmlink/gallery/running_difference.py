# What has just changed: the average of the last few frames minus the average of more of them. Noise around
# zero where nothing happens; bright is new, dark is gone. Drift shows as edges, bright and dark in pairs.
# Averages fade as in the live scripts of Miller et al., Microsc. Microanal. (2022): p = (N - 1) / (N + 1).
import numpy as np
from scipy.ndimage import gaussian_filter

short: (1, 50) = 5  # frames in the newer average
long: (2, 200) = 20  # frames in the older average; more than in the newer one
sigma: (0.0, 5.0, 0.5) = 1.0  # px of smoothing; 0 is off

newer = state.setdefault("newer", RunningAverage(short))
older = state.setdefault("older", RunningAverage(long))
newer.n, older.n = short, long

if np.isfinite(frame).all():
    image = gaussian_filter(np.float32(frame), sigma)
    result = Image(newer.add(image) - older.add(image), info.scale, unit=info.unit)
else:
    print("Left out: a frame with pixels that are not numbers; the averages would never lose them.")
    result = None
result
