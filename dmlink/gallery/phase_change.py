# When a structure appears or disappears, from the strength of a ring or spot in the FFT; "sure" reaches 1
# when the change is certain. Drift and dose do not affect it; tilt and focus do.
#
# Method. The mean power on the ring, minus that beside it, is divided by the square of the dose. The first
# frames are the reference; each later frame's deviation, in standard deviations of these, is added to a sum.
# When the sum is large enough, the change is dated to the frame at which it was last zero (Page, Biometrika
# 41, 100 (1954)). If no spacing is given, all rings are watched, and the first to change is shown.
import numpy as np
import scipy.fft

spacing: (0.05, 10.0, 0.005) = None  # lattice spacing to watch, in the unit of the image; auto: all
width: (1, 30) = 6  # %, width of the ring, relative to its radius
direction: (0, 180) = 0  # degrees, direction of the spot, anticlockwise from horizontal
opening: (5, 90, 5) = 90  # degrees, to either side of that; 90: the whole ring
reference: (5, 200) = 20  # frames, length of the reference
certain: (4.0, 40.0, 1.0) = 12.0  # summed standard deviations that make a change; more: fewer false alarms

SLACK = 1.0  # standard deviations subtracted per frame, so that noise alone sums up to nothing
MOST = 5  # standard deviations that one frame can add, so that no single frame is a change
FEWEST = 4  # pixels of the transform needed for a mean
FINEST = 2.2  # px, of the rings watched without a given spacing: up to the edge of the transform
COARSEST = 16  # 1/16 of the ROI; larger spacings are uneven illumination


def rings_of(shape, spacings):
    """Return the pixels of the transform on each ring, and those next to it."""
    fy = scipy.fft.fftfreq(shape[0], abs(info.y.scale or 1))[:, None]
    fx = scipy.fft.rfftfreq(shape[1], abs(info.x.scale or 1))  # the other half is the same
    turn = (np.degrees(np.arctan2(-fy, fx)) - direction + 90) % 180 - 90
    outside = (np.abs(turn) > opening) | (fx == 0) & (fy < 0)  # each pair of symmetric pixels counts once
    on, beside = [], []
    for one in spacings:
        off = np.where(outside, 9, np.hypot(fy, fx) * one - 1)  # relative distance from the ring
        off = np.abs(off)
        on.append(np.flatnonzero(off < width / 200))
        beside.append(np.flatnonzero((off > width / 100) & (off < width / 40)))
    return on, beside


settings = spacing, width, direction, opening, reference, info.y.scale, info.x.scale
if state.get("settings") != settings:
    spacings = [spacing]
    if spacing is None:
        pixel = max(abs(info.y.scale or 1), abs(info.x.scale or 1))
        coarsest = min(frame.shape) / COARSEST
        steps = np.log(max(coarsest, FINEST) / FINEST) / np.log(1 + width / 100)  # from ring to ring
        spacings = pixel * FINEST * (1 + width / 100) ** np.arange(int(steps) + 1)
    on, beside = rings_of(frame.shape, spacings)
    known = [k for k in range(len(spacings)) if min(len(on[k]), len(beside[k])) >= FEWEST]
    state.clear()
    state.update(settings=settings, spacings=[spacings[k] for k in known], past=[], first=info.time)
    state.update(on=[on[k] for k in known], beside=[beside[k] for k in known])
    state.update(sums=np.zeros((2, len(known))), began={}, change=None)
    state["fade"] = np.float32(np.outer(*[np.hanning(n) for n in frame.shape]))  # towards the edges

result = None
mean = frame.mean(dtype=float)
if not 0 < mean < np.inf or not state["on"]:
    print("No result: no counts, or no such ring in the FFT of this ROI; check spacing and width.")
else:
    transform = scipy.fft.rfft2((frame - np.float32(mean)) * state["fade"])
    power = np.abs(transform).ravel() ** 2 / (frame.size * mean**2)
    noise = np.array([power[pixels].mean() for pixels in state["beside"]])
    now = np.array([power[pixels].mean() for pixels in state["on"]]) - noise

    is_another = not info.again or not state["past"]  # than the last frame
    if len(state["past"]) < reference and is_another:
        state["past"].append(now)
    past = np.stack(state["past"], axis=1)  # (ring, frame)
    usual = past.mean(axis=1)
    # the power of one pixel has a standard deviation equal to its mean; sqrt(2): so has the reference
    counted = noise * np.sqrt([2 / len(pixels) for pixels in state["on"]])
    off = (now - usual) / (np.hypot(counted, past.std(axis=1)) + 1e-12)

    sums, began, is_new = state["sums"], state["began"], False
    if len(state["past"]) == reference and is_another:
        for i, sign in enumerate((1, -1)):  # stronger, weaker
            sums[i] = np.maximum(0, sums[i] + np.minimum(sign * off - SLACK, MOST))
            for k in range(len(off)):
                if sums[i, k] == 0:
                    began.pop((i, k), None)
                else:
                    began.setdefault((i, k), (info.index, info.time - state["first"]))
            k = sums[i].argmax()
            if not state["change"] and sums[i, k] >= certain:
                state["change"] = (*began[i, k], k)
                is_new = True

    strongest = sums.max(axis=0).argmax()
    shown = state["change"][2] if state["change"] else strongest
    unit = info.unit or "px"
    ring = {"now": now[shown] * 1e6, "reference": usual[shown] * 1e6}
    result = {
        "ring": Scalar(ring, "ppm of the dose^2"),
        "sure": Scalar(sums.max() / certain),
        "spacing": Scalar(state["spacings"][shown], unit),
    }
    since = ""
    if state["change"]:
        since = "since frame %d, %.2f s after the first" % state["change"][:2]
        result["change"] = Text(since)
    change = "a change at %.3g %s, %s" % (state["spacings"][shown], unit, since)
    result["event"] = Event(change, when=is_new)
result
