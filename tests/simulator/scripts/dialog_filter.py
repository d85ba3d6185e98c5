"""Dialog-driven filter: asks for a size, and shows the image in front averaged over so many pixels."""

import sys

import DigitalMicrograph as DM
import numpy as np

sys.argv.extend(["-a", " "])


def mean_filter(data, size):
    padded = np.pad(data.astype(float), size // 2, mode="edge")
    rows = np.cumsum(np.insert(padded, 0, 0, axis=0), axis=0)
    rows = rows[size:] - rows[:-size]
    columns = np.cumsum(np.insert(rows, 0, 0, axis=1), axis=1)
    return (columns[:, size:] - columns[:, :-size]) / size**2


if not DM.IsScriptOnMainThread():
    DM.OkDialog("Execute this script on the main thread.")
    exit()
DM.ClearResults()
image = DM.GetFrontImage()
ok, size = DM.GetNumber("Size of the filter (odd, pixels)", 3)
if not ok or not DM.OkCancelDialog("Filter " + image.GetName() + "?"):
    print("Cancelled")
    sys.exit()
filtered = mean_filter(image.GetNumArray(), int(size) | 1)
result = DM.CreateImage(filtered.astype(np.float32))
result.SetName("Filtered " + image.GetName())
for dim in (0, 1):
    result.SetDimensionScale(dim, image.GetDimensionScale(dim))
    unit, power = image.GetDimensionUnitInfo(dim)
    result.SetDimensionUnitInfo(dim, "um" if isinstance(unit, bytes) else unit, power)
result.ShowImage()
DM.DoEvents()
print("Filtered over", int(size) | 1, "pixels")
del image, result
