"""Cell: calls process() for each frame, shows what it returns, and reports errors.

No exception may escape from here into DigitalMicrograph.
"""

import time
import traceback

from dmlink.indm.gms import title_of
from dmlink.indm.results import Several, as_result
from dmlink.indm.script.sums import summable
from dmlink.indm.windows import ImageWindow

SHOW = {}  # functions that show each kind of result, added by the files below


def rectangle(place, first=True):
    """Return (top, left, bottom, right) as `info.roi`; see Masked, for cells that ask for its mask."""
    return tuple(place)


class Cell:
    """The script's process(), the state that it keeps from frame to frame, and its result windows."""

    frames = 0  # frames in the recording, if there is one

    def __init__(self, name, names, mechanics, image):
        self.name, self.process, self.image = name, names["process"], image
        self.file, self.end_of_cell = mechanics.f_code.co_filename, mechanics.f_code.co_firstlineno
        self.index, self.processed, self.dropped, self.unsure = -1, 0, 0, 0
        self.shape, self.state, self.errors, self.over = None, {}, set(), False
        self.windows, self.charts, self.written, self.marked = {}, {}, {}, {}
        self.printed, self.printed_before = set(), set()
        names.setdefault("print", self.print_once)  # in the script's own namespace
        self.told = time.monotonic()

    def run(self, frame, info):
        """Process a frame and show its result."""
        frame = summable(frame)
        frame.flags.writeable = False
        self.printed_before, self.printed = self.printed, set()
        if self.shape != frame.shape:
            self.shape, self.state = frame.shape, {}
        try:
            result = self.process(frame, info, self.state)
            self.processed += 1
            if not self.over:  # it may have been stopped meanwhile
                self.show(self.name, as_result(result, self.name), info)
        except (Exception, SystemExit) as error:
            self.tell(error, info.index)

    def print_once(self, *values, **options):
        """Print a line unless the cell printed it for the previous frame, too: a warning appears once."""
        line = [str(value) for value in values]
        self.printed.add(tuple(line))
        if tuple(line) not in self.printed_before:
            print(*line, **options)

    def show(self, name, result, info):
        """Show a result in windows whose titles begin with `name`, or print it."""
        if result is None:
            return
        if isinstance(result, Several):
            for key, one in result.results.items():
                self.show(f"{name} {key}", one, info)
        elif result.kind in SHOW:
            SHOW[result.kind](self, name, result, info)
        else:
            raise TypeError(f"this script cannot show a {result.kind}: export the cell again.")

    def draw(self, name, values, axes, unit="", line=False, new=slice(None), kind=ImageWindow):
        """Show values in their window, or in a new one if the shape has changed."""
        window = self.windows.get(name)
        if window is None or (not window.closed and window.like != (values.shape, line)):
            if window is not None:
                self.windows.pop(name).release(delete=True)
            window = self.windows[name] = kind(f"{name} of {title_of(self.image)}", values, line)
            new = slice(None)
            if self.over:  # the script was executed again while the window opened
                window.release(delete=True)
        if not window.closed:
            window.write(values, axes, unit, new)
        return window

    def unseen(self):
        """Return whether the user has closed all result windows."""
        windows = list(self.windows.values())  # a copy, because the loop may add one
        closed = [window.closed for window in windows if hasattr(window, "closed")]  # marks have no window
        return closed and all(closed)

    def tell(self, error, index):
        """Print an error of a frame, once per line of the cell."""
        steps = [s for s in traceback.extract_tb(error.__traceback__) if s.filename == self.file]
        lines = [s.lineno for s in steps if s.lineno < self.end_of_cell]
        where = f"line {lines[-1]} of the script" if lines else "showing the result"
        if (type(error), where) not in self.errors and not self.over:
            self.errors.add((type(error), where))
            what = traceback.format_exception_only(type(error), error)[-1].strip()
            print(f"{self.name}: frame {index}, {where}: {what}")

    def tell_pace(self, seconds):
        """Print occasionally that there is no time for all frames; `seconds` is the time for one."""
        if self.dropped and time.monotonic() - self.told > 60:
            self.told = time.monotonic()
            print(f"{self.name}: {1e3 * seconds:.0f} ms per frame; {self.dropped} frames dropped.")

    def end(self, why, delete=False):
        """Release the windows, and print why."""
        if not self.over:
            self.over, self.image = True, None
            unsure = f" Events that may have been incomplete frames: {self.unsure}." if self.unsure else ""
            counts = f"{self.processed} frames processed, {self.dropped} dropped.{unsure}"
            print(f"{self.name}: stopped, {why}. {counts}")
            for window in list(self.windows.values()):  # a copy, because a frame may be in progress
                window.release(delete)
