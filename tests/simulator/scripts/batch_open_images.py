"""Batch over open images: subtracts the mean of each image that is open, and shows the differences."""

import DigitalMicrograph as DM
import numpy as np

images = []
for i in range(DM.CountImageDocuments()):
    document = DM.GetImageDocument(i)
    if document.CountImages() and document.GetRootComponent().CountChildrenOfType(20):
        images.append(document.GetImage(0))
following, front = [], DM.GetFrontImage()
while front is not None:
    following.append(front.GetID())
    front = front.FindNextImage()
assert sorted(following) == sorted(image.GetID() for image in images)

for image in images:
    data = image.GetNumArray()
    if image.GetNumDimensions() != 2 or image.GetImgWidth() < 2 or image.GetImgHeight() < 2:
        continue
    result = DM.CreateImage((data - data.mean()).astype(np.float32))
    result.SetName(image.GetName() + " - mean")
    for dim in range(2):
        origin, scale, unit = image.GetDimensionCalibration(dim, 0)
        result.SetDimensionCalibration(dim, origin, scale, "um" if isinstance(unit, bytes) else unit, 0)
        assert result.GetDimensionSize(dim) == data.shape[1 - dim]
    result.GetTagGroup().CopyTagsFrom(image.GetTagGroup())
    result.ShowImage()
    display = result.GetImageDisplay(0)
    display.SetDoAutoSurvey(False)
    display.SetContrastLimits(float(-data.std()), float(data.std()))
    display.SetColorTableByName("Temperature")
    window = result.GetOrCreateImageDocument().GetWindow()
    window.SetFrameSize(300, 300)
    x, y = window.GetFramePosition()
    window.SetFramePosition(x + 20, y + 20)
    del result, display
print("Processed", len(images), "images")
del images, image, data, document
