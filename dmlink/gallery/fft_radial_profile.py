# Which spacings the ROI contains: the rings of its Fourier transform as a curve. "mean" is the average around
# a ring (amorphous material, Thon rings), "spots" what its strongest place is above that (crystals). A
# grating of the camera looks like a crystal. After Miller et al., Microsc. Microanal. (2022), who take 256
# directions, here all pixels; scaled so that white noise of standard deviation 1 has a mean of 0.89.
import numpy as np
import scipy.fft
from scipy.ndimage import median_filter

width: (1.0, 8.0, 0.5) = 1.0  # px of the Fourier transform, width of a ring
hide: (0, 50) = 2  # % of the curve at its left end, where slow changes of brightness are
hann: bool = True  # fade the ROI out towards its edges: no cross, at a little less resolution

image = frame.astype(np.float32)
good = np.isfinite(image)
if not good.all():
    print("%d pixels are not numbers: the mean of the others is put there." % (~good).sum())
    image[~good] = image[good].mean() if good.any() else 0
blank = np.ptp(image) == 0
if blank:
    print("Left out: all pixels are equal.")

image -= image.mean()
weight = [np.float32(np.hanning(n + 2)[1:-1] if hann else np.ones(n)) for n in image.shape]
image *= weight[0][:, None]
image *= weight[1] / np.sqrt(np.square(weight[0]).sum() * np.square(weight[1]).sum())
size = [scipy.fft.next_fast_len(n, real=True) for n in image.shape]
strength = np.abs(scipy.fft.rfft2(image, size, workers=2)).ravel()

settings = (width, info.y.scale, info.x.scale)
if state.get("settings") != settings:  # which pixels lie on which ring
    dy, dx = abs(info.y.scale or 1), abs(info.x.scale or 1)
    q = np.hypot(scipy.fft.fftfreq(size[0], dy)[:, None], scipy.fft.rfftfreq(size[1], dx))
    step = width * max(1 / (size[0] * dy), 1 / (size[1] * dx))
    ring = np.rint(q / step).astype(np.int32).ravel()
    inside = np.flatnonzero(ring <= 0.5 / max(dy, dx) / step)
    inside = inside[np.argsort(ring[inside], kind="stable")]
    state.update(settings=settings, step=step, order=inside)
    state["start"] = np.flatnonzero(np.diff(ring[inside], prepend=-1))
sorted_strength, start = strength[state["order"]], state["start"]
mean = np.add.reduceat(sorted_strength, start) / np.diff(start, append=len(sorted_strength))
spots = np.maximum.reduceat(sorted_strength, start) - median_filter(mean, 3)
first, unit, step = min(len(mean) * hide // 100, len(mean) - 1), "1/" + (info.unit or "px"), state["step"]
curves = {"mean": mean[first:], "spots": spots[first:]}
None if blank else {name: Profile(c, step, first * step, unit, "counts") for name, c in curves.items()}
