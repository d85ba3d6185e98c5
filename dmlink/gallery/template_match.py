# Places that look like a chosen rectangle, marked with their likeness (1: identical). It does not recognise
# rotated or scaled copies, and finds noise if the rectangle contains nothing else.
#
# Method. Normalised cross-correlation (Lewis, Vision Interface, 120 (1995)), by
# skimage.feature.match_template: how alike two images are, regardless of brightness and contrast. The
# template is taken from the ROI named `template` (in DigitalMicrograph, where rectangles have no names, the
# second one), or from a square if there is none, and taken again whenever it is moved. Without x and y, it is
# the square whose middle stands out most from the rest. A parabola through neighbouring pixels gives each
# position to a fraction of a pixel.
import numpy as np
from scipy.ndimage import grey_dilation, uniform_filter
from skimage.feature import match_template, peak_local_max

x: (0.0, 100.0, 0.5) = None  # %, centre of the square along the width, without an ROI; auto: what stands out
y: (0.0, 100.0, 0.5) = None  # %, centre of the square along the height; auto unless both are set
size: (5, 255, 2) = 33  # px, side of the square
likeness: (0.05, 1.0, 0.05) = None  # least likeness to be marked; auto: whatever stands out

STANDS_OUT = 6  # standard deviations of the likeness over the whole frame
DEVIATION = 1.48  # standard deviations of Gaussian noise in its median absolute deviation
SURE = 0.3, 0.8  # range of the automatic limit: less is noise, and noisy copies reach no more
MOST = 500  # marks
CROSS = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]  # the four neighbours of a pixel

is_number = np.isfinite(frame)
typical = np.median(frame[is_number]) if is_number.any() else 0
image = np.where(is_number, frame, typical).astype(float)
image = np.float32((image - image.mean()) / (image.std() or 1))
height, width = frame.shape


def odd(n):
    """Return n, or one less: a template with odd sides has a central pixel."""
    return n - (n + 1) % 2 if n > 0 else 0


def square():
    """Return top, left, bottom and right of the square."""
    side = min(size, odd(height), odd(width))
    highest = np.subtract(frame.shape, side)
    if x is None or y is None:
        calm = np.minimum(image, grey_dilation(image, footprint=CROSS))  # a hot pixel is no detail
        differs = np.abs(uniform_filter(calm, side // 2 or 1) - uniform_filter(calm, side))
        at_corner = differs[side // 2 :, side // 2 :][: highest[0] + 1, : highest[1] + 1]  # top left
        top, left = np.unravel_index(at_corner.argmax(), at_corner.shape)
    else:
        centre = np.round(np.subtract(frame.shape, 1) * np.divide([y, x], 100)).astype(int)
        top, left = np.clip(centre - side // 2, 0, highest)
    return top, left, top + side, left + side


def rectangle(roi):
    """Return top, left, bottom and right of the part of an ROI that lies in the frame."""
    top, bottom = np.clip(roi[::2], 0, height)
    left, right = np.clip(roi[1::2], 0, width)
    return top, left, top + odd(bottom - top), left + odd(right - left)


roi = info.rois.get("template") or info.rois.get("roi 2")
chosen = roi or (size, x, y), info.y.scale, info.x.scale  # taken again at another magnification
if state.get("chosen") != chosen:
    top, left, bottom, right = place = [int(side) for side in (rectangle(roi) if roi else square())]
    state.update(chosen=chosen, place=place, template=image[top:bottom, left:right].copy())
    if not roi and (x is None or y is None):
        print("Matching what stands out: draw an ROI named template around what you want, or set x and y.")
template = state["template"]


def neighbours(match, found, axis):
    """Return the likeness one pixel before and after each position along an axis."""
    step = np.eye(2, dtype=int)[axis]
    return match[tuple((found - step).T)], match[tuple((found + step).T)]


result = None
if min(template.shape) < 3 or np.ptp(template) == 0:
    print("The template is uniform or too small: move it.")
    state.pop("chosen")
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
        "template": Boxes([state["place"]], labels=["template"]),
        "count": Scalar(len(top)),
        "best": Scalar(match.max()),
    }
result
