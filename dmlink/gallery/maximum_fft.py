# Every spot that any part of the ROI has: the maximum over the Fourier transforms of small windows all over.
# A small crystal that is lost in the transform of the whole shows as bright as it is in its own window; where
# it lies is not shown (that is the FFT colour map's part). Noise has its maximum too: it is flat, not zero.
# As in the live scripts with Miller et al., Microsc. Microanal. (2022), which show ln(1 + magnitude).
import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import as_strided

size: [32, 64, 128, 256, 512] = 256  # px, side of a window; more of them resolves finer
spacing: (16, 512, 16) = 128  # px from window to window

image = frame.astype(np.float32)
good = np.isfinite(image)
if not good.all():
    print("%d pixels are not numbers: the mean of the others is put there." % (~good).sum())
    image[~good] = image[good].mean() if good.any() else 0
blank = np.ptp(image) == 0 or min(image.shape) < 2
if blank:
    print("Left out: all pixels are equal, or the ROI is one pixel high or wide.")

n, (h, w), (s0, s1) = min(size, max(2, min(frame.shape) // 2 * 2)), image.shape, image.strides
fade = np.float32(np.outer(np.hanning(n + 1)[:n], np.hanning(n + 1)[:n]))
half = np.zeros((n, n // 2 + 1), np.float32)
for top in range(0, h - n + 1, spacing):
    parts = as_strided(image[top:], ((w - n) // spacing + 1, n, n), (s1 * spacing, s0, s1))
    parts = (parts - parts.mean(axis=(1, 2))[:, None, None]) * fade
    half = np.maximum(half, np.abs(scipy.fft.rfft2(parts)).max(axis=0))

half = np.log1p(scipy.fft.fftshift(half, axes=0))
left = np.roll(half[::-1, :0:-1], 1, axis=0)  # the transform of an image is the same turned by 180 degrees
scale = 1 / (n * abs(info.scale or 1))
whole = np.hstack([left, half[:, :-1]])
None if blank else Image(whole, scale, -n / 2 * scale, "1/" + (info.unit or "px"))
