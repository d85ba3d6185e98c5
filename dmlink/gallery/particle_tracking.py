# Particles with numbers and tails over the live view, and their count, size and speed. Particles that touch
# count as one while they do; in a frame full of particles, none stands out.
#
# Method. Particles are peaks of a difference of two Gaussians that matches their size, and are linked by the
# least sum of squared distances from their expected positions: Crocker, Grier, J. Colloid Interface Sci.
# 179, 298 (1996). The size is the one at which the filtered image is most skewed: noise is as often bright
# as dark, particles are not. A particle must stand out slightly more than noise ever does in a frame with
# this many pixels.
import numpy as np
from scipy import fft, optimize

diameter: (3, 99, 2) = None  # px, approximate; auto: measured in the first frame with particles
contrast: (0.5, 50.0, 0.5) = None  # least contrast of a particle, in units of the noise after filtering
dark: bool = True  # particles are darker than their surroundings
reach: (1, 50) = 10  # px, largest distance from a particle's expected position
memory: (0, 50) = 10  # frames, how long a particle may vanish and keep its number

SIZES = 5, 7, 9, 11, 15, 21, 29, 41, 57, 79  # px, sizes to try: each 1.4 times the previous one
USUAL = 11, 8.0  # diameter and contrast used while no size stands out
AGAIN = 10  # frames until sizes are tried again
LOPSIDED = 4  # standard errors of the skewness beyond which it is not noise ...
COUNTED = 0.4  # ... unless it is below this: the noise of few electrons is this skewed
MARGIN = 0.7  # units of noise above the noise's own maximum
DEVIATION = 1.48  # standard deviations of Gaussian noise in its median absolute deviation
FAINTEST = 1e-4  # fraction of the frame's range; anything below is rounding
MOST = 1000  # particles: linking takes time
CERTAIN = 3  # frames in which a new particle must be found, or it is noise
AT_FIRST = 5  # frames whose particles count as already there
LATEST = 30  # frames that the frame rate is taken from
HOT = 0.1  # % of the pixels, clipped at either end: hot and dead ones

is_number = np.isfinite(frame)
height, width = frame.shape
image = frame.astype(np.float32)
image[~is_number] = 0 if is_number.all() or not is_number.any() else np.median(frame[is_number])
low, high = np.float32(np.percentile(image[::3, ::3], (HOT, 100 - HOT)))  # beyond: dead, hot pixels
image = (np.clip(image, low, high) - low) * (-1 if dark else 1)


def padded(d):
    """Return the image with a mirrored margin of at least d px, at a size that transforms quickly."""
    margins = [(d, fft.next_fast_len(n + 2 * d, True) - n - d) for n in image.shape]
    return np.pad(image, margins, "reflect")


def band_of(shape, d):
    """Return the transform of the difference of Gaussians that responds most to discs of d px."""
    q = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])) * 2 * np.pi * d
    return np.float32(np.exp(-0.045 * q**2) - np.exp(-0.115 * q**2))  # sigmas of 0.30 d and 0.48 d


def sizes_that_stand_out():
    """Return the skewness of the filtered image at each diameter in px where it exceeds that of noise.

    Positive: particles of the chosen contrast; negative: of the opposite contrast.
    """
    sizes = [d for d in SIZES if d <= min(frame.shape) / 3]
    if np.median(image) == 0:
        return {}  # single electrons on an empty background are skewed without any particle
    margin = max(sizes, default=0)
    wide = padded(margin)
    transform = fft.rfft2(wide)
    skewness = {}
    for d in sizes:
        seen = fft.irfft2(transform * band_of(wide.shape, d), wide.shape)
        seen = seen[margin : margin + height, margin : margin + width]
        spread = seen.std()
        lopsided = np.mean((seen / max(spread, 1e-30)) ** 3)
        error = np.sqrt(6 / (frame.size / d**2))  # for Gaussian noise with this many independent positions
        if spread > FAINTEST * (high - low) and abs(lopsided) > max(COUNTED, LOPSIDED * error):
            skewness[d] = lopsided
    return skewness


if (diameter is None or contrast is None) and "size" not in state and state.get("wait", 0) <= 0:
    skewness = sizes_that_stand_out()
    state["wait"] = AGAIN
    found = max(skewness, key=skewness.get, default=None)
    if found and skewness[found] > 0:
        noise_reaches = np.sqrt(2 * np.log(frame.size / found**2))  # the largest of this many positions
        state["size"] = found, noise_reaches + MARGIN
        print("Looking for particles of about %d px that stand out by %.1f times the noise." % state["size"])
    elif found:
        there, not_there = ("bright", "dark") if dark else ("dark", "bright")
        print("Only %s particles stand out, not %s ones: set dark to %s?" % (there, not_there, not dark))
state["wait"] = state.get("wait", 0) - 1
size, standing_out = state.get("size", USUAL)
d = diameter or size
least_contrast = contrast or standing_out

image = padded(d)
if state.get("diameter") != d:
    state.update(diameter=d, band=band_of(image.shape, d))
seen = fft.irfft2(fft.rfft2(image) * state["band"], image.shape)
noise = np.median(np.abs(seen[::3, ::3]))
least = max(DEVIATION * least_contrast * noise, FAINTEST * (high - low))

# peaks: pixels above the least that are higher than their eight neighbours
y, x = np.array(np.nonzero(seen[d : d + height, d : d + width] > least)) + d
neighbours = np.array([seen[y + i, x + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
is_peak = neighbours.argmax(axis=0) == 4
peaks = sorted(np.flatnonzero(is_peak), key=lambda i: -neighbours[4, i])[:MOST]
y, x = y[peaks], x[peaks]
_, up, _, left, top, right, _, down, _ = neighbours[:, peaks]
vertex = [(up - down) / (up + down - 2 * top), (left - right) / (left + right - 2 * top)]  # of parabolas
yx = np.transpose([y, x]) - d + np.transpose(vertex) / 2
if not len(yx):
    print("Nothing stands out: the frame is flat, or so full of particles that contrast is too high.")

tracks = state.setdefault("tracks", Tracks(optimize.linear_sum_assignment))
which = tracks.add(yx, info.index, reach, memory, again=info.again)

# the width of each at half its height, from the area of the brighter pixels
across = np.arange(-d, d + 1)
distance = np.hypot(across[:, None], across)
patches = image[y[:, None, None] + across[:, None], x[:, None, None] + across]
around = np.median(patches[:, distance > 0.8 * d], axis=1)
half = (around + patches[:, distance < 2].mean(axis=1)) / 2
areas = (patches > half[:, None, None])[:, distance <= d].sum(axis=1)
widths = 2 * np.sqrt(areas / np.pi)  # px

# the present frame rate: the live view may pause, or get another exposure
latest = state.setdefault("latest", [])  # (number, time) of the last frames
if latest and info.index < latest[-1][0]:  # the numbers start again with the source
    latest.clear()
if not info.again:
    latest.append((info.index, info.time))
    del latest[:-LATEST]
frames, seconds = np.diff(latest, axis=0).T if len(latest) > 1 else np.zeros((2, 0))
interval = np.median(seconds[frames > 0] / frames[frames > 0]) if (frames > 0).any() else 0  # s
pixel = np.abs([info.y.scale, info.x.scale])
speeds = np.hypot(*(tracks.velocity[which] * pixel).T) / (interval if interval > 0 else 1)
speeds = speeds[speeds > 0]  # new particles have none yet

# new and lost particles away from the edges, where particles come and go all the time
state["frames"] = state.get("frames", 0) + (not info.again)
known = state.get("before" if info.again else "known", {})  # number: last position
numbered = zip(tracks.ids.tolist(), tracks.tails)
inside = {number: tail for number, tail in numbered if len(tail) >= CERTAIN}


def is_clear(place):
    """Return whether a position is more than a step away from every edge."""
    return min(*place, *np.subtract(frame.shape, place)) > d + reach


new = [number for number, tail in inside.items() if number not in known and is_clear(tail[0])]
gone = [number for number, place in known.items() if number not in inside and is_clear(place)]
state.update(before=known, known={number: tail[-1] for number, tail in inside.items()})
if state["frames"] <= AT_FIRST:
    new = []
happened = []
for what, numbers in (("new", new), ("gone", gone)):
    if numbers:
        happened.append("%s: %s" % (what, ", ".join(map(str, numbers))))

unit = info.unit or "px"
size = np.mean(widths) * np.sqrt(pixel.prod()) if len(widths) else np.nan
speed = np.mean(speeds) if len(speeds) else np.nan
tails = [tracks.tails[i] for i in which]
{
    "particles": Points(yx, labels=tracks.ids[which].tolist(), tails=tails),
    "count": Scalar(len(yx)),
    "diameter": Scalar(size, unit),
    "speed": Scalar(speed, unit + ("/s" if interval > 0 else "/frame")),
    "come and gone": Event("; ".join(happened), when=len(happened) > 0),
}
