# Where crystals are and how they lie: the strongest spot in the Fourier transform of small windows over the
# ROI. Hue: direction of its reciprocal vector (red: horizontal, green: 60 degrees anticlockwise, blue: 120)
# or spacing (red: coarse, blue: fine). Brightness: how far it stands out. Where crystals share a window, the
# strongest shows. After Miller et al., Microsc. Microanal. (2022): window, logarithm of power, Gaussian.
import numpy as np
import scipy.fft

hue: ["direction", "spacing"] = "direction"  # what the colour tells
size: [16, 32, 64, 128, 256] = 128  # px, side of a window
spacing: (8, 128, 8) = 32  # px from window to window
mask: (2, 50) = 10  # % of the way to the edge of the transform that is left out round its centre
weakest: (0.0, 8.0, 0.25) = 2.0  # what is black: ln(power of the spot / rest); noise alone reaches 2

good, image = np.isfinite(frame), frame.astype(np.float32)
if not good.all():
    print("%d pixels are not numbers: the mean of the others is put there." % (~good).sum())
    image[~good] = frame[good].mean() if good.any() else 0
(h, w), n, image = image.shape, min(size, max(2, min(image.shape) // 2 * 2)), image - image.mean()
fx, fy, fade = scipy.fft.rfftfreq(n), scipy.fft.fftfreq(n), np.float32(np.hanning(n + 1)[:n])
rows, near, found = (h - n) // spacing + 1, np.hypot(fx[:, None], fy) * 2 <= max(mask / 100, 3 / n), []
floor = 1e-11 * n**2 * np.square(image).mean() + 1e-30  # what rounding may leave of an empty window
smooth = lambda u, v, w, x, y: 0.0545 * (u + y) + 0.2442 * (v + x) + 0.4026 * w  # a Gaussian
shift = lambda a, peak, b: np.clip((b - a) / 2 / np.maximum(2 * peak - a - b, 1e-3), -0.5, 0.5)
for left in range(0, (w - n + 1) * (rows > 0), spacing):  # windows above each other have lines in common
    lines = scipy.fft.rfft(image.T[left : left + n] * fade[:, None], axis=0)
    parts = np.lib.stride_tricks.as_strided(lines, (len(fx), rows, n), (h * 8, spacing * 8, 8)) * fade
    power = np.log(np.abs(scipy.fft.fft(parts, overwrite_x=True)) ** 2 + floor)
    power.swapaxes(1, 2)[near] = rest = power.mean(axis=0).mean(axis=1)
    wide = np.concatenate([power[1::-1], power, power[:-3:-1]])
    power = smooth(*[wide[i : i + len(fx)] for i in range(5)])
    wide = np.concatenate([power[:, :, -2:], power, power[:, :, :2]], axis=2)
    power = smooth(*[wide[:, :, i : i + n] for i in range(5)])
    k, (x, y) = np.arange(rows), np.unravel_index([p.argmax() for p in power.swapaxes(0, 1)], near.shape)
    before, peak, after = [power[i, k, y] for i in (abs(x - 1), x, (x + 1) % len(fx))]
    up = -fy[y] - shift(power[x, k, y - 1], peak, power[x, k, (y + 1) % n]) / n
    found.append([peak - rest, up, fx[x] + shift(before, peak, after) / n])
strength, up, right = np.array(found or [[[0.0]] * 3]).transpose(1, 2, 0)
shade = np.arctan2(up, right) / np.pi % 1 if hue == "direction" else np.hypot(up, right).clip(0, 0.5) * 4 / 3
bright = np.clip((strength - weakest) / max(strength.max() - weakest, 1), 0, 1)
colour = np.clip(np.abs((shade[..., None] * 6 + [0, 4, 2]) % 6 - 3) - 1, 0, 1) * bright[..., None]
origin = [axis.origin + axis.scale * (n - spacing) / 2 for axis in (info.y, info.x)]
Image(np.uint8(255 * colour + 0.5), info.scale * spacing, origin, info.unit)
