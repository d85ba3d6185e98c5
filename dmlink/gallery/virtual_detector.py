# Virtual bright-field and dark-field detectors on a diffraction pattern: the counts in a disc and in a ring,
# frame by frame; boxes over the live view show where they are. If the pattern is clipped (saturated, behind
# a beam stop, beyond the frame), the sums are too low.
#
# Method. As in a STEM, a detector sums the counts in a region of the pattern (Cowley, Spence,
# Ultramicroscopy 3, 433 (1979)). The centre is the middle of the brightest disc. It is found once and kept,
# so that a drifting beam is noticed, and found again when the camera length changes, or when the contrast
# triples: the beam was blanked before.
# The bright-field detector is half as large again as that disc; the dark-field detector extends from twice
# its radius to the edge of the frame.
import numpy as np
from scipy import ndimage

bright: (1.0, 500.0, 0.5) = None  # px, radius of the bright-field detector
inner: (0.0, 1000.0, 0.5) = None  # px, inner radius of the dark-field detector
outer: (1.0, 2000.0, 0.5) = None  # px, outer radius of the dark-field detector
centre_y: float = -1.0  # px, centre from the top; -1: automatic
centre_x: float = -1.0  # px, centre from the left; -1: automatic

AROUND = 1.5  # radii of the disc, because its edge is soft and the centre is accurate to about a pixel
CLEAR = 2.0  # radii of the bright-field detector, where the direct beam contributes nothing
LIT = 3  # factor in contrast that shows that the beam was blanked before
BLANKED = 10  # factor by which the contrast falls when the beam is blanked
STANDS_OUT = 2  # times the median: the brightest point of most images is below, that of most patterns above
LENGTHS = "nm", "um", "\u00b5m", "A", "pm", "m", "mm"  # units of images, not of diffraction patterns

is_number = np.isfinite(frame)
counts = np.where(is_number, frame, 0).astype(float)
if not is_number.all():
    print("%d pixels are NaN or infinite and not counted." % (~is_number).sum())
if frame.dtype.kind in "iu" and frame.max() == np.iinfo(frame.dtype).max:
    print("Some pixels are saturated: sums that contain them are too low.")
row, column = np.ogrid[: frame.shape[0], : frame.shape[1]]

# a hot pixel or an X-ray is no beam: the search sees no pixel above its highest neighbour
around = np.pad(counts, 1, mode="reflect")
neighbours = [around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]]
calm = np.minimum(counts, np.max(neighbours, axis=0))


def disc_of(image):
    """Return the radius in px of the brightest disc, and whether it stands out like a direct beam."""
    smooth = ndimage.gaussian_filter(np.float32(image), 2)
    top, usual = smooth.max(), np.median(smooth)
    parts, _ = ndimage.label(smooth > (top + usual) / 2)
    brightest = parts.flat[smooth.argmax()]
    area = (parts == brightest).sum()
    return np.sqrt(area / np.pi), top > STANDS_OUT * usual and info.unit not in LENGTHS


def centre_of(image, radius):
    """Return the centre (y, x) in px of the brightest disc of about that radius."""
    smooth = ndimage.gaussian_filter(np.float32(image), min(radius, max(image.shape) / 8) / 3)
    half = (smooth.max() + np.median(smooth)) / 2
    weight = np.clip(smooth - half, 0, None)
    at = np.unravel_index(smooth.argmax(), smooth.shape)
    weight[np.hypot(row - at[0], column - at[1]) > 2 * radius] = 0
    weight[at] += 1e-9  # never zero
    return (weight * row).sum() / weight.sum(), (weight * column).sum() / weight.sum()


scales = info.y.scale, info.x.scale, info.unit
if state.get("scales") != scales:  # with another camera length, the disc has another size
    state.clear()
    state["scales"] = scales
contrast = calm.std()
if contrast > LIT * state.get("contrast", 0) and np.ptp(calm) > 0:
    disc, is_beam = disc_of(calm)
    found = round(2 * AROUND * disc) / 2  # in steps of half a pixel
    centre = centre_of(calm, bright or found)
    state.update(contrast=contrast, radius=found, centre=centre, is_beam=is_beam)

y, x = state.get("centre", (-1, -1))
y = centre_y if centre_y >= 0 else y
x = centre_x if centre_x >= 0 else x
to_edge = min(y, x, frame.shape[0] - 1 - y, frame.shape[1] - 1 - x)
disc_radius = bright or state.get("radius", 0)
first = inner if inner is not None else CLEAR * disc_radius
last = outer or to_edge

result = None
if y < 0 or x < 0:
    print("No centre: all pixels are equal. Set it, or wait for a pattern.")
elif not disc_radius:
    print("No direct beam: all pixels are equal. Set bright, or wait for a pattern.")
else:
    if bright is None and not state["is_beam"]:
        print("No direct beam: is this a diffraction pattern? If it is one, set bright or the centre.")
    if to_edge < last:
        print("The dark-field detector extends beyond the frame: its sum lacks that part.")
    settings = y, x, disc_radius, first, last
    if state.get("settings") != settings:  # which pixels belong to which detector
        radius = np.hypot(row - y, column - x)
        bright_field = np.flatnonzero(radius <= disc_radius)
        dark_field = np.flatnonzero((radius >= first) & (radius <= last))
        state.update(settings=settings, bright_field=bright_field, dark_field=dark_field)

    flat = counts.ravel()
    sums = {
        "bright field": flat[state["bright_field"]].sum(),
        "dark field": flat[state["dark_field"]].sum(),
    }
    was_blanked = state.get("blanked", False)
    state["blanked"] = contrast < state.get("contrast", 0) / BLANKED

    middle = y + 0.5, x + 0.5  # boxes count from the corner of the first pixel
    circles = [np.hstack([np.subtract(middle, r), np.add(middle, r)]) for r in (disc_radius, first, last)]
    result = {
        "sums": Scalar(sums, "counts"),
        "detectors": Boxes(circles, labels=["BF", "DF", "DF"]),
        "beam": Event("the beam is blanked", when=state["blanked"] and not was_blanked),
    }
result
