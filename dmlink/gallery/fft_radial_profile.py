# Spacings in the ROI, as the radial profile of its Fourier transform: "mean" is the average around each ring
# (amorphous material, Thon rings), "spots" how far the ring's strongest point exceeds it (crystals). A fixed
# pattern of the camera looks like a crystal, uneven illumination like a very large spacing.
#
# Method. The ROI is tapered towards its edges and Fourier transformed; mean and maximum of the magnitude
# are taken over the pixels of each ring. The live script of Miller et al., Microsc. Microanal. (2022), does
# the same with 256 directions instead of all pixels. The curve is scaled so that white noise with standard
# deviation 1 has a mean of 0.89, half the square root of pi, whatever the size of the ROI.
import numpy as np
import scipy.fft
from scipy.ndimage import median_filter

width: (1.0, 8.0, 0.5) = 1.0  # px, ring width in the Fourier transform
hide: (0, 50) = 2  # %, part of the curve hidden at its left end (uneven illumination)
hann: bool = True  # taper the ROI towards its edges: no cross in the FFT, slightly less resolution

image = frame.astype(np.float32)
is_number = np.isfinite(image)
if not is_number.all():
    print("%d pixels are NaN or infinite and were replaced by the mean." % (~is_number).sum())
    image[~is_number] = image[is_number].mean() if is_number.any() else 0


def taper_of(shape):
    """Return the weight of each pixel; their squares add up to 1, which keeps the noise level."""
    rows, columns = [np.hanning(n + 2)[1:-1] if hann else np.ones(n) for n in shape]
    taper = np.outer(rows, columns)
    return np.float32(taper / np.sqrt(np.square(taper).sum()))


def rings_of(shape, dy, dx):
    """Return the width of a ring, the pixels of the transform ordered by ring, and where each begins."""
    q = np.hypot(scipy.fft.fftfreq(shape[0], dy)[:, None], scipy.fft.rfftfreq(shape[1], dx))
    step = width * max(1 / (shape[0] * dy), 1 / (shape[1] * dx))
    ring = np.rint(q / step).astype(np.int32).ravel()
    highest = 0.5 / max(dy, dx)  # in every direction: half the sampling
    inside = np.flatnonzero(ring <= highest / step)
    order = inside[np.argsort(ring[inside], kind="stable")]
    return step, order, np.flatnonzero(np.diff(ring[order], prepend=-1))


result = None
if np.ptp(image) == 0:
    print("No result: all pixels are equal.")
else:
    shape = [scipy.fft.next_fast_len(n, real=True) for n in image.shape]  # padding with zeros is faster
    settings = width, hann, info.y.scale, info.x.scale
    if state.get("settings") != settings:
        rings = rings_of(shape, abs(info.y.scale or 1), abs(info.x.scale or 1))
        state.update(settings=settings, rings=rings, taper=taper_of(image.shape))
    image -= image.mean()
    image *= state["taper"]
    magnitude = np.abs(scipy.fft.rfft2(image, shape, workers=2)).ravel()

    step, order, begins = state["rings"]
    ordered = magnitude[order]
    mean = np.add.reduceat(ordered, begins) / np.diff(begins, append=len(ordered))
    strongest = np.maximum.reduceat(ordered, begins)
    spots = strongest - median_filter(mean, 3)

    first = min(len(mean) * hide // 100, len(mean) - 1)
    unit = info.unit[2:] if info.unit.startswith("1/") else "1/" + (info.unit or "px")
    result = {
        "mean": Profile(mean[first:], step, first * step, unit, "counts"),
        "spots": Profile(spots[first:], step, first * step, unit, "counts"),
    }
result
