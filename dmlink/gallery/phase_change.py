# When a structure appears or goes: a ring, or a spot, of the Fourier transform, less what lies beside it and
# relative to the dose: neither drift nor dose change it; tilt and focus do. The first frames are the
# reference. "sure" sums up how far off the frames are; at 1 it is a change (Page, Biometrika 41, 100 (1954)).
import numpy as np
import scipy.fft

spacing: (0.05, 10.0, 0.005) = 0.235  # in the unit of the image: the lattice planes to watch
width: (1, 30) = 6  # % of the ring's radius
direction: (0, 180) = 0  # degrees anticlockwise from horizontal, of the spot
opening: (5, 90, 5) = 90  # degrees to either side of it; 90: the whole ring
reference: (5, 200) = 20  # frames that are the reference
certain: (4.0, 40.0, 1.0) = 12.0  # standard deviations in sum that are a change; more: fewer false ones

settings = (spacing, width, direction, opening, reference)
if state.get("settings") != settings:  # which pixels belong to the ring, and which lie beside it
    fy = scipy.fft.fftfreq(frame.shape[0], abs(info.y.scale or 1))[:, None]
    fx = scipy.fft.rfftfreq(frame.shape[1], abs(info.x.scale or 1))  # the other half is the same
    turn = (np.degrees(np.arctan2(-fy, fx)) - direction + 90) % 180 - 90
    off = np.where((np.abs(turn) > opening) | (fx == 0) & (fy < 0), 9, np.hypot(fy, fx) * spacing - 1)
    ring, beside = np.abs(off) < width / 200, (np.abs(off) > width / 100) & (np.abs(off) < width / 40)
    state.clear()
    state.update(settings=settings, ring=np.flatnonzero(ring), beside=np.flatnonzero(beside), past=[])
    state.update(sums=[0.0, 0.0], began=[None, None], first=info.time, change=None)
ring, beside, past, sums, began = [state[key] for key in ("ring", "beside", "past", "sums", "began")]
mean, result = frame.mean(dtype=float), None
if not 0 < mean < np.inf or min(len(ring), len(beside)) < 4:
    print("Left out: no counts, or no such ring in the Fourier transform of this ROI: see spacing and width.")
else:
    fade = np.float32(np.outer(*[np.hanning(n) for n in frame.shape]) / mean)
    power = np.abs(scipy.fft.rfft2((frame - np.float32(mean)) * fade)).ravel() ** 2 / frame.size
    noise, now = power[beside].mean(), power[ring].mean() - power[beside].mean()
    past += [now] * (len(past) < reference)
    off = (now - np.mean(past)) / (np.hypot(noise * np.sqrt(2 / len(ring)), np.std(past)) + 1e-12)
    for i, sign in enumerate((1, -1) if len(past) == reference else ()):
        sums[i] = max(0, sums[i] + min(sign * off - 1, 5))  # at most 5: no single frame is a change
        began[i] = None if sums[i] == 0 else began[i] or (info.index, info.time - state["first"])
        state["change"] = state["change"] or (began[i] if sums[i] >= certain else None)
    result = {"ring": Scalar({"now": now * 1e6, "reference": np.mean(past) * 1e6}, "ppm of the dose^2")}
    result["sure"] = Scalar(max(sums) / certain)
    if state["change"]:
        result["change"] = Text("since frame %d, %.2f s after the first" % state["change"])
result
