# How far the picture has drifted since the first frame, and the average of the frames put back into place.
# Phase correlation (Kuglin, Hines, Proc. Int. Conf. Cybernetics and Society, 163 (1975)), half way to plain
# correlation. It misleads where what is seen moves for itself, or less than the camera's own pattern stays.
import numpy as np
from scipy import fft, ndimage

sigma: (1.0, 10.0, 0.5) = 3.0  # px, the finest that is compared: more for noisier frames
frames: (1, 200) = 20  # in the average, which fades: p = (N - 1) / (N + 1)

good, average = np.isfinite(frame), state.setdefault("average", RunningAverage(frames))
average.n, shape, half = frames, frame.shape, np.divide(frame.shape, 2)
image = np.where(good, frame, np.median(frame[good]) if good.any() else 0).astype(np.float32)
clipped = np.clip(image, *np.float32(np.percentile(image[::3, ::3], (0.1, 99.9))))  # hot pixels do not drift
clipped -= clipped.mean()
fade = np.outer(*(np.hanning(n + 2)[1:-1].astype(np.float32) for n in shape))  # no edges
if state.get("sigma") != sigma:
    q = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1]))  # 1/px
    state.update(sigma=sigma, limit=np.float32(np.exp(-2 * (np.pi * q * sigma) ** 2)))
if "reference" not in state:
    state.update(reference=fft.rfft2(clipped * fade), there=np.zeros(2), drift=np.zeros(2), lost=0)
back = np.round(state["there"] - state["drift"]).astype(int)  # where it was in the frame before
cross = fft.rfft2(np.roll(clipped, back, (0, 1)) * fade) * state["reference"].conj()
weight = state["limit"] / np.sqrt(np.maximum(np.abs(cross), 1e-30))  # strong and weak detail count more alike
likeness = fft.irfft2(cross * weight, shape)
y, x = np.unravel_index(likeness.argmax(), shape)
lines = [likeness[np.arange(y - 1, y + 2) % shape[0], x], likeness[y, np.arange(x - 1, x + 2) % shape[1]]]
known = likeness[y, x] > 7 * likeness.std() and np.min(lines) > 0
state["lost"] = 0 if known else state["lost"] + 1
if known:
    a, b, c = np.log(np.transpose(lines))
    shift = np.array([y, x]) + (a - c) / np.minimum(a + c - 2 * b, -1e-9) / 2
    state["drift"] = state["there"] + (shift - back + half) % shape - half
    average.add(ndimage.shift(image, -state["drift"], order=1, cval=image.mean()))
if state["lost"] > 5 or np.any(np.abs(state["drift"] - state["there"]) > half / 2):
    state.update(
        reference=fft.rfft2(clipped * fade), there=state["drift"]
    )  # what follows is compared with this
print("Left out: nothing in common with the first frame; a blanked beam?") if not known else None
drift = dict(zip(("y", "x"), state["drift"] * (info.y.scale, info.x.scale)))
corrected = Image(average.average, info.scale, (info.y.origin, info.x.origin), info.unit) if known else None
{"drift": Scalar(drift, info.unit or "px"), "corrected": corrected} if known else None
