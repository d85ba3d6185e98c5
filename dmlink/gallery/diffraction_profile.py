# A diffraction pattern of rings as a curve: centre found, elliptical distortion taken out, peaks marked with
# d. The centre lies in the middle half of the ROI. Spots of one crystal, or a wide beam stop, mislead the
# ellipse. Inversion symmetry, then harmonics 1, 2: Mitchell, Van den Berg, Ultramicroscopy 160, 140 (2016).
import numpy as np
from scipy import fft, ndimage, signal

ellipse: bool = True  # take the elliptical distortion out
hide: (0, 50) = 6  # % of the curve at its left end, where the direct beam is
weakest: (2.0, 50.0, 0.5) = 6.0  # standard errors of the curve by which a peak stands out
polar: bool = False  # show the pattern over radius and angle too: rings become straight lines

result = None
if not np.isfinite(frame).all() or np.ptp(frame) == 0 or min(frame.shape) < 16:
    print("Left out: some pixels are not numbers, or all are equal, or the ROI is below 16 pixels.")
else:
    if not state:
        root = np.sqrt(frame - float(frame.min()))
        own = fft.irfft2(fft.rfft2(root - root.mean()) ** 2, frame.shape)  # highest at twice the centre
        at = [(t + n * (t < n / 2)) / 2 for t, n in zip(np.unravel_index(own.argmax(), own.shape), own.shape)]
        reach = min(*at, *(n - 1 - a for a, n in zip(at, frame.shape))) - 3
        state.update(at=[*at, 0, 0], radius=np.arange(0, max(8, reach), 0.5))  # px
    radius, turn = state["radius"], np.radians(np.arange(360))[:, None]  # anticlockwise from horizontal
    first, scale, unit = len(radius) * hide // 100, abs(info.scale or 1), info.unit or "px"
    for soft in (8, 8, 4, 4, 2, 2):  # px of smoothing; each frame goes on from the last
        y, x, c, s = state["at"]
        long = radius * (1 + c * np.cos(2 * turn) + s * np.sin(2 * turn))
        rings = ndimage.map_coordinates(frame, (y - long * np.sin(turn), x + long * np.cos(turn)), float, 1)
        smooth = ndimage.gaussian_filter1d(rings, 2 * soft, axis=1)
        slope = np.gradient(smooth.mean(axis=0), radius) * (radius >= radius[first]) + 1e-9
        one, two = fft.rfft(smooth - smooth.mean(axis=0), axis=0)[1:3] * slope / -180
        one, two = one.sum() / (slope**2).sum(), (two * radius).sum() / ((slope * radius) ** 2).sum()
        at = np.add(state["at"], [one.imag, one.real, two.real, -two.imag])
        state["at"] = np.clip(at, [y - 3, x - 3, *[-0.1 * ellipse] * 2], [y + 3, x + 3, *[0.1 * ellipse] * 2])
    curve = ndimage.gaussian_filter1d(rings.mean(axis=0), 1.5)[first:]
    peaks = signal.find_peaks(curve, prominence=weakest * rings.std(axis=0)[first:] / 360**0.5)[0]
    px = radius[first:][peaks]
    marks = Points(np.c_[y - px * 0.7, x + px * 0.7], labels=["%.3f" % (1 / q) for q in px * scale])
    result = {"curve": Profile(curve, scale / 2, first * scale / 2, unit, "counts")}
    table = {"radius (px)": px, "q (%s)" % unit: px * scale, "d = 1/q": 1 / (px * scale)}
    result.update(rings=Table(table), marks=marks, distortion=Scalar(100 * np.hypot(c, s), "%"))
    result.update({"polar": Image(rings)} if polar else {})
result
