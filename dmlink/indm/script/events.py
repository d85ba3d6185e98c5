"""Events: each event is printed, and marked on the live view for a while."""

import time

from dmlink.indm.info import ascii_text
from dmlink.indm.results import Boxes
from dmlink.indm.script.cell import SHOW
from dmlink.indm.script.marks import Marks

SECONDS = 5.0  # s for which an event stays marked


def show_event(cell, name, event, info):
    """Print an event, and draw a box around the frame with the texts of all recent ones."""
    if event.happened:
        print(f"{name}, frame {info.index}, {info.time:.3f} s: {ascii_text(event.text)}")
    if cell.frames:  # a recording has no live view
        return
    before, now = cell.marked, time.monotonic()
    cell.marked = {key: value for key, value in before.items() if now - value[0] <= SECONDS}
    if event.happened:
        cell.marked[name] = now, event.text
    if event.happened or cell.marked.keys() != before.keys():
        marks = cell.windows.setdefault(f"{cell.name}: events", Marks(cell.name))
        place = info.roi or (0, 0, *cell.shape[:2])
        label = "; ".join(text for _, text in cell.marked.values())
        marks.draw(cell.image, [Boxes([place], labels=[label])] if label else [])


SHOW["event"] = show_event
