"""Events: each event is printed, and marked on the live view for a while."""

import time

from dmlink.indm.info import ascii_text
from dmlink.indm.results import Boxes
from dmlink.indm.script.cell import SHOW
from dmlink.indm.script.marks import Marks

SECONDS = 5.0  # s for which an event stays marked


def show_event(cell, name, event, info):
    """Print an event, and draw a box with its text around the frame."""
    if event.happened:
        print(f"{name}, frame {cell.index}, {info.time:.3f} s: {ascii_text(event.text)}")
    if cell.frames:  # a recording has no live view
        return
    when, marks = cell.marked.get(name, (None, None))
    if event.happened:
        marks = marks or cell.windows.setdefault(f"{name} event", Marks(name))
        top, left, bottom, right = info.roi or (0, 0, *cell.shape[:2])
        marks.draw(cell.image, [Boxes([(top, left, bottom, right)], labels=[event.text])])
        cell.marked[name] = time.monotonic(), marks
    elif when is not None and time.monotonic() - when > SECONDS:
        marks.draw(cell.image, [])
        cell.marked[name] = None, marks


SHOW["event"] = show_event
