# Drift since the first frame, and the aligned frames: their running average and the sum of all. It misleads
# if the object itself moves, or is fainter than the camera's fixed pattern.
#
# Method. A correlation halfway between phase correlation (Kuglin, Hines, Proc. Int. Conf. Cybernetics and
# Society, 163 (1975)) and plain correlation gives the shift from the first frame to a fraction of a pixel.
# After a drift of a quarter of the field, or a few frames that have nothing in common with the reference,
# the newest frame becomes the reference. The sum shifts frames by whole pixels, and divides each pixel by
# the number of frames that contain it. Nothing is interpolated or sharpened, so the noise falls with the
# square root of that number.
import numpy as np
from scipy import fft, ndimage

sigma: (1.0, 10.0, 0.5) = 3.0  # px, finest detail that is compared; raise it for noisy frames
frames: (1, 200) = 20  # frames, length N of the running average, which keeps p = (N - 1) / (N + 1)
limit: (1, 100) = 25  # %, an event each time the drift grows by this part of the field

CERTAIN = 7  # standard deviations of the correlation by which a true peak stands out
PATIENCE = 5  # frames with nothing in common with the reference before it is replaced
HOT = 0.1  # % of the pixels, clipped at either end before frames are compared

is_number = np.isfinite(frame)
shape, half = frame.shape, np.divide(frame.shape, 2)
typical = np.median(frame[is_number]) if is_number.any() else 0
image = np.where(is_number, frame, typical).astype(np.float32)

scales = info.y.scale, info.x.scale, info.unit
if state.get("scales") != scales:  # another magnification
    state.clear()
    state["scales"] = scales

average = state.setdefault("average", RunningAverage(frames))
average.n = frames
if state.get("sigma") != sigma:
    q = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1]))  # 1/px
    blur = np.float32(np.exp(-2 * (np.pi * q * sigma) ** 2))  # of a Gaussian that removes finer detail
    rows, columns = (np.hanning(n + 2)[1:-1].astype(np.float32) for n in shape)
    state.update(sigma=sigma, blur=blur, fade=np.outer(rows, columns))  # fades out the edges

low, high = np.float32(np.percentile(image[::3, ::3], (HOT, 100 - HOT)))
clipped = np.clip(image, low, high)  # hot pixels do not drift
clipped -= clipped.mean()
if "reference" not in state:
    reference = fft.rfft2(clipped * state["fade"])
    nowhere = np.zeros(2)  # y, x in px
    state.update(reference=reference, reference_at=nowhere, drift=nowhere, lost=0, passed=0)
    state.update(total=np.zeros(shape, np.float32), seen=np.zeros(shape, np.float32), n=0)


def peak_of(likeness):
    """Return the position of the peak, (y, x) in px, by a Gaussian through three pixels; None if unclear."""
    y, x = np.unravel_index(likeness.argmax(), shape)
    above_below = likeness[np.arange(y - 1, y + 2) % shape[0], x]
    left_right = likeness[y, np.arange(x - 1, x + 2) % shape[1]]
    lines = [above_below, left_right]
    if not (likeness[y, x] > CERTAIN * likeness.std() and np.min(lines) > 0):
        return None
    before, top, after = np.log(np.transpose(lines))  # the logarithm of a Gaussian is a parabola
    return np.array([y, x]) + (before - after) / np.minimum(before + after - 2 * top, -1e-9) / 2


def add_to_sum(drift):
    """Add the frame to the sum, shifted back by whole pixels."""
    dy, dx = np.round(drift).astype(int)
    height, width = shape
    in_first = np.s_[max(0, -dy) : max(0, height - dy), max(0, -dx) : max(0, width - dx)]
    in_this = np.s_[max(0, dy) : max(0, height + dy), max(0, dx) : max(0, width + dx)]
    state["total"][in_first] += np.where(is_number, image, 0)[in_this]
    state["seen"][in_first] += is_number[in_this]
    state["n"] += 1


# relative to the last frame: the new one is close, so no edge of the field lies between them
back = np.round(state["reference_at"] - state["drift"]).astype(int)
moved_back = np.roll(clipped, back, (0, 1))
cross = fft.rfft2(moved_back * state["fade"]) * state["reference"].conj()
weight = state["blur"] / np.sqrt(np.maximum(np.abs(cross), 1e-30))  # weak detail counts more
shift = peak_of(fft.irfft2(cross * weight, shape))

result = None
if shift is None:
    state["lost"] += not info.again
    print("No result: nothing in common with the reference. Is the beam blanked?")
else:
    state["lost"] = 0
    state["drift"] = state["reference_at"] + (shift - back + half) % shape - half
    if not info.again or not state["n"]:
        average.add(ndimage.shift(image, -state["drift"], order=1, cval=image.mean()))
        add_to_sum(state["drift"])

is_far = np.any(np.abs(state["drift"] - state["reference_at"]) > half / 2)
if state["lost"] > PATIENCE or is_far:  # later frames are compared with this one
    state.update(reference=fft.rfft2(clipped * state["fade"]), reference_at=state["drift"])

if shift is not None:
    unit = info.unit or "px"
    scale, origin = (info.y.scale, info.x.scale), (info.y.origin, info.x.origin)
    y, x = np.multiply(state["drift"], scale)
    mean = state["total"] / np.maximum(state["seen"], 1)
    shared = 100 * np.mean(state["seen"] == state["n"])

    part = 100 * np.max(np.abs(state["drift"]) / shape)  # % of the field
    passed = int(part // limit)
    is_farther = passed > state["passed"]
    state["passed"] = max(passed, state["passed"])

    result = {
        "drift": Scalar({"y": y, "x": x}, unit),
        "corrected": Image(average.average, scale, origin, info.unit),
        "sum": Image(mean, scale, origin, info.unit),
        "in the sum": Scalar(state["n"], "frames"),
        "shared": Scalar(shared, "% of the field"),
        "far": Event("it has drifted by %d %% of the field" % part, when=is_farther),
    }
result
