"""Windows and annotations in DigitalMicrograph, as exported scripts make them.

They go into people's scripts as they stand: `dmlink.export` takes the definitions that a script can need.
"""

import contextlib

import DigitalMicrograph as DM
import numpy as np


class Window(DM.Py_ScriptObject):
    """A result on the screen, for values of one shape; `image` is None once the user has closed it."""

    def __init__(self, title, values, line):
        DM.Py_ScriptObject.__init__(self)  # before all else, as the registration needs it
        self.like, self.image = (values.shape, line), self.made(values)
        if self.image is None:
            raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
        self.image.SetName(ascii_text(title))
        self.image.GetTagGroup().SetTagAsBoolean("dmlink:result", True)  # it is nobody's live view
        self.image.ShowImage()
        if line:
            self.image.GetImageDisplay(0).ChangeDisplayType(3)
        self.WindowHandleWindowClosedEvent(self.image.GetOrCreateImageDocument().GetWindow(), "pythonplugin")

    def HandleWindowClosedEvent(self, flags, window):
        self.image = None

    def made(self, values):  # DM takes nothing but arrays that own their memory, in C order
        return DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))

    def write(self, values, axes, unit, new):
        self.image.GetNumArray()[..., new] = values[..., new]
        for dimension, axis in enumerate(axes):
            self.image.SetDimensionCalibration(dimension, axis.origin, axis.scale, ascii_text(axis.unit), 0)
        self.image.SetIntensityUnitString(ascii_text(unit))
        self.image.UpdateImage()

    def release(self, delete):
        image, self.image = self.image, None  # DM frees no image that Python holds
        with contextlib.suppress(Exception):  # it is gone already, or GMS up to 3.5.1 cannot unregister
            if delete and image is not None:
                DM.DeleteImage(image)
            self.UnregisterAllListeners()


class Colours(Window):
    """Only DM-script can make and change images in colour, of three grey ones."""

    def made(self, values):
        self.compose("{}.ShowImage()", values)
        image = DM.GetFrontImage()  # perhaps one that the user has clicked just now: a grey one is not ours
        return None if image.GetDataType() in (1, 2, 3, 7, 10, 11, 12, 13) else image

    def write(self, values, axes, unit, new):
        shown = f"RGBimage shown := FindImageByID({self.image.GetID()})\n"
        self.compose(shown + "shown = {}\nshown.UpdateImage()", values)

    def compose(self, text, values):
        planes = [DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")) for i in range(3)]
        DM.ExecuteScriptString(text.format("rgb({}, {}, {})".format(*(p.GetLabel() for p in planes))))
        for plane in planes:
            DM.DeleteImage(plane)


class Marks:
    """Annotations on an image: those of a frame take the place of the ones before."""

    def __init__(self, name):
        self.name, self.image_id, self.drawn, self.others, self.stuck = name, None, [], 0, False

    def draw(self, image, marks, corner=(0, 0)):
        if image.GetID() != self.image_id:
            self.image_id, self.drawn = image.GetID(), []
        display = image.GetImageDisplay(0)
        self.remove(display)
        for mark in () if self.stuck else marks:
            for i, place in enumerate(mark.tlbr[:200]):
                top, left, bottom, right = (place + np.tile(corner, 2)).tolist()
                made = [display.AddNewComponent(5, top, left, bottom, right)]
                if mark.labels:
                    made.append(display.AddNewComponent(13, bottom, left, bottom + 12, right))
                    made[1].TextAnnotationSetText(ascii_text(mark.labels[i]))
                for component in made:
                    component.SetForegroundColor(1.0, 0.8, 0.0)
                    self.drawn.append((component.GetType(), component.GetRect()))

    def remove(self, display):
        """Only DM-script can. Where it does not, what is there stays, and nothing is drawn any more."""
        remove = "FindImageByID({}).ImageGetImageDisplay(0).ComponentGetChild({}).ComponentRemoveFromParent()"
        before = display.CountChildren()
        with contextlib.suppress(RuntimeError):  # DM-script does not know the call
            for i in reversed(range(before if self.drawn else 0)):
                child = display.GetChild(i)
                if (child.GetType(), child.GetRect()) in self.drawn:  # others are the user's
                    DM.ExecuteScriptString(remove.format(self.image_id, i))
        after = display.CountChildren()
        if after > self.others and before - after < len(self.drawn):
            self.stuck = True
            print(f"{self.name}: annotations cannot be removed here: those of one frame stay, no more come.")
        self.drawn, self.others = [], after

    def release(self, delete):
        with contextlib.suppress(Exception):  # the image is gone, and its annotations with it
            self.draw(DM.FindImageByID(self.image_id), [])


def ascii_text(text):
    """Return text as DM takes it: micro signs come from it as bytes, and crash it when sent back."""
    text = str(text, "latin-1") if isinstance(text, bytes) else str(text or "")
    return text.translate({0xB5: "u", 0x3BC: "u", 0xC5: "A", 0x212B: "A"}).encode("ascii", "replace").decode()
