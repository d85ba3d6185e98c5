# Where crystals are and how they lie: the strongest spot in the Fourier transform of small windows over the
# ROI. Hue: direction of its reciprocal vector (red: horizontal, green: 60 degrees anticlockwise, blue: 120)
# or spacing (red: coarse, blue: fine). Brightness: how far it stands out. Where crystals share a window, the
# strongest shows. After Miller et al., Microsc. Microanal. (2022): window, logarithm of power, Gaussian.
import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import as_strided
from scipy.ndimage import correlate1d

hue: ["direction", "spacing"] = "direction"  # what the colour tells
size: [16, 32, 64, 128, 256] = 128  # px, side of a window
spacing: (8, 128, 8) = 32  # px from window to window
mask: (2, 50) = 10  # % of the way to the edge of the transform that is left out round its centre
weakest: (0.0, 8.0, 0.25) = 2.0  # what is black: ln(power of the spot / rest); noise alone reaches 2

good = np.isfinite(frame)
image = np.where(good, frame, frame[good].mean() if good.any() else 0).astype(np.float32)
(h, w), (s0, s1), n = image.shape, image.strides, min(size, max(2, min(image.shape) // 2 * 2))
fade, taps = np.hanning(n + 1)[:n], np.exp(-0.5 * np.arange(-2.0, 3) ** 2)
fy, fx = scipy.fft.fftshift(scipy.fft.fftfreq(n))[:, None], scipy.fft.rfftfreq(n)
columns, near, found = (w - n) // spacing + 1, np.hypot(fy, fx) * 2 <= max(mask / 100, 3 / n), []
shift = lambda a, peak, b: np.clip((b - a) / 2 / np.maximum(2 * peak - a - b, 1e-3), -0.5, 0.5)
for top in range(0, h - n + 1, spacing):
    parts = as_strided(image[top:], (columns, n, n), (s1 * spacing, s0, s1))
    parts = (parts - parts.mean(axis=(1, 2))[:, None, None]) * np.float32(np.outer(fade, fade))
    power = scipy.fft.fftshift(np.log(np.abs(scipy.fft.rfft2(parts)) ** 2 + 1e-6), axes=1)
    power = correlate1d(correlate1d(power, taps / taps.sum(), 1, mode="wrap"), taps / taps.sum(), 2)
    rest, power[:, near] = power.mean(axis=(1, 2)), -99
    k, (y, x) = np.arange(columns), np.unravel_index(power.reshape(columns, -1).argmax(axis=1), near.shape)
    left, peak, right = [power[k, y, i] for i in (abs(x - 1), x, (x + 1) % (n // 2 + 1))]
    up = n // 2 - y - shift(power[k, y - 1, x], peak, power[k, (y + 1) % n, x])
    found.append([peak - rest, up / n, (x + shift(left, peak, right)) / n])
strength, up, right = np.array(found or [[[0.0]] * 3]).transpose(1, 0, 2)
if not good.all():
    print("%d pixels are not numbers: the mean of the others is put there." % (~good).sum())
turn = np.degrees(np.arctan2(up, right)) % 180 / 180
shade = turn if hue == "direction" else np.clip(np.hypot(up, right) * 2, 0, 1) * 2 / 3
bright = np.clip((strength - weakest) / max(strength.max() - weakest, 1), 0, 1)
colour = np.clip(np.abs((shade[..., None] * 6 + [0, 4, 2]) % 6 - 3) - 1, 0, 1) * bright[..., None]
origin = [axis.origin + axis.scale * (n - spacing) / 2 for axis in (info.y, info.x)]
Image(np.uint8(255 * colour + 0.5), info.scale * spacing, origin, info.unit)
