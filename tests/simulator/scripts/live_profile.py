"""Live profile: the mean of the ROI's rows, drawn as a line plot for every frame of the view in front."""

import traceback

import DigitalMicrograph as DM
import numpy as np


class ProfileListener(DM.Py_ScriptObject):
    def __init__(self, image):
        DM.Py_ScriptObject.__init__(self)
        self.stop = 0
        self.frames = 0
        self.roi = self.find_roi(image)
        self.profile = DM.CreateImage(np.zeros(self.cut(image).shape[1], dtype=np.float32))
        self.profile.SetName("Profile of " + image.GetName())
        origin, scale, unit = image.GetDimensionCalibration(0, 0)
        if isinstance(unit, bytes):
            unit = "um"
        self.profile.SetDimensionCalibration(0, origin, scale, unit, 0)
        document = DM.NewImageDocument("Profile")
        plot = DM.GetLinePlotImageDisplay(document.AddImageDisplay(self.profile, 3))
        plot.SetSliceDrawingStyle(0, 1)
        plot.SetLegendShown(False)
        document.Show()

    def __del__(self):
        print("Listener ended")
        DM.Py_ScriptObject.__del__(self)

    def find_roi(self, image):
        display = image.GetImageDisplay(0)
        for i in range(display.CountROIs()):
            if display.GetROI(i).IsRectangle():
                return display.GetROI(i)
        h, w = image.GetNumArray().shape
        roi = DM.NewROI()
        roi.SetRectangle(0, 0, h, w)
        roi.SetVolatile(False)
        roi.SetResizable(False)
        display.AddROI(roi)
        return roi

    def cut(self, image):
        top, left, bottom, right = self.roi.GetRectangle()
        return image.GetNumArray()[int(top) : int(bottom), int(left) : int(right)]

    def HandleDataChangedEvent(self, flags, image):
        if self.stop:
            return
        try:
            self.frames += 1
            self.profile.GetNumArray()[:] = self.cut(image).mean(axis=0)
            self.profile.UpdateImage()
        except Exception:
            print(traceback.format_exc())

    def HandleWindowClosedEvent(self, flags, window):
        if not self.stop:
            self.stop = 1
            print("View closed after", self.frames, "frames")
            DM.DoEvents()
            self.UnregisterAllListeners()

    def HandleROIRemovedEvent(self, flags, display, roi_flags, display_flags, roi):
        self.stop = 1
        print("ROI removed")


view = DM.GetFrontImage()
window = DM.GetFrontImageDocument().GetWindow()
profile_listener = ProfileListener(view)
profile_listener.WindowHandleWindowClosedEvent(window, "pythonplugin")
profile_listener.ImageDisplayHandleROIRemovedEvent(view.GetImageDisplay(0), "pythonplugin")
profile_listener.ImageHandleDataChangedEvent(view, "pythonplugin")
del view, window
print("Live profile runs")
