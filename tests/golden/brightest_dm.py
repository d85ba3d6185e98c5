"""brightest: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to start anew.

Needs: NumPy, which comes with GMS.
Change the parameters and process() as you like. Made by dmlink 0.1.0.dev0.
"""

from __future__ import annotations  # so that Python 3.7 reads newer ones

import numpy as np

# Parameters
n = 5  # 1 to 50: how many points


def process(frame, info, state):
    order = np.argsort(frame, axis=None)[-n:]
    yx = np.column_stack(np.unravel_index(order, frame.shape))
    return Points(yx)


# -------------------- Nothing below needs to be changed --------------------

def dmlink_live():
    import DigitalMicrograph as DM
    import math
    import numpy as np
    import sys
    import time
    import traceback
    from types import SimpleNamespace
    from typing import NamedTuple

    class Axis(NamedTuple):  # the value at pixel i is origin + scale * i, in unit
        origin: float = 0.0
        scale: float = 1.0
        unit: str = ""

        def part(self, start):
            return self._replace(origin=self.origin + self.scale * start)

        def values(self, n):
            return self.origin + self.scale * np.arange(n)

    def Points(yx, name="", labels=None, tails=None):
        yx = np.asarray(yx, float).reshape(-1, 2)
        places, labels = np.hstack([yx - 3, yx + 3]), tuple(map(str, labels or ()))
        return SimpleNamespace(show=show_marks, yx=yx, places=places, labels=labels, tails=tails or (), name=name)

    def show_marks(live, name, result, info):
        drawn = draw_marks(live.image, [result], live.marks.get(name), info.roi or (0, 0))
        live.marks[name], image = drawn, live.image
        live.erasers[name] = lambda: draw_marks(image, [], drawn, (0, 0))

    def draw_marks(image, marks, drawn, corner):
        """Draw annotations in the place of those drawn for the frame before, and return what is there now."""
        try:
            display = image.GetImageDisplay(0)
        except Exception:  # its window was closed
            return []
        remove = "FindImageByID({}).ImageGetImageDisplay(0).ComponentGetChild({}).ComponentRemoveFromParent()"
        for i in reversed(range(display.CountChildren() if drawn else 0)):
            if (display.GetChild(i).GetType(), display.GetChild(i).GetRect()) in drawn:  # others are the user's
                DM.ExecuteScriptString(remove.format(image.GetID(), i))
        made = []
        for mark in marks:
            for i, place in enumerate(mark.places[:200].tolist()):
                top, left, bottom, right = (a + b for a, b in zip(place, [*corner[:2], *corner[:2]]))
                made.append(display.AddNewComponent(5, top, left, bottom, right))
                if mark.labels:
                    made.append(display.AddNewComponent(13, bottom, left, bottom + 12, right))
                    made[-1].TextAnnotationSetText(ascii_text(mark.labels[i]))
        for component in made:
            component.SetForegroundColor(1.0, 0.8, 0.0)
        return [(component.GetType(), component.GetRect()) for component in made]

    class Window(DM.Py_ScriptObject):
        """A result on the screen, for values of one shape; it notices when the user closes it."""

        def __init__(self, title, values, line):
            DM.Py_ScriptObject.__init__(self)
            self.like, self.marks = (values.shape, line), None
            if values.ndim == 3:
                self.colour("{}.ShowImage()", values)
                self.image = DM.GetFrontImage()
            else:  # DM takes nothing but arrays that own their memory, in C order
                self.image = DM.CreateImage(np.array(values, dtype=np.float32, order="C", copy=True))
            if self.image is None:
                raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {values.shape}.")
            self.image.SetName(title)
            self.image.GetTagGroup().SetTagAsBoolean("dmlink:result", True)  # it is nobody's live view
            if line:
                document = DM.NewImageDocument(title)
                document.AddImageDisplay(self.image, 3)
                document.Show()
            elif values.ndim == 2:
                self.image.ShowImage()
            self.WindowHandleWindowClosedEvent(self.image.GetOrCreateImageDocument().GetWindow(), "pythonplugin")

        def HandleWindowClosedEvent(self, flags, window):
            self.image = None

        def draw(self, values, x, y, unit="", new=slice(None)):
            image = self.image
            if image is not None and values.ndim == 3:
                text = "RGBimage shown := FindImageByID({})\nshown = {{}}\nshown.UpdateImage()"
                self.colour(text.format(image.GetID()), values)
            elif image is not None:
                image.GetNumArray()[..., new] = values[..., new]
                for dimension, axis in enumerate((x, y)[: values.ndim]):
                    image.SetDimensionCalibration(dimension, axis.origin, axis.scale, ascii_text(axis.unit), 0)
                image.SetIntensityUnitString(ascii_text(unit))
                image.UpdateImage()

        def colour(self, text, values):  # only DM-script can make and change colours, of three grey images
            planes = [DM.CreateImage(np.array(values[..., i], dtype=np.uint8, order="C")) for i in range(3)]
            DM.ExecuteScriptString(text.format("rgb({}, {}, {})".format(*(p.GetLabel() for p in planes))))
            for plane in planes:
                DM.DeleteImage(plane)

        def release(self, delete):
            image, self.image = self.image, None
            getattr(self, "UnregisterAllListeners", int)()  # not in GMS up to 3.5.1
            if delete and image is not None:
                DM.DeleteImage(image)

    class Live(DM.Py_ScriptObject):
        """Listens to a live view; nothing may escape from here into DM."""

        def __init__(self, image, name, process, first, meaning, tags):
            DM.Py_ScriptObject.__init__(self)  # before all else, as the registrations need it
            self.image, self.name, self.process, self.meaning, self.tags = image, name, process, meaning, tags
            self.first = first  # the first line of the mechanics
            self.background, self.waiting = not DM.IsScriptOnMainThread(), None
            self.stop = self.busy = False
            self.came = self.reported = time.time()
            self.index, self.processed, self.skipped, self.told, self.rest_until = -1, 0, 0, 0, 0.0
            self.rows, self.tail, self.scanned = [], -1, -1
            self.like, self.state, self.errors = None, {}, set()
            self.windows, self.columns, self.marks, self.erasers, self.printed = {}, {}, {}, {}, {}

        def HandleWindowClosedEvent(self, flags, window):
            self.end("the live view was closed")

        def HandleDataChangedEvent(self, flags, image):
            """Take the frame if it is new, complete, and nothing else is at work."""
            if self.stop:
                return
            self.came = time.time() if flags is not None else self.came
            try:
                if self.windows and all(window.image is None for window in self.windows.values()):
                    self.end("its window was closed")
                    return
                array = np.atleast_2d(self.image.GetNumArray())
                if self.complete(array):
                    self.index += 1
                    if self.busy or time.perf_counter() < self.rest_until:
                        self.skipped += 1
                    else:
                        self.waiting, self.busy = self.take(array), True
            except Exception as error:
                self.tell(error)
            if self.waiting and not self.background:  # in the background the script's loop does it
                self.run()

        def complete(self, array):
            """Say whether this is a new frame, and all of it: a scan (STEM) comes in parts, from the top down."""
            rows = [row[:: 1 + row.size // 500].tobytes() for row in array[:: -max(1, len(array) // 8)][::-1]]
            changed = [i for i, row in enumerate(rows) if [row] != self.rows[i : i + 1]]
            size, self.rows = [len(self.rows), *map(len, self.rows[:1])], rows
            if size != [len(rows), len(rows[0])]:
                self.tail, self.scanned = len(rows) - 1, -1
                return True
            if not changed:
                return False  # the In-Situ Player sends its event twice for a frame
            if changed[-1] < self.tail and changed == list(range(changed[0], changed[-1] + 1)):
                if changed[0] < self.scanned:
                    self.tail = self.scanned  # the rows come anew: those below do never change
                if changed[-1] < self.tail:
                    self.scanned = changed[-1]
                    return False
            self.tail, self.scanned = max(self.tail, changed[-1]), -1
            return True

        def take(self, array):
            """Copy the ROI, as the camera writes on: the first rectangle, as far as it is on the image."""
            display = self.image.GetImageDisplay(0)
            rois = [display.GetROI(i) for i in range(display.CountROIs())]
            roi = next((roi.GetRectangle() for roi in rois if roi.IsRectangle()), None)
            h, w = array.shape[:2]
            top, left, bottom, right = map(int, roi or (0, 0, h, w))
            top, left = min(max(0, top), h - 1), min(max(0, left), w - 1)
            bottom, right = min(max(top + 1, bottom), h), min(max(left + 1, right), w)
            frame = np.array(array[top:bottom, left:right])
            frame.flags.writeable = False
            axes = [self.image.GetDimensionCalibration(i, 0) for i in range(self.image.GetNumDimensions())]
            axes = [Axis(a[0], a[1], ascii_text(a[2])) if math.isfinite(a[0] + a[1]) else Axis() for a in axes]
            x, y = axes[0].part(left), (axes[1] if len(axes) > 1 else Axis()).part(top)
            place, source = (top, left, bottom, right) if roi else None, str(self.image.GetName())
            about = {"scale": x.scale, "origin": x.origin, "unit": x.unit, "tags": self.tags(self.image)}
            about.update(index=self.index, time=time.time(), x=x, y=y, roi=place, source=source)
            return frame, SimpleNamespace(**about)

        def run(self):
            (frame, info), self.waiting, began = self.waiting, None, time.perf_counter()
            if self.like != frame.shape:
                self.like = frame.shape
                self.state.clear()
            try:
                result = self.meaning(self.process(frame, info, self.state))
                self.processed += 1
                if not (result is None or hasattr(result, "show")):
                    raise TypeError(f"this script cannot show a {type(result).__name__}: export the cell again.")
                if result is not None:
                    result.show(self, self.name, result, info)
            except (Exception, SystemExit) as error:
                self.tell(error)
            self.busy, now = False, time.perf_counter()
            if not self.background:
                self.rest_until = 2 * now - began  # DM has at least half of the time for itself
            if time.time() - self.reported > 60 and self.skipped > self.told:
                self.reported, self.told = time.time(), self.skipped
                print(f"{self.name}: {1e3 * (now - began):.0f} ms per frame; {self.skipped} frames skipped.")

        def window(self, name, values, line=False):
            """Return the window for these values; a new one if those before had another shape."""
            old = self.windows.get(name)
            if old is None or (old.image is not None and old.like != (values.shape, line)):
                if old:
                    old.release(delete=True)
                title = ascii_text(f"{name} of {self.image.GetName()}")
                self.windows[name] = Window(title, values, line)
            return self.windows[name]

        def remember(self, name, column):
            """Add a column to those of the last frames; their number doubles, at last the older half goes."""
            columns, first, n = self.columns.get(name, (np.zeros((0, 0), np.float32), 0, 0))
            if len(column) != len(columns):
                columns, first, n = np.zeros((len(column), 256), np.float32), 0, 0
            new = slice(n, n + 1)
            if n == columns.shape[1]:
                gone = n // 2 if n >= 2048 else 0
                kept = columns[:, gone:]
                columns, first, n = np.concatenate([kept, np.zeros_like(kept)], axis=1), first + gone, n - gone
                new = slice(None)
            columns[:, n] = column
            self.columns[name] = columns, first, n + 1
            return columns, Axis(float(first), 1.0, "frames"), new

        def tell(self, error):
            """Print an error once for each line of process() and what it calls."""
            if self.stop:
                return
            script = self.process.__code__.co_filename
            steps = traceback.extract_tb(error.__traceback__)
            line = [step.lineno for step in steps if step.filename == script and step.lineno < self.first][-1:]
            if (type(error), *line) not in self.errors:
                self.errors.add((type(error), *line))
                where = f"line {line[0]} of the script" if line else "showing the result"
                what = traceback.format_exception_only(type(error), error)[-1].strip()
                print(f"{self.name}: frame {self.index}, {where}: {what}")

        def end(self, why, delete=False):
            if not self.stop:
                self.stop = True
                print(f"{self.name}: stopped, {why}. {self.processed} frames processed, {self.skipped} skipped.")
                getattr(self, "UnregisterAllListeners", int)()  # up to GMS 3.5.1 `stop` alone has to do
                for erase in self.erasers.values():
                    erase()
                self.erasers.clear()
                for window in self.windows.values():
                    window.release(delete)
                self.image = None  # DM frees no image that Python holds

    def ascii_text(text):
        """Return text as DM takes it: micro signs come from it as bytes, and crash it when sent back."""
        text = str(text, "latin-1") if isinstance(text, bytes) else str(text or "")
        return text.replace("\u00b5", "u").replace("\u03bc", "u").encode("ascii", "replace").decode("ascii")

    def live_view():
        """Return the image in front, or else the first one, that is no result of a script."""
        for i in range(-1, DM.CountImageDocuments()):
            try:
                image = DM.GetFrontImage() if i < 0 else DM.GetImageDocument(i).GetImage(0)
                found, ours = image.GetTagGroup().GetTagAsBoolean("dmlink:result")
                if not (found and ours) and image.GetNumArray().ndim < 3:
                    return image
            except Exception:  # a document without an image, or colours
                continue
        return None

    def own_names(caller):
        """DM's scripts share their names: run the calling one in some of its own, and there return them."""
        names = caller.f_globals
        if "dmlink_scripts" in names:
            return names
        running = names.setdefault("dmlink_running", {})
        home = {key: value for key, value in names.items() if key.startswith("__") or key == "DM"}
        exec(caller.f_code, dict(home, dmlink_scripts=running))

    def start(name, caller, kinds, meaning=lambda result: result, tags=lambda image: {}):
        """Run the process() of the calling script on every frame; stop what an earlier run has started."""
        names = own_names(caller)
        if names is None:
            return
        number = 'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version", b)'
        DM.ExecuteScriptString("number a, b, c\nGetApplicationVersion(a, b, c)\n" + number)
        if DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version")[1] in (50, 51):
            why = "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
            return print(f"{name}: {why}")
        scripts = names["dmlink_scripts"]
        if name in scripts:
            scripts.pop(name).end("it is executed anew", delete=True)
        image = live_view()
        if image is None:
            return print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
        for kind in kinds:
            names.setdefault(kind.__name__, kind)
        live = Live(image, name, names["process"], names["dmlink_live"].__code__.co_firstlineno, meaning, tags)
        scripts[name] = live  # DM keeps no hold on it: this does
        live.WindowHandleWindowClosedEvent(image.GetOrCreateImageDocument().GetWindow(), "pythonplugin")
        live.HandleDataChangedEvent(None, image)  # also for an image that stands still
        live.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
        print(f"{name}: running on {ascii_text(image.GetName())}. Close the live view or the result to stop it.")
        try:
            while live.background and not live.stop:
                if live.waiting:
                    live.run()
                elif time.time() - live.came > 2:  # no events come here: look for new frames
                    live.HandleDataChangedEvent(None, image)
                time.sleep(0.01)
        finally:
            if live.background:
                live.end("its script was stopped")
    start('brightest', sys._getframe(1), [Axis, Points])


dmlink_live()
