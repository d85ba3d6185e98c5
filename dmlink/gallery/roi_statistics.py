# Statistics of the ROI in every frame: mean, standard deviation, minimum, maximum and sum, and the dose rate
# if the gain is known. Dark current and X-rays count as electrons; if a camera saturates, or counts
# coincident electrons as one, the dose rate is too low.
#
# Method. Plain statistics of all finite pixels; of a drawn ellipse, ring or polygon, of those inside. The
# dose rate is the mean divided by counts per electron, exposure time and pixel area (Egerton, Li, Malac,
# Micron 35, 399 (2004)). An event is reported when the mean leaves the limits around that of the first
# frames, and when it returns.
import numpy as np

gain: float = 0.0  # counts per electron, from the camera's calibration; 0: unknown
exposure: float = 0.0  # s, exposure time; 0: from the microscope
limit: (1, 100) = 20  # %, how far the mean may deviate from that of the first frames

FIRST = 10  # frames that define the usual mean: half a second of most live views
NM = {"nm": 1.0, "um": 1e3, "\u00b5m": 1e3, "A": 0.1, "pm": 1e-3}  # nm in each unit
ANGSTROM2 = 100  # square angstroms in a square nanometre

inside = np.ones(frame.shape, bool) if info.roi is None else info.roi.mask
values = frame[inside].astype(float)
is_number = np.isfinite(values)
if not is_number.all():
    print("%d of %d pixels are NaN or infinite and left out." % ((~is_number).sum(), values.size))
    values = values[is_number]

result = None
if values.size:
    mean, low, high = values.mean(), values.min(), values.max()
    full = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else np.inf
    if high == full:
        print("Some pixels are saturated (%g counts): mean and dose rate are too low." % full)

    before = state.setdefault("first means", [])
    if len(before) < FIRST and not (info.again and before):
        before.append(mean)
    usual = np.mean(before)
    is_off = abs(mean - usual) > limit / 100 * abs(usual)
    was_off = state.get("off", False)
    state["off"] = is_off
    happening = "the mean is %.4g counts, usually %.4g" % (mean, usual)

    result = {
        "per pixel": Scalar({"mean": mean, "std": values.std(), "min": low, "max": high}, "counts"),
        "sum": Scalar(values.sum(), "counts"),
        "limit": Event(happening, when=is_off != was_off),
    }

seconds = exposure or info.tags.get("exposure", 0.0)
if result and gain > 0 and seconds > 0:
    rate = mean / gain / seconds  # electrons per pixel and second
    result["dose rate"] = Scalar(rate, "e/px/s")
    if info.unit in NM:
        area = abs(info.x.scale * info.y.scale) * NM[info.unit] ** 2 * ANGSTROM2  # area of a pixel
        result["dose rate on the sample"] = Scalar(rate / area, "e/A^2/s")
elif result and gain > 0:
    print("No dose rate: the microscope does not report the exposure: set exposure.")
result
