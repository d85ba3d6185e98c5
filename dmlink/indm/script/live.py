"""Live: receives every frame of the live view, and lets the cell process those for which there is time.

With "Execute on background thread" ticked, the cell runs in a loop of this script, beside DigitalMicrograph.
Otherwise it runs at each event of a frame, while DigitalMicrograph waits, so it pauses in between.
"""

import collections
import time

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.clock import steady_time
from dmlink.indm.gms import (
    axis,
    clamped,
    has_window,
    is_ours,
    line_from,
    line_on,
    on_main_thread,
    pixels_of,
    refusal,
    rois_on,
    tags_on,
    title_of,
    unregister,
    version,
)
from dmlink.indm.info import Info, ascii_text
from dmlink.indm.script.cell import Cell, rectangle
from dmlink.indm.script.names import RUNNING
from dmlink.indm.whole_frames import WholeFrames

OVERDUE = 2.0  # s without an event before the loop polls


class LiveView(DM.Py_ScriptObject):
    """The image that the script processes, and its events."""

    def __init__(self, image, cell, reads, place_of):
        DM.Py_ScriptObject.__init__(self)  # first, because the registration needs it
        self.image, self.cell, self.reads, self.place_of = image, cell, reads, place_of
        # if unknown, rely on events: a loop on the main thread would stop DigitalMicrograph
        self.background, self.listens = not on_main_thread(unknown=True), True
        self.waiting = collections.deque()  # frames to be processed, with their Info
        self.frames, self.rest_until, self.came = WholeFrames(), 0.0, time.monotonic()

    def __del__(self):
        """Call DM's own __del__, as published scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def listen(self):
        """Take the current frame, in case no other arrives, and all frames from then on."""
        self.look(announced=False)
        try:
            window = self.image.GetOrCreateImageDocument().GetWindow()
            self.WindowHandleWindowClosedEvent(window, "pythonplugin")
            self.ImageHandleDataChangedEvent(self.image, "pythonplugin")  # last, because frames start now
        except Exception as error:  # for whatever reason this GMS refuses it
            self.listens = False
            if not self.background:
                self.end(f"a listener cannot be created ({error}): tick Execute on background thread")

    def HandleWindowClosedEvent(self, flags, window):
        """Stop: the live view is gone."""
        self.end("the live view was closed")

    def HandleDataChangedEvent(self, flags, image):
        """Look at the image: DM says that it has changed."""
        self.came = time.monotonic()
        self.look(announced=True)

    def look(self, announced):
        """Count the frame if it is new and complete."""
        if self.cell.over:
            return
        try:
            if self.cell.unseen():
                self.end("its window was closed")
                return
            array = pixels_of(self.image)
            seen = self.frames.see(array, announced)
            self.cell.unsure = self.frames.unsure
            there_is_time = not self.waiting and time.perf_counter() >= self.rest_until
            if seen.late is not None:  # only now is it clear that the previous frame was whole
                late = np.frombuffer(seen.late, np.uint8).view(array.dtype).reshape(array.shape)
                self.count(late, there_is_time)
            if seen.whole:
                self.count(array, there_is_time)
        except Exception as error:
            self.cell.tell(error, self.cell.index)

    def count(self, array, there_is_time):
        """Copy a frame to be processed, unless there is no time for it."""
        self.cell.index += 1
        if not there_is_time:
            self.cell.dropped += 1
            return
        self.waiting.append(self.copied(array))
        if not self.background:  # in the background, the script's loop processes it
            self.run()

    def copied(self, array):
        """Return a copy of the first rectangle, or of the whole image, and its Info: the camera writes on."""
        rectangles = [roi.GetRectangle() for roi in rois_on(self.image) if roi.IsRectangle()]
        height, width = array.shape[:2]
        place = clamped(rectangles[0] if rectangles else (0, 0, height, width), height, width)
        top, left, bottom, right = place
        info = Info(self.cell.index, steady_time(), source=title_of(self.image))
        info.x, info.y = axis(self.image, 0).part(left), axis(self.image, 1).part(top)
        info.roi = self.place_of(place, True) if rectangles else None
        if "tags" in self.reads:
            info.tags = tags_on(self.image)
        if "line" in self.reads:
            info.line = line_from(line_on(self.image), top, left)
        if "rois" in self.reads:
            places = (clamped(each, height, width) for each in rectangles)
            seen = [(a - top, b - left, c - top, d - left) for a, b, c, d in places]
            named = [(f"roi {n}" if n > 1 else "roi", roi) for n, roi in enumerate(seen, start=1)]
            info.rois = {name: self.place_of(roi, name == "roi") for name, roi in named}
        return np.array(array[top:bottom, left:right]), info

    def run(self):
        """Process the waiting frame; afterwards, DM gets at least half of the time for itself."""
        began = time.perf_counter()
        self.cell.run(*self.waiting[0])
        took = time.perf_counter() - began
        self.waiting.popleft()  # now, because no other frame is taken earlier
        if not self.background:
            self.rest_until = max(self.rest_until, began) + 2 * took
        self.cell.tell_pace(took)

    def loop(self):
        """Process frames until the end; poll for them if no events arrive."""
        try:
            while not self.cell.over:
                if self.waiting:
                    self.run()
                elif not self.listens and not has_window(self.image):
                    self.end("the live view was closed")
                elif not self.listens or time.monotonic() - self.came > OVERDUE:
                    self.look(announced=False)
                time.sleep(0.01)
        finally:
            self.end("its script was stopped")

    def end(self, why, delete=False):
        """Stop and release everything; `delete` closes the result windows."""
        self.image = None
        self.cell.end(why, delete)
        unregister(self)


def process_live_view(name, mechanics, names, reads, place_of=rectangle):
    """Run process() on every frame of the live view; stop an earlier run of this script.

    `reads` says which information about the frame the cell uses: "tags", "line", "rois".
    `place_of` makes `info.roi` and `info.rois` of the rectangles; the first one is processed.
    """
    running = names[RUNNING]
    if refusal(version()):
        return print(f"{name}: {refusal(version())}")
    image = view_in_front(running)
    end_previous(running, name)
    if image is None:
        return print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
    view = LiveView(image, Cell(name, names, mechanics, image), reads, place_of)
    while running.setdefault(name, view) is not view:  # DM does not keep it alive, but this does
        end_previous(running, name)  # it was executed twice at the same moment
    view.listen()
    if view.cell.over:
        return None
    print(f"{name}: running on {ascii_text(title_of(image))}. Close the live view or the result to stop it.")
    if view.background:
        view.loop()


def end_previous(running, name):
    """Stop an earlier run of this script and close its windows."""
    previous = running.pop(name, None)
    if previous is not None:
        previous.end("it was executed again", delete=True)


def view_in_front(running):
    """Return the front image; if that is the result of a script, the image that the script processes."""
    try:
        image = DM.GetFrontImage()
        if not is_ours(image):
            return image
    except Exception:  # there is none
        pass
    return next((view.image for view in running.values() if view.image is not None), None)
