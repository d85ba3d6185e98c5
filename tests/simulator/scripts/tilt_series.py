"""Stage tilt series: a stack of images, one at each angle; the beam is blanked between, the stage returns."""

import time

import DigitalMicrograph as DM
import numpy as np

ANGLES = (-20.0, -10.0, 0.0, 10.0, 20.0)
EXPOSURE = 0.01

microscope = DM.Py_Microscope()
print("High tension", microscope.GetHighTension())
if microscope.CanGetImagingOpticsMode():
    print("Mode", microscope.GetImagingOpticsMode())
before = microscope.GetStageAlpha()
x, y, beta = microscope.GetStageX(), microscope.GetStageY(), microscope.GetStageBeta()
focus = microscope.GetFocus()
camera = DM.GetActiveCamera()
camera.PrepareForAcquire()
exposure, bin_x, bin_y, processing, top, left, bottom, right = camera.GetDefaultParameters()
stack = np.zeros((len(ANGLES), bottom - top, right - left), dtype=np.float32)
try:
    for i, angle in enumerate(ANGLES):
        microscope.SetStageAlpha(angle)
        microscope.SetFocus(focus + abs(angle))
        time.sleep(0.001)
        if microscope.HasBeamBlanker():
            microscope.SetBeamBlanked(False)
        image = camera.AcquireImage(EXPOSURE, 1, 1, processing, top, left, bottom, right)
        microscope.SetBeamBlanked(True)
        stack[i] = image.GetNumArray()
        print("Angle", DM.Py_Microscope().GetStageAlpha())
        del image
finally:
    microscope.SetStageAlpha(before)
    microscope.SetFocus(focus)
series = DM.CreateImage(stack.copy())
series.SetName("Tilt series")
series.SetDimensionCalibration(2, ANGLES[0], ANGLES[1] - ANGLES[0], "deg", 0)
tags = series.GetTagGroup()
for i, angle in enumerate(ANGLES):
    tags.SetTagAsFloat("Tilt series:Angle %d" % i, angle)
tags.SetTagAsDouble("Tilt series:Stage X", x)
tags.SetTagAsDouble("Tilt series:Stage Y", y)
tags.SetTagAsDouble("Tilt series:Beta", beta)
series.ShowImage()
print("Stage is back at", microscope.GetStageAlpha(), "blanked", microscope.GetBeamBlanked())
del series
