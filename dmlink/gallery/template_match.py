# Places that look like a chosen rectangle, marked with their likeness (1: identical). It does not recognise
# rotated or scaled copies, and finds noise if the rectangle contains nothing else.
#
# Method. Normalised cross-correlation (Lewis, Vision Interface, 120 (1995)), by
# skimage.feature.match_template: how alike two images are, regardless of brightness and contrast. The
# template is taken from the ROI named `template` (in DigitalMicrograph, where rectangles have no names, the
# second one), or from a square if there is none, and taken again whenever it is moved. A parabola through
# neighbouring pixels gives each position to a fraction of a pixel.
import numpy as np
from skimage.feature import match_template, peak_local_max

x: (0.0, 100.0, 0.5) = None  # %, centre of the square along the width, without such an ROI; auto: 50
y: (0.0, 100.0, 0.5) = None  # %, centre of the square along the height; auto: 50
size: (5, 255, 2) = 33  # px, side of the square
likeness: (0.05, 1.0, 0.05) = None  # least likeness to be marked; auto: whatever stands out

STANDS_OUT = 6  # standard deviations of the likeness over the whole frame
DEVIATION = 1.48  # standard deviations of Gaussian noise in its median absolute deviation
SURE = 0.3, 0.8  # range of the automatic limit: less is noise, and noisy copies reach no more
MOST = 500  # marks

is_number = np.isfinite(frame)
typical = np.median(frame[is_number]) if is_number.any() else 0
image = np.where(is_number, frame, typical).astype(float)
image = np.float32((image - image.mean()) / (image.std() or 1))
height, width = frame.shape


def odd(n):
    """Return n, or one less: a template with odd sides has a central pixel."""
    return n - (n + 1) % 2


def square():
    """Return top, left, bottom and right of the square."""
    side = min(size, odd(height), odd(width))
    middle = [50 if v is None else v for v in (y, x)]
    centre = np.round(np.subtract(frame.shape, 1) * np.divide(middle, 100)).astype(int)
    top, left = np.clip(centre - side // 2, 0, np.subtract(frame.shape, side))
    return top, left, top + side, left + side


def rectangle(roi):
    """Return top, left, bottom and right of the part of an ROI that lies in the frame."""
    top, bottom = np.clip(roi[::2], 0, height)
    left, right = np.clip(roi[1::2], 0, width)
    return top, left, top + odd(bottom - top), left + odd(right - left)


roi = info.rois.get("template") or info.rois.get("roi 2")
place = tuple(int(side) for side in (rectangle(roi) if roi else square()))
if not roi and x is None and y is None:
    print("Matching the middle of the frame: draw an ROI named template around what you want, or set x, y.")
if state.get("place") != place:
    top, left, bottom, right = place
    state.update(place=place, template=image[top:bottom, left:right].copy())
template = state["template"]


def neighbours(match, found, axis):
    """Return the likeness one pixel before and after each position along an axis."""
    step = np.eye(2, dtype=int)[axis]
    return match[tuple((found - step).T)], match[tuple((found + step).T)]


result = None
if min(template.shape) < 3 or np.ptp(template) == 0:
    print("The template is uniform or too small: move it.")
    state.pop("place")
else:
    match = match_template(image, template, pad_input=True)
    least = likeness
    if likeness is None:
        some = match[::3, ::3]  # enough values for a median
        usual = np.median(some)
        deviation = DEVIATION * np.median(np.abs(some - usual))
        least = np.clip(usual + STANDS_OUT * deviation, *SURE)
    match = np.pad(match, 1, constant_values=-1)  # so that every position has neighbours
    match = np.clip(np.where(np.isfinite(match), match, 0), -1, 1)
    apart = min(template.shape) // 2
    found = peak_local_max(match, min_distance=apart, threshold_abs=least, num_peaks=MOST)
    top = match[tuple(found.T)]
    offset = []
    for axis in (0, 1):
        before, after = neighbours(match, found, axis)
        offset.append((before - after) / np.minimum(before + after - 2 * top, -1e-9) / 2)
    places = found - 1 + np.transpose(offset)
    result = {
        "matches": Points(places, labels=["%.2f" % value for value in top]),
        "count": Scalar(len(top)),
        "best": Scalar(match.max()),
    }
result
