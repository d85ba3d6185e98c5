# The FFT spots of every part of the ROI in one image: a small crystal is as bright as in its own window, even
# if the FFT of the whole ROI hides it. Its position is not shown (the FFT colour map does that); noise has a
# maximum, too, and gives a flat background, not zero.
#
# Method. Small windows all over the ROI are tapered towards their edges and Fourier transformed. For each
# spatial frequency, the largest magnitude of all windows is kept, and shown as ln(1 + magnitude), as in the
# live scripts of Miller et al., Microsc. Microanal. (2022).
import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import as_strided

size: [32, 64, 128, 256, 512] = 256  # px, window size; larger windows separate closer spots
spacing: (16, 512, 16) = 128  # px, distance between windows

image = frame.astype(np.float32)
is_number = np.isfinite(image)
if not is_number.all():
    print("%d pixels are NaN or infinite and were replaced by the mean." % (~is_number).sum())
    image[~is_number] = image[is_number].mean() if is_number.any() else 0
height, width = image.shape
row, pixel = image.strides  # bytes from row to row, and from pixel to pixel

result = None
if np.ptp(image) == 0 or min(height, width) < 2:
    print("No result: all pixels are equal, or the ROI is one pixel high or wide.")
else:
    n = min(size, min(height, width) // 2 * 2)  # even, and no larger than the ROI
    hann = np.hanning(n + 1)[:n]  # periodic: it starts at 0 and does not return to it
    fade = np.float32(np.outer(hann, hann))
    largest = np.zeros((n, n // 2 + 1), np.float32)  # half of the transform: the other half is the same
    across = (width - n) // spacing + 1  # windows side by side
    for top in range(0, height - n + 1, spacing):
        windows = as_strided(image[top:], (across, n, n), (pixel * spacing, row, pixel))
        means = windows.mean(axis=(1, 2))
        windows = (windows - means[:, None, None]) * fade
        magnitudes = np.abs(scipy.fft.rfft2(windows))
        largest = np.maximum(largest, magnitudes.max(axis=0))

    right = np.log1p(scipy.fft.fftshift(largest, axes=0))
    # the transform of an image is symmetric under rotation by 180 degrees; row 0 has no partner and stays
    left = np.roll(right[::-1, :0:-1], 1, axis=0)
    whole = np.hstack([left, right[:, :-1]])
    scale = 1 / (n * np.abs([info.y.scale or 1, info.x.scale or 1]))
    unit = info.unit[2:] if info.unit.startswith("1/") else "1/" + (info.unit or "px")
    result = Image(whole, scale, -n / 2 * scale, unit)
result
