"""Camera acquisition: sums N frames of a continuous acquisition, and shows and saves the sum."""

import DigitalMicrograph as DM
import numpy as np

PATH = r"C:\Users\Public\sum.dm4"
N = 5
EXPOSURE = 0.01
BINNING = 2

camera = DM.GetActiveCamera()
camera.PrepareForAcquire()
processing = DM.GetCameraUnprocessedEnum()
frame = camera.CreateImageForAcquire(BINNING, BINNING, processing)
total = np.zeros(frame.GetNumArray().shape, dtype=np.float64)
missed = 0
camera.StartContinuousAcquisition(EXPOSURE, BINNING, BINNING, processing)
try:
    count = 0
    while count < N:
        if camera.GetFrameInContinuousMode(frame, 5 * EXPOSURE):
            total += frame.GetNumArray()
            count += 1
        else:
            missed += 1
finally:
    camera.StopContinuousAcquisition()
result = DM.CreateImage(total.copy())
result.SetName("Sum of %d frames" % N)
origin, scale, unit = frame.GetDimensionCalibration(0, 0)
if unit == b"\xb5m":
    unit = "um"
for dim in range(2):
    result.SetDimensionCalibration(dim, 0, scale, unit, 0)
document = result.GetOrCreateImageDocument()
document.SetName("Sum")
document.Show()
document.SaveToFile("Gatan Format", PATH)
document.MoveToWorkspace(document.GetWorkspace())
print("Summed", count, "frames of mean", total.mean() / N)
del frame, result, document
