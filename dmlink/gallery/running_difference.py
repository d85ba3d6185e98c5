# What has just changed: bright is new, dark is gone, and where nothing happens there is noise around zero.
# Drift shows as edges, bright and dark in pairs, and a change of beam intensity as a change everywhere.
#
# Method. The average of the last few frames minus the average of a larger number, each smoothed by a
# Gaussian. Older frames fade from both averages, as in the live scripts of Miller et al., Microsc.
# Microanal. (2022): with N frames, p = (N - 1) / (N + 1) of the average is kept, and 1 - p of the new frame
# is added. Anything unchanged for longer than both averages cancels.
import numpy as np
from scipy.ndimage import gaussian_filter

short: (1, 50) = 5  # frames, length of the newer average
long: (2, 200) = 20  # frames, length of the older average; longer than the newer one
sigma: (0.0, 5.0, 0.5) = 1.0  # px, sigma of the Gaussian; 0 is off

newer = state.setdefault("newer", RunningAverage(short))
older = state.setdefault("older", RunningAverage(long))
newer.n = short
older.n = long
if short >= long:
    print("Both averages cover the same frames: make long larger than short.")

result = None
if np.isfinite(frame).all():
    if info.again:  # the same frame, with another parameter: it replaces the first one
        newer.average, older.average = state.get("before", (None, None))
    state["before"] = newer.average, older.average
    smooth = gaussian_filter(np.float32(frame), sigma)
    difference = newer.add(smooth) - older.add(smooth)
    scale, origin = (info.y.scale, info.x.scale), (info.y.origin, info.x.origin)
    result = Image(difference, scale, origin, info.unit)
else:
    print("No result: some pixels are NaN or infinite; the averages would keep them forever.")
result
