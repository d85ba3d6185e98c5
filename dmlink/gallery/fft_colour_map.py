# Map of crystals and their orientation: the colour, as on the wheel, shows the direction or the spacing of
# the strongest FFT spot at each position, the brightness how far it stands out. Where crystals share a
# window, only the strongest is shown; a fixed pattern of the camera looks like a crystal.
#
# Method. Small windows all over the ROI are tapered towards their edges and Fourier transformed; the
# logarithm of the power is smoothed by a Gaussian, and its maximum outside the centre is the spot, located
# to a fraction of a pixel with a parabola. The window, the logarithm and the Gaussian are those of Miller et
# al., Microsc. Microanal. (2022). How much a spot stands out is ln(its power / that of the rest).
import numpy as np
import scipy.fft

hue: ["direction", "spacing"] = "direction"  # what the colour shows
size: [16, 32, 64, 128, 256] = 128  # px, window size
spacing: (8, 128, 8) = 32  # px, distance between windows
mask: (2, 50) = 10  # %, masked radius around the centre, relative to the Nyquist frequency
weakest: (0.0, 8.0, 0.25) = 2.0  # ln(power of the spot / rest) shown as black; noise alone reaches 2

GAUSSIAN = np.float32([0.0545, 0.2442, 0.4026, 0.2442, 0.0545])  # weights of a value and two on either side
CENTRE = 3  # px of the transform over which the window spreads the mean
ROUNDING = 1e-11  # largest fraction of the power that an empty window has
WHEEL = 64  # px, side of the image of the wheel


def smoothed(wide):
    """Return the Gaussian mean over (window, x, y), without two values at each end of x and y."""
    far, near, middle, _, _ = GAUSSIAN
    means = (wide[:, :-4] + wide[:, 4:]) * far
    means += (wide[:, 1:-3] + wide[:, 3:-1]) * near
    means += wide[:, 2:-2] * middle
    row = np.convolve(means.ravel(), GAUSSIAN, "same")  # one long row of all lines, then without their ends
    return row.reshape(means.shape)[:, :, 2:-2]


def vertex(before, peak, after):
    """Return the maximum of a parabola through three values, relative to the middle one, in px."""
    return np.clip((after - before) / 2 / np.maximum(2 * peak - before - after, 1e-3), -0.5, 0.5)


def coloured(up, right, bright):
    """Return the colours (h, w, 3) of reciprocal vectors in 1/px: red, then green, then blue."""
    if hue == "direction":
        turn = np.arctan2(up, right) / np.pi % 1  # red: horizontal; green, blue: 60, 120 degrees on
    else:
        turn = np.hypot(up, right).clip(0, 0.5) * 4 / 3  # red: coarse; blue: two pixels
    thirds = [0, 4, 2]  # sixths of a turn from each colour to red
    colour = np.clip(np.abs((turn[..., None] * 6 + thirds) % 6 - 3) - 1, 0, 1)
    return np.uint8(255 * colour * bright[..., None] + 0.5)


image = frame.astype(np.float32)
is_number = np.isfinite(image)
if not is_number.all():
    print("%d pixels are NaN or infinite and were replaced by the mean." % (~is_number).sum())
    image[~is_number] = image[is_number].mean() if is_number.any() else 0

result = None
height, width = image.shape
if min(height, width) < 2:
    print("No result: the ROI is one pixel high or wide.")
else:
    n = min(size, min(height, width) // 2 * 2)  # even, and no larger than the ROI
    image = image - image.mean()
    fade = np.float32(np.hanning(n + 1)[:n])
    fx = scipy.fft.rfftfreq(n)  # 1/px; the other half is the same
    fy = scipy.fft.fftfreq(n)
    mirrored = -np.arange(n) % n  # the transform is the same at (-x, -y)
    is_centre = np.hypot(fx[:, None], fy) * 2 <= max(mask / 100, CENTRE / n)
    floor = ROUNDING * n**2 * np.square(image).mean() + 1e-30

    rows = (height - n) // spacing + 1  # windows above each other
    window = np.arange(rows)
    wide = np.zeros((rows, len(fx) + 4, n + 4), np.float32)  # including the neighbours of edge values
    strength, up, right = [], [], []
    for left in range(0, width - n + 1, spacing):
        # windows one above the other share lines, which are transformed once
        lines = scipy.fft.rfft(image.T[left : left + n] * fade[:, None], axis=0)
        strides = spacing * lines.itemsize, *lines.strides
        parts = np.lib.stride_tricks.as_strided(lines, (rows, len(fx), n), strides)
        parts = np.multiply(parts, fade, order="C")  # the following steps are faster in this order
        spectra = scipy.fft.fft(parts, overwrite_x=True)
        power = np.square(spectra.real)
        power += np.square(spectra.imag)
        power += floor
        log_power = np.log(power, out=wide[:, 2:-2, 2:-2])

        rest = log_power.mean(axis=(1, 2))
        log_power[:, is_centre] = rest[:, None]
        wide[:, :2, 2:-2] = log_power[:, 2:0:-1, mirrored]
        wide[:, -2:, 2:-2] = log_power[:, -2:-4:-1, mirrored]
        wide[:, :, :2], wide[:, :, -2:] = wide[:, :, -4:-2], wide[:, :, 2:4]  # along y it repeats
        spots = smoothed(wide)
        x, y = np.unravel_index(spots.reshape(rows, -1).argmax(axis=1), is_centre.shape)
        peak = spots[window, x, y]
        before_x = spots[window, abs(x - 1), np.where(x > 0, y, mirrored[y])]
        beyond = x == n // 2
        after_x = spots[window, np.where(beyond, x - 1, x + 1), np.where(beyond, mirrored[y], y)]
        before_y = spots[window, x, y - 1]
        after_y = spots[window, x, (y + 1) % n]
        strength.append(peak - rest)
        right.append(fx[x] + vertex(before_x, peak, after_x) / n)
        up.append(-fy[y] - vertex(before_y, peak, after_y) / n)

    strength, up, right = np.transpose([strength, up, right], (0, 2, 1))  # (row, column) each
    bright = np.clip((strength - weakest) / max(strength.max() - weakest, 1), 0, 1)
    middle = (n - spacing) / 2  # px, from the start of its pixel on the map to the start of its window
    origin = [axis.origin + axis.scale * middle for axis in (info.y, info.x)]
    scale = [axis.scale * spacing for axis in (info.y, info.x)]
    colours = Image(coloured(up, right, bright), scale, origin, info.unit)

    step = 1 / WHEEL  # 1/px
    q = np.arange(-WHEEL // 2, WHEEL // 2) * step
    is_on_wheel = (np.hypot(q[:, None], q) <= 0.5) & (np.hypot(q[:, None], q) * 2 > mask / 100)
    colours_of_q = coloured(-q[:, None], q, is_on_wheel)
    pixel = np.abs([info.y.scale or 1, info.x.scale or 1])
    unit = info.unit[2:] if info.unit.startswith("1/") else "1/" + (info.unit or "px")
    wheel = Image(colours_of_q, step / pixel, q[0] / pixel, unit)
    result = {"map": colours, "wheel": wheel}
result
