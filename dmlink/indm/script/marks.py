"""Marks: points and boxes as annotations on an image; those of each frame replace the previous ones."""

import contextlib

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.info import ascii_text
from dmlink.indm.script.cell import SHOW

BOX, WORDS = 5, 13  # DM's type numbers of these annotations
MOST = 200  # marks of each kind
RADIUS = 3  # px, size of the box that represents a point
REMOVE = "FindImageByID({}).ImageGetImageDisplay(0).ComponentGetChild({}).ComponentRemoveFromParent()"


class Marks:
    """The annotations of one result."""

    def __init__(self, name):
        self.name, self.image_id, self.drawn, self.others, self.stuck = name, None, [], 0, False

    def draw(self, image, marks, corner=(0, 0)):
        """Draw points and boxes, with (0, 0) at `corner`; a failure affects nothing else."""
        try:
            self.replace(image, marks, corner)
        except Exception as error:
            if not self.stuck:
                print(f"{self.name}: annotations cannot be drawn here: {error}")
            self.stuck = True

    def replace(self, image, marks, corner):
        """Replace the current marks with these."""
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
                    with contextlib.suppress(Exception):  # shown without its text
                        made[1].TextAnnotationSetText(ascii_text(mark.labels[i]))
                for component in made:
                    component.SetForegroundColor(1.0, 0.8, 0.0)
                    self.drawn.append((component.GetType(), component.GetRect()))

    def remove(self, display):
        """Remove the marks, which only DM-script can do. If it fails, they stay, and no more are drawn."""
        before = display.CountChildren()
        with contextlib.suppress(RuntimeError):  # DM-script does not know the call
            for i in reversed(range(before if self.drawn else 0)):
                child = display.GetChild(i)
                if (child.GetType(), child.GetRect()) in self.drawn:  # the others belong to the user
                    DM.ExecuteScriptString(REMOVE.format(self.image_id, i))
        after = display.CountChildren()
        if after > self.others and before - after < len(self.drawn):
            self.stuck = True
            print(f"{self.name}: annotations cannot be removed here; one frame's remain, no more are drawn.")
        self.drawn, self.others = [], after

    def release(self, delete):
        """Remove the annotations."""
        with contextlib.suppress(Exception):  # the image is gone, and so are its annotations
            self.replace(DM.FindImageByID(self.image_id), [], (0, 0))


def boxes_of(mark):
    """Return (n, 4): the boxes, or a small one around each point."""
    if mark.kind == "boxes":
        return mark.tlbr
    middle = mark.yx + 0.5  # DM counts from the corner of the first pixel, points from its middle
    return np.hstack([middle - RADIUS, middle + RADIUS])


def show_marks(cell, name, mark, info):
    """Draw points or boxes on the live view, at the position of the frame."""
    marks = cell.windows.setdefault(f"{name} places", Marks(name))  # the next result may be an image
    marks.draw(cell.image, [mark], (info.roi or (0, 0))[:2])


SHOW["points"] = SHOW["boxes"] = show_marks
