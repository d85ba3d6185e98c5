# How far out of focus the image is, and its astigmatism: the Thon rings of amorphous film against those of
# every defocus. Under- and overfocus look alike; crystals and drift mislead. Phase: pi lambda df q^2 - pi/2
# Cs lambda^3 q^4; 18 sectors, fit like that of Rohou, Grigorieff, J. Struct. Biol. 192, 216 (2015).
import numpy as np
from scipy import fft, optimize

kilovolt: (0, 1000) = 0  # kV; 0: as the microscope says, 300 if it does not
Cs: (0.0, 5.0, 0.01) = 1.0  # mm, spherical aberration of the objective lens
largest: (20, 5000, 10) = 300  # nm, defoci from a twentieth of this to this are tried
coarse: (0.1, 5.0, 0.1) = 0.8  # 1/nm, the spectrum from ...
fine: (0.5, 20.0, 0.1) = 4.5  # 1/nm, ... to this is used: two rings or more should lie there

pixel = abs(info.scale) * {"nm": 1, "um": 1e3, "\u00b5m": 1e3, "A": 0.1, "pm": 1e-3}.get(info.unit, 0)  # nm
rings, sectors, result = int(np.clip((fine - coarse) * min(frame.shape) * pixel, 0, 400)), 18, None
if rings < 16 or fine * pixel > 0.5 or not np.isfinite(frame).all() or np.ptp(frame) == 0:
    print("Left out: this needs an image in nm with that part of the spectrum, all numbers, not all equal.")
else:
    if state.get("used") != (coarse, fine):  # which pixel of the spectrum lies in which sector of which ring
        fy, fx = np.meshgrid(*[fft.fftfreq(n, pixel) for n in frame.shape], indexing="ij")
        ring, turn = (np.hypot(fy, fx) - coarse) / (fine - coarse) * rings, np.arctan2(-fy, fx) / np.pi % 1
        box = np.int32(turn * sectors) % sectors * rings + np.int32(ring)
        state.update(used=(coarse, fine), box=np.where(ring // rings == 0, box, sectors * rings).ravel())
    fade = np.outer(*map(np.hanning, frame.shape))
    power = np.abs(fft.fft2(np.float32((frame - frame.mean()) * fade))).ravel() ** 2
    power, count = np.bincount(state["box"], power)[:-1], np.bincount(state["box"])[:-1].clip(1)
    q = np.linspace(coarse, fine, 2 * rings + 1)[1::2]
    slow = np.vander(q, 5)  # what changes slowly along q is no ring
    flat = lambda curves: curves - (slow @ np.linalg.lstsq(slow, curves.T, rcond=None)[0]).T
    seen = flat(np.log(power / count + 1e-9).reshape(sectors, rings))
    volt, turn = kilovolt * 1e3 or info.tags.get("high_tension", 3e5), np.pi / 9 * (np.arange(sectors) + 0.5)
    wave = 1.22643 / np.sqrt(volt + 0.978476e-6 * volt**2)  # nm
    model = lambda df: flat(-np.cos(np.pi * (2 * wave * df[:, None] * q**2 - Cs * 1e6 * wave**3 * q**4)))
    match = lambda d, a, b: np.corrcoef(seen.flat, model(d + a * np.cos(turn) + b * np.sin(turn)).flat)[0, 1]
    tried = np.linspace(largest / 20, largest, int(2 + largest * 16 * wave * fine**2))
    d = tried[(model(tried) @ seen.sum(axis=0)).argmax()]
    tried = [d * np.array([1, r * np.cos(a), r * np.sin(a)]) for r in (0, 0.05, 0.1, 0.2) for a in range(6)]
    d, a, b = optimize.fmin(lambda p: -match(*p), max(tried, key=lambda p: match(*p)), disp=False)
    result = {"match": Scalar(match(d, a, b))}  # 1: all agrees; below 0.3 nothing was found
    if match(d, a, b) > 0.3:  # astigmatism: from smallest to largest defocus; direction: of the largest
        result["defocus"] = Scalar({"defocus": d, "astigmatism": 2 * np.hypot(a, b)}, "nm")
        result["direction"] = Scalar(np.degrees(np.arctan2(b, a)) / 2 % 180, "degrees anticlockwise")
result
