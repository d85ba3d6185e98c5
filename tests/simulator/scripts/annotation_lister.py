"""Annotation lister: adds a scale bar, a box and a label to the image in front, and lists all there are."""

import DigitalMicrograph as DM

KINDS = {5: "box", 13: "text", 20: "image display", 31: "scale bar"}

document = DM.GetFrontImageDocument()
image = document.GetImage(0)
display = image.GetImageDisplay(0)
h, w = image.GetDimensionSize(1), image.GetDimensionSize(0)
bar = display.AddNewComponent(31, 0.9 * h, 0.05 * w, 0.95 * h, 0.4 * w)
bar.SetForegroundColor(1, 1, 1)
box = display.AddNewComponent(5, 0.2 * h, 0.2 * w, 0.6 * h, 0.6 * w)
box.SetForegroundColor(1, 0, 0)
label = display.AddNewComponent(13, 0.6 * h, 0.2 * w, 0.7 * h, 0.6 * w)
label.TextAnnotationSetText("here")
image.UpdateImage()

root = document.GetRootComponent()
print("Displays:", root.CountChildrenOfType(20))
shown = root.GetNthChildOfType(20, 0)
for i in range(shown.CountChildren()):
    child = shown.GetChild(i)
    top, left, bottom, right = child.GetRect()
    text = child.TextAnnotationGetText() if child.GetType() == 13 else ""
    print(i, KINDS.get(child.GetType(), "?"), "%.0f x %.0f" % (right - left, bottom - top), text)
for i in range(display.CountROIs()):
    roi = display.GetROI(i)
    if roi.IsRectangle():
        print("ROI", roi.GetID(), roi.GetRectangle(), "selected:", bool(display.IsROISelected(roi)))
        continue
    try:
        print("ROI", roi.GetID(), "line", roi.GetLine())
    except Exception:
        print("ROI", roi.GetID(), "of another kind")
del document, image, display, root, shown
