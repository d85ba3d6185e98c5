# How far out of focus the image is, and its astigmatism: the Thon rings of amorphous film, in 18 sectors, are
# noise + envelope x sin^2 chi, chi = pi lambda df q^2 - pi/2 Cs lambda^3 q^4; fitted from best of many df:
# Rohou, Grigorieff, J. Struct. Biol. 192, 216 (2015). Crystals, drift mislead; without Cs overfocus does too.
import numpy as np
from scipy import fft, ndimage, optimize

kilovolt: (0, 1000) = 0  # kV; 0: as the microscope says, 300 if it does not
Cs: (0.0, 5.0, 0.01) = 1.0  # mm, spherical aberration of the objective lens
largest: (20, 5000, 10) = 300  # nm, defoci from a twentieth of this to this are tried, over and under
coarse: (0.1, 5.0, 0.1) = 0.8  # 1/nm, the spectrum from ...
fine: (0.5, 20.0, 0.1) = 4.5  # 1/nm, ... to this is used: up to where rings are seen

pixel = abs(info.scale) * {"nm": 1, "um": 1e3, "\u00b5m": 1e3, "A": 0.1, "pm": 1e-3}.get(info.unit, 0)  # nm
rings, result = int(np.clip((fine - coarse) * min(frame.shape) * pixel, 0, 400)), None
if rings < 16 or fine * pixel > 0.5 or not np.isfinite(frame).all() or np.ptp(frame) == 0:
    print("Left out: this needs an image in nm with that part of the spectrum, all numbers, not all equal.")
else:
    if state.get("used") != (coarse, fine):  # which pixel of the spectrum lies in which sector of which ring
        fy, fx = np.meshgrid(*[fft.fftfreq(n, pixel) for n in frame.shape], indexing="ij")
        ring, turn = (np.hypot(fy, fx) - coarse) / (fine - coarse) * rings, np.arctan2(-fy, fx) / np.pi % 1
        box = np.where(ring // rings == 0, np.int32(turn * 18) % 18 * rings + np.int32(ring), 18 * rings)
        state.update(used=(coarse, fine), box=box.ravel(), sure=np.bincount(box.ravel())[:-1].clip(1) ** 0.5)
    power = np.abs(fft.fft2((frame - frame.mean()) * np.outer(*map(np.hanning, frame.shape)))).ravel() ** 2
    seen = np.log(np.bincount(state["box"], power)[:-1] / state["sure"] ** 2 + 1e-9).reshape(18, rings)
    q, turn = np.linspace(coarse, fine, 2 * rings + 1)[1::2], np.pi / 9 * (np.arange(18) + 0.5)
    volt, sides = kilovolt * 1e3 or info.tags.get("high_tension", 3e5), [turn**0, np.cos(turn), np.sin(turn)]
    wave, slow = 1.22643 / np.sqrt(volt + 0.978476e-6 * volt**2), np.vander(q / q.mean() - 1, 5)  # nm
    chi = lambda df: np.pi * wave * q**2 * (df[:, None] - Cs * 5e5 * (wave * q) ** 2)
    model = lambda p: np.log(np.exp(p[3]) + np.exp(slow[:, 1:] @ p[4:]) * np.sin(chi(p[:3] @ sides)) ** 2)
    flat = lambda curves: curves - (slow @ np.linalg.lstsq(slow, curves.T, rcond=None)[0]).T
    tried = np.linspace(-largest, largest, 2 * int(2 + largest * 16 * wave * fine**2))
    like = flat(-np.cos(2 * chi(tried))) @ flat(seen).sum(axis=0) * (np.abs(tried) >= largest / 20)
    df, low = tried[np.argsort(-like * (like == ndimage.maximum_filter1d(like, 3)))[:4]], seen.mean() - 2
    off = lambda p: (model(p) - seen).ravel() * state["sure"]
    fits = [optimize.leastsq(off, [d, 0, 0, low, 0, 0, 0, low + 2], full_output=1, maxfev=250)[0] for d in df]
    p = min(fits, key=lambda p: sum(off(p) ** 2))
    result = {"match": Scalar(np.corrcoef(flat(seen).flat, flat(model(p)).flat)[0, 1])}  # 1: all agrees
    if result["match"].value > 0.4 and largest / 20 < abs(p[0]) < largest:
        result["defocus"] = Scalar({"defocus": p[0], "astigmatism": 2 * np.hypot(*p[1:3])}, "nm")  # max - min
        result["direction"] = Scalar(np.degrees(np.arctan2(p[2], p[1])) / 2 % 180, "degrees anticlockwise")
    print("No defocus of %g to %g nm has such rings." % (largest / 20, largest)) if len(result) < 2 else None
result
