"""Marks: points and boxes as annotations on an image; those of a frame take the place of the ones before."""

import contextlib

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.info import ascii_text
from dmlink.indm.script.cell import SHOW

BOX, WORDS = 5, 13  # DM's numbers of these kinds of annotation
MOST = 200  # of each kind
RADIUS = 3  # px, of the box that stands for a point
REMOVE = "FindImageByID({}).ImageGetImageDisplay(0).ComponentGetChild({}).ComponentRemoveFromParent()"


class Marks:
    """The annotations of one result."""

    def __init__(self, name):
        self.name, self.image_id, self.drawn, self.others, self.stuck = name, None, [], 0, False

    def draw(self, image, marks, corner=(0, 0)):
        """Draw points and boxes, with (0, 0) at `corner`; if that fails, nothing else does."""
        try:
            self.replace(image, marks, corner)
        except Exception as error:
            if not self.stuck:
                print(f"{self.name}: annotations cannot be drawn here: {error}")
            self.stuck = True

    def replace(self, image, marks, corner):
        """Draw these marks instead of those that are there."""
        if image.GetID() != self.image_id:
            self.image_id, self.drawn = image.GetID(), []
        display = image.GetImageDisplay(0)
        self.remove(display)
        for mark in () if self.stuck else marks:
            for i, place in enumerate(boxes_of(mark)[:MOST]):
                top, left, bottom, right = (place + np.tile(corner, 2)).tolist()
                made = [display.AddNewComponent(BOX, top, left, bottom, right)]
                if mark.labels:
                    made.append(display.AddNewComponent(WORDS, bottom, left, bottom + 12, right))
                    with contextlib.suppress(Exception):  # without its text
                        made[1].TextAnnotationSetText(ascii_text(mark.labels[i]))
                for component in made:
                    component.SetForegroundColor(1.0, 0.8, 0.0)
                    self.drawn.append((component.GetType(), component.GetRect()))

    def remove(self, display):
        """Only DM-script can. Where it does not, what is there stays, and nothing is drawn any more."""
        before = display.CountChildren()
        with contextlib.suppress(RuntimeError):  # DM-script does not know the call
            for i in reversed(range(before if self.drawn else 0)):
                child = display.GetChild(i)
                if (child.GetType(), child.GetRect()) in self.drawn:  # others are the user's
                    DM.ExecuteScriptString(REMOVE.format(self.image_id, i))
        after = display.CountChildren()
        if after > self.others and before - after < len(self.drawn):
            self.stuck = True
            print(f"{self.name}: annotations cannot be removed here: those of one frame stay, no more come.")
        self.drawn, self.others = [], after

    def release(self, delete):
        """Take the annotations away."""
        with contextlib.suppress(Exception):  # the image is gone, and its annotations with it
            self.replace(DM.FindImageByID(self.image_id), [], (0, 0))


def boxes_of(mark):
    """Return (n, 4): the boxes, or a small one around each point."""
    return mark.tlbr if mark.kind == "boxes" else np.hstack([mark.yx - RADIUS, mark.yx + RADIUS])


def show_marks(cell, name, mark, info):
    """Draw points or boxes on the live view, where the frame is."""
    marks = cell.windows.setdefault(f"{name} places", Marks(name))  # the next result may be an image
    marks.draw(cell.image, [mark], (info.roi or (0, 0))[:2])


SHOW["points"] = SHOW["boxes"] = show_marks
