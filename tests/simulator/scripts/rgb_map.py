"""RGB map: bright, medium and dark parts of the image in front as red, green and blue."""

import DigitalMicrograph as DM
import numpy as np

image = DM.GetFrontImage()
name = image.GetName()
data = image.GetNumArray().astype(float)
low, high = np.percentile(data, (1, 99))
scaled = np.clip((data - low) / max(high - low, 1e-9), 0, 1)
planes = []
for centre in (1.0, 0.5, 0.0):
    plane = np.clip(255 * (1 - 2 * abs(scaled - centre)), 0, 255)
    planes.append(DM.CreateImage(plane.astype(np.uint8).copy()))
labels = ", ".join(plane.GetLabel() for plane in planes)
DM.ExecuteScriptString("rgb(" + labels + ").ShowImage()")
colours = DM.GetFrontImage()
colours.SetName("Map of " + name)
if colours.GetNumDimensions() != 2:
    DM.OkDialog("This is no map.")
planes[0].GetNumArray()[:] = 0
text = "RGBimage map := FindImageByID(" + str(colours.GetID()) + ")\n"
text += "map = rgb(" + labels + ")\n"
text += "map.UpdateImage()\n"
text += "map.SetZoom(2)"
DM.ExecuteScriptString(text)
print("Shown as", colours.GetID())
del image, colours, planes, plane
