# What the pixels in the ROI count: mean, standard deviation, minimum, maximum and sum of every frame, and the
# dose rate where the gain is known. Dark current and X-rays count as electrons; a camera that saturates, or
# counts single electrons that coincide, shows a dose rate that is too low.
# Dose rate = counts / (counts per electron x exposure x area): Egerton, Li, Malac, Micron 35, 399 (2004).
import numpy as np

gain: float = 0.0  # counts per electron, from the camera's calibration; 0: not known
exposure: float = 0.0  # s a frame; 0: as the microscope says

good = np.isfinite(frame)
values = frame[good].astype(float)
result = None
if values.size < frame.size:
    print("%d of %d pixels are not numbers and left out." % (frame.size - values.size, frame.size))
if values.size:
    low, high = values.min(), values.max()
    top = np.iinfo(frame.dtype).max if frame.dtype.kind in "iu" else np.inf
    saturated = np.count_nonzero(values == top)
    if saturated:
        print("%d pixels are saturated (%g counts): mean and dose rate are too low." % (saturated, top))
    counts = {"mean": values.mean(), "std": values.std(), "min": low, "max": high}
    result = {"per pixel": Scalar(counts, "counts"), "sum": Scalar(values.sum(), "counts")}

seconds = exposure or info.tags.get("exposure", 0.0)
if result and gain > 0 and seconds > 0:
    rate = values.mean() / gain / seconds  # electrons per pixel and second
    result["dose rate"] = Scalar(rate, "e/px/s")
    to_nm = {"nm": 1.0, "um": 1e3, "\u00b5m": 1e3, "A": 0.1, "pm": 1e-3}.get(info.unit)
    if to_nm:
        area = abs(info.x.scale * info.y.scale) * to_nm**2 * 100  # square angstroms of a pixel
        result["dose rate on the sample"] = Scalar(rate / area, "e/A^2/s")
elif result and gain > 0:
    print("No dose rate: the microscope does not say the exposure; set it here.")
result
