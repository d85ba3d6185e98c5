# Particles, with numbers and tails over the live view; how many, how large, how fast. Found as peaks of a
# difference of Gaussians, linked by the least sum of squared distances from where each is expected: Crocker,
# Grier, J. Colloid Interface Sci. 179, 298 (1996). Two that touch are one for so long.
import numpy as np
from scipy import fft, optimize

diameter: (3, 99, 2) = 11  # px, about that of a particle
contrast: (0.5, 50.0, 0.5) = 8.0  # of a particle, in units of the noise that is left at its size
dark: bool = True  # particles are darker than what is around them
reach: (1, 50) = 10  # px from where one is expected to where it is found, at most
memory: (0, 50) = 10  # frames for which one may not be found

d, good, unit, image = diameter, np.isfinite(frame), info.unit or "px", frame.astype(np.float32)
image[~good] = 0 if good.all() or not good.any() else np.median(frame[good])
low, high = np.float32(np.percentile(image[::3, ::3], (0.1, 99.9)))  # beyond them are dead and hot pixels
image = (np.clip(image, low, high) - low) * (-1 if dark else 1)
image = np.pad(image, [(d, fft.next_fast_len(n + 2 * d, True) - n - d) for n in image.shape], "reflect")
if state.get("diameter") != d:
    q = np.hypot(fft.fftfreq(image.shape[0])[:, None], fft.rfftfreq(image.shape[1])) * 2 * np.pi * d
    state.update(diameter=d, first=info, band=np.float32(np.exp(-0.045 * q**2) - np.exp(-0.115 * q**2)))
seen = fft.irfft2(fft.rfft2(image) * state["band"], image.shape)
least = max(1.48 * contrast * np.median(np.abs(seen[::3, ::3])), 1e-4 * (high - low))
y, x = np.array(np.nonzero(seen[d : d + frame.shape[0], d : d + frame.shape[1]] > least)) + d
near = np.array([seen[y + i, x + j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
peak = sorted(np.flatnonzero(near.argmax(axis=0) == 4), key=lambda i: -near[4, i])[:1000]  # it takes time
y, x, (_, up, _, left, top, right, _, down, _) = y[peak], x[peak], near[:, peak]
sub = [(up - down) / (up + down - 2 * top), (left - right) / (left + right - 2 * top)]  # of a parabola
yx = np.transpose([y, x]) - d + np.transpose(sub) / 2
if not len(yx):
    print("Nothing stands out: a flat frame, or, where particles are everywhere, too high a contrast.")
tracks = state.setdefault("tracks", Tracks(optimize.linear_sum_assignment))
which, span = tracks.add(yx, info.index, reach, memory), np.arange(-d, d + 1)
about, patch = np.hypot(span[:, None], span), image[y[:, None, None] + span[:, None], x[:, None, None] + span]
half = (np.median(patch[:, about > 0.8 * d], axis=1) + patch[:, about < 2].mean(axis=1)) / 2
width = 2 * np.sqrt((patch > half[:, None, None])[:, about <= d].sum(axis=1) / np.pi)  # at half the height
frames, seconds = info.index - state["first"].index, info.time - state["first"].time
speed = np.hypot(*tracks.velocity[which].T) * (frames / seconds if seconds > 0 else 1)
marks = Points(yx, labels=tracks.ids[which].tolist(), tails=[tracks.tails[i] for i in which])
known = width, speed[speed > 0]  # not of those that were not there before
size, pace = (float(np.mean(v)) * info.scale if len(v) else np.nan for v in known)
numbers = Scalar(len(yx)), Scalar(size, unit), Scalar(pace, unit + ("/s" if seconds > 0 else "/frame"))
dict(zip(("particles", "count", "diameter", "speed"), (marks, *numbers)))
