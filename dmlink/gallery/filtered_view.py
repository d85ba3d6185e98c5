# The live view with less noise: a median takes out hot and dead pixels, a Gaussian smooths, an average over
# frames shows what stays; what moves leaves a trail, and edges are as soft as the Gaussian is wide.
# It fades as in the live scripts of Miller et al., Microsc. Microanal. (2022): p = (N - 1) / (N + 1).
# OpenCV, where it is installed (in DM's environment: pip install opencv-python), gives the same, only faster.
import numpy as np
from scipy import ndimage

median: [1, 3, 5] = 3  # px, width of the median filter; 1 is off
sigma: (0.0, 10.0, 0.5) = 1.0  # px of Gaussian smoothing; 0 is off
frames: (1, 100) = 5  # frames in the running average; 1 is off

try:
    import cv2
except ImportError:
    cv2 = None

average = state.setdefault("average", RunningAverage(frames))
average.n = frames
image = np.float32(frame)
good = np.isfinite(image)
if not good.all() and good.any():
    print("%d pixels that are not numbers were replaced by the median of the others." % (~good).sum())
    image = np.where(good, image, np.median(image[good]))

if cv2 and median > 1:
    image = cv2.medianBlur(image, median)
elif median > 1:
    image = ndimage.median_filter(image, median, mode="nearest")
if cv2 and sigma > 0:
    width = 2 * int(4 * sigma + 0.5) + 1  # px, as far as SciPy goes
    image = cv2.GaussianBlur(image, (width, width), sigma, borderType=cv2.BORDER_REFLECT)
elif sigma > 0:
    image = ndimage.gaussian_filter(image, sigma)

if not good.any():
    print("Left out: a frame without a single number.")
origin = (info.y.origin, info.x.origin)
Image(average.add(image), info.scale, origin, info.unit) if good.any() else None
