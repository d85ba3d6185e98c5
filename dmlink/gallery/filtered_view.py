# The live view with less noise: stationary detail comes out, hot and dead pixels disappear. Moving objects
# leave a trail, the Gaussian softens edges, and the median removes single-pixel detail.
#
# Method. A median removes single pixels, a Gaussian smooths, and an average over frames brings out what is
# stationary. Older frames fade as in the live scripts of Miller et al., Microsc. Microanal. (2022): with N
# frames, p = (N - 1) / (N + 1) of the average is kept. If OpenCV is installed (in DigitalMicrograph's
# environment: pip install opencv-python), it gives the same result as SciPy, but faster.
import numpy as np
from scipy import ndimage

median: [1, 3, 5] = 3  # px, width of the median filter; 1 is off
sigma: (0.0, 10.0, 0.5) = 1.0  # px, sigma of the Gaussian; 0 is off
frames: (1, 100) = 5  # frames, length of the running average; 1 is off

try:
    import cv2
except ImportError:
    cv2 = None

CUT = 4  # sigmas at which SciPy truncates a Gaussian, and OpenCV should, too

average = state.setdefault("average", RunningAverage(frames))
average.n = frames

image = np.float32(frame)
is_number = np.isfinite(image)
if not is_number.all() and is_number.any():
    print("%d pixels are NaN or infinite and were replaced by the median." % (~is_number).sum())
    image = np.where(is_number, image, np.median(image[is_number]))

if median > 1 and cv2:
    image = cv2.medianBlur(image, median)
elif median > 1:
    image = ndimage.median_filter(image, median, mode="nearest")

if sigma > 0 and cv2:
    width = 2 * int(CUT * sigma + 0.5) + 1  # px
    image = cv2.GaussianBlur(image, (width, width), sigma, borderType=cv2.BORDER_REFLECT)
elif sigma > 0:
    image = ndimage.gaussian_filter(image, sigma, truncate=CUT)

result = None
if is_number.any():
    if info.again:  # the same frame, with another parameter: it replaces the first one
        average.average = state.get("before")
    state["before"] = average.average
    scale, origin = (info.y.scale, info.x.scale), (info.y.origin, info.x.origin)
    result = Image(average.add(image), scale, origin, info.unit)
else:
    print("No result: every pixel is NaN or infinite.")
result
