"""Drift series: acquires N images and plots how far each has moved since the first, by cross-correlation."""

import DigitalMicrograph as DM
import numpy as np

N = 6
EXPOSURE = 0.01
BINNING = 1

camera = DM.GetActiveCamera()
camera.SetInserted(True)
camera.PrepareForAcquire()
first = None
drift = np.zeros((2, N), dtype=np.float32)
for i in range(N):
    image = camera.AcquireImage(EXPOSURE, BINNING, BINNING)
    frame = np.array(image.GetNumArray(), dtype=float)
    del image
    spectrum = np.fft.fft2(frame - frame.mean())
    if first is None:
        first = spectrum
    correlation = np.fft.ifft2(spectrum * first.conj()).real
    peak = np.unravel_index(np.argmax(correlation), correlation.shape)
    drift[:, i] = [(p + n // 2) % n - n // 2 for p, n in zip(peak, correlation.shape)]
plot = DM.CreateImage(drift.copy())
plot.SetName("Drift")
plot.SetIntensityScale(1.0)
plot.SetIntensityOrigin(0.0)
plot.SetIntensityUnitString("pixels")
plot.SetDimensionCalibration(0, 0, 1, "frames", 0)
document = DM.NewImageDocument("Drift")
display = document.AddImageDisplay(plot, 3)
lines = display.GetLinePlotImageDisplay()
lines.SetDoAutoSurvey(False, False)
lines.SetContrastLimits(float(drift.min()) - 1, float(drift.max()) + 1)
for k in range(2):
    lines.SetSliceDrawingStyle(k, 1)
document.ShowAtRect(100, 100, 400, 700)
print("Drift of the last image:", drift[0, -1], drift[1, -1])
del plot
