"""statistics: processes every frame of the live view in DigitalMicrograph.

How to run it: open this file in a script window (File > Open, language Python), click the live view, then
execute it. On GMS before 3.6.1 leave "Execute on background thread" unticked. A rectangular ROI on the live
view limits what is processed. Close the live view or the result to stop it; execute it again to start anew.

Needs: NumPy, which comes with GMS.
Change the parameters and process() as you like. Made by dmlink 0.1.0.
"""

from __future__ import annotations  # so that Python 3.7 reads newer ones

# Parameters
gain = 1.0  # 0.5 to 2.0: of the mean


def process(frame, info, state):
    average = state.setdefault("average", RunningAverage(1))
    return {
        "mean": Scalar(gain * average.add(frame).mean(), "counts"),
        "rows": Profile(frame.mean(axis=1), scale=info.y.scale, unit=info.y.unit),
        "spots": Points(frame[:1, :2], labels=["a"]),
    }


# -------------------- Nothing below needs to be changed --------------------

def dmlink_live():
    import DigitalMicrograph as DM
    import contextlib
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

    class Scalar:
        def __init__(self, value, unit="", name=""):
            series = value if isinstance(value, dict) else {"value": value}
            self.series = {str(k): float("nan" if v is None else v) for k, v in series.items()}
            self.value = self.series if isinstance(value, dict) else self.series["value"]
            self.unit, self.name = unit, name

        def show_in(self, live, name, info):
            values = list(self.series.values())
            columns, frames, new = remember(live, name, values, empty=[[value] for value in values])
            live.draw(name, columns, (frames, Axis()), self.unit, line=True, new=new)

        @staticmethod
        def suits(value):
            given = [v for v in (value.values() if isinstance(value, dict) else [value]) if v is not None]
            plain = [not isinstance(v, (list, tuple)) and np.ndim(v) == 0 for v in given]
            return any(plain) and all(plain) and all(np.asarray(v).dtype.kind in "biuf" for v in given)

    class Profile:
        def __init__(self, values, scale=1.0, origin=0.0, unit="", value_unit="", name=""):
            self.values, self.x = numbers(values, 1), Axis(float(origin), float(scale), unit)
            self.value_unit, self.name = value_unit, name

        def show_in(self, live, name, info):
            live.draw(name, self.values, (self.x,), self.value_unit, line=True)
            columns, frames, new = remember(live, name, self.values, empty=self.values.min())
            live.draw(f"{name} in time", columns, (frames, self.x), self.value_unit, new=new)

        @staticmethod
        def suits(value):
            return np.ndim(value) == 1

    def remember(live, name, column, empty):
        """Add a column to those of the frames before; when they are full, there is room for twice as many."""
        columns, first, n = live.columns.get(name, (np.zeros((0, 0)), 0, 0))
        if len(column) != len(columns):
            columns, first, n = np.zeros((len(column), 0), np.float32), 0, 0
        new = slice(n, n + 1)
        if n == columns.shape[1]:
            gone, new = n // 2 if n >= 2048 else 0, slice(None)
            kept, first, n = columns[:, gone:], first + gone, n - gone
            room = np.full((len(column), max(n, 256)), np.where(np.isfinite(empty), empty, 0), np.float32)
            columns = np.hstack([kept, room])
        columns[:, n] = column
        live.columns[name] = columns, first, n + 1
        return columns, Axis(float(first), 1.0, "frames"), new

    def numbers(values, dimensions):
        array = np.asarray(values)
        if array.dtype.kind not in "biuf" or not array.size or array.ndim != dimensions:
            raise ValueError(f"{dimensions}-D numbers are shown here, not {array.dtype} of shape {array.shape}.")
        return array

    class Boxes:
        def __init__(self, tlbr, name="", labels=None):
            self.tlbr, self.name = np.asarray(tlbr, float).reshape(-1, 4), name
            self.labels = () if labels is None else tuple(map(str, labels))

        def show_in(self, live, name, info):
            live.windows.setdefault(name, Marks(name)).draw(live.image, [self], (info.roi or (0, 0))[:2])

    class Points(Boxes):  # drawn as small ones
        def __init__(self, yx, name="", labels=None, tails=None):
            self.yx, self.tails = np.asarray(yx, float).reshape(-1, 2), () if tails is None else tuple(tails)
            Boxes.__init__(self, np.hstack([self.yx - 3, self.yx + 3]), name, labels)

    class Several:
        def __init__(self, results, name=""):
            self.results, self.name = {}, name
            for key, value in results.items() if isinstance(results, dict) else enumerate(results, 1):
                result = as_result(value)
                if isinstance(result, Several):
                    raise TypeError(f"The result {key!r} is itself several: put all of them side by side.")
                if result is not None:
                    own = result.name if result.name and not isinstance(results, dict) else str(key)
                    while own in self.results:
                        own += "'"
                    self.results[own] = result

        def show_in(self, live, name, info):
            for key, one in self.results.items():
                one.show_in(live, f"{name} {key}", info)

        @staticmethod
        def suits(value):
            return isinstance(value, (dict, tuple)) and len(value) > 0

    def as_result(value):
        """Give a bare value its obvious meaning, of those that this script knows."""
        if value is None or hasattr(value, "show_in"):
            return value
        for kind in MEANINGS:
            if kind.suits(value):
                return kind(value)
        raise TypeError(f"this script cannot show a {type(value).__name__}: export the cell again.")

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

    class Live(DM.Py_ScriptObject):
        """Processes a live view; nothing may escape from here into DM."""

        def __init__(self, image, name, names, meaning, about):
            DM.Py_ScriptObject.__init__(self)
            self.image, self.name, self.meaning, self.about = image, name, meaning, about
            self.process, self.code = names["process"], names["dmlink_live"].__code__
            self.background, self.stop, self.waiting = not DM.IsScriptOnMainThread(), False, None
            self.index, self.processed, self.skipped, self.rest_until = -1, 0, 0, 0.0
            self.came = self.told = time.monotonic()
            self.rows, self.last, self.deepest = [], 0, 0
            self.shape, self.state, self.errors = None, {}, set()
            self.windows, self.columns, self.written = {}, {}, {}

        def HandleWindowClosedEvent(self, flags, window):
            self.end("the live view was closed")

        def HandleDataChangedEvent(self, flags, image):
            """Take the frame if it is new, complete, and nothing else is at work."""
            if self.stop:
                return
            self.came = self.came if flags is None else time.monotonic()
            try:
                array = np.atleast_2d(self.image.GetNumArray())
                if self.unseen():
                    self.end("its window was closed")
                elif self.complete(array):
                    self.index += 1
                    if self.waiting or time.perf_counter() < self.rest_until:
                        self.skipped += 1
                    else:
                        self.waiting = self.take(array)
                        if not self.background:  # there, the script's loop does it
                            self.run()
            except Exception as error:
                self.tell(error)

        def unseen(self):
            images = [window.image for window in self.windows.values() if hasattr(window, "image")]  # not marks
            return images and all(image is None for image in images)

        def complete(self, array):
            """Say whether this is a new frame, and all of it: has the last row changed that ever does?"""
            before, self.rows = self.rows, [row.tobytes() for row in array[:: -(1 + len(array) // 32)]]
            if len(before) != len(self.rows) or len(before[0]) != len(self.rows[0]):
                self.last, self.deepest = 0, len(self.rows)
                return True
            changed = [i for i, row in enumerate(self.rows) if row != before[i]]  # counted from the bottom
            if not changed:
                return False
            if changed[-1] > self.deepest:  # it begins anew at the top: no row below those of before ever came
                self.last = self.deepest
            self.deepest, self.last = changed[0], min(changed[0], self.last)
            return self.deepest == self.last

        def take(self, array):
            """Copy the ROI, as the camera writes on: the first rectangle, as far as it is on the image."""
            display, (h, w) = self.image.GetImageDisplay(0), array.shape[:2]
            rois = [display.GetROI(i) for i in range(display.CountROIs())]
            roi = next((roi.GetRectangle() for roi in rois if roi.IsRectangle()), None)
            top, left, bottom, right = map(int, roi or (0, 0, h, w))
            top, left = min(max(0, top), h - 1), min(max(0, left), w - 1)
            bottom, right = min(max(top + 1, bottom), h), min(max(left + 1, right), w)
            frame = np.array(array[top:bottom, left:right])
            return frame, self.info(top, left, (top, left, bottom, right) if roi else None)

        def info(self, top, left, roi):
            axes = [self.image.GetDimensionCalibration(i, 0) for i in range(self.image.GetNumDimensions())]
            axes = [Axis(o, s, ascii_text(u)) if np.isfinite(o + s) else Axis() for o, s, u in axes] + [Axis()]
            x, y = axes[0].part(left), axes[1].part(top)
            info = {"x": x, "y": y, "scale": x.scale, "origin": x.origin, "unit": x.unit, "roi": roi}
            info.update(index=self.index, time=time.time(), source=str(self.image.GetName()), tags={}, line=None)
            info.update((name, read(self.image, top, left)) for name, read in self.about.items())
            return SimpleNamespace(**info)

        def run(self):
            (frame, info), began = self.waiting, time.perf_counter()
            frame.flags.writeable = False
            if self.shape != frame.shape:
                self.shape, self.state = frame.shape, {}
            try:
                result = self.process(frame, info, self.state)
                self.processed += 1
                if result is not None:
                    result = result if hasattr(result, "show_in") else self.meaning(result)
                    result.show_in(self, self.name, info)
            except (Exception, SystemExit) as error:
                self.tell(error)
            took, self.waiting = time.perf_counter() - began, None
            if not self.background:
                self.rest_until = began + 2 * took  # DM has at least half of the time for itself
            if self.skipped and time.monotonic() - self.told > 60:
                self.told = time.monotonic()
                print(f"{self.name}: {1e3 * took:.0f} ms per frame; {self.skipped} frames skipped.")

        def draw(self, name, values, axes, unit="", line=False, new=slice(None), kind=Window):
            """Show values in their window: a new one if those before had another shape."""
            window = self.windows.get(name)
            if window is None or (window.image is not None and window.like != (values.shape, line)):
                if window is not None:
                    window.release(delete=True)
                window = self.windows[name] = kind(f"{name} of {self.image.GetName()}", values, line)
            if window.image is not None:
                window.write(values, axes, unit, new)
            return window

        def tell(self, error):
            """Print an error once for each line of process() and what it calls."""
            steps = [s for s in traceback.extract_tb(error.__traceback__) if s.filename == self.code.co_filename]
            lines = [s.lineno for s in steps if s.lineno < self.code.co_firstlineno]
            where = f"line {lines[-1]} of the script" if lines else "showing the result"
            if (type(error), where) not in self.errors and not self.stop:
                self.errors.add((type(error), where))
                what = traceback.format_exception_only(type(error), error)[-1].strip()
                print(f"{self.name}: frame {self.index}, {where}: {what}")

        def end(self, why, delete=False):
            if not self.stop:
                self.stop, self.image = True, None
                print(f"{self.name}: stopped, {why}. {self.processed} frames processed, {self.skipped} skipped.")
                with contextlib.suppress(Exception):  # up to GMS 3.5.1 `stop` alone has to do
                    self.UnregisterAllListeners()
                for window in self.windows.values():
                    window.release(delete)

    def process_live_view(name, caller, kinds, meaning, **about):
        """Run the process() of the calling script on every frame; stop what an earlier run has started."""
        names = own_names(caller, kinds)
        if names is None:
            return
        number = 'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version", b)'
        DM.ExecuteScriptString("number a, b, c\nGetApplicationVersion(a, b, c)\n" + number)
        if DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version")[1] in (50, 51):
            why = "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
            return print(f"{name}: {why}")
        scripts = names["dmlink_scripts"]
        image = live_view(scripts)
        if name in scripts:
            scripts.pop(name).end("it is executed anew", delete=True)
        if image is None:
            return print(f"{name}: there is no live view. Start it, click it, and execute this script again.")
        live = scripts[name] = Live(image, name, names, meaning, about)  # DM keeps no hold on it: this does
        live.WindowHandleWindowClosedEvent(image.GetOrCreateImageDocument().GetWindow(), "pythonplugin")
        live.HandleDataChangedEvent(None, image)  # also for an image that stands still
        live.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
        print(f"{name}: running on {ascii_text(image.GetName())}. Close the live view or the result to stop it.")
        try:
            while live.background and not live.stop:
                if live.waiting:
                    live.run()
                elif time.monotonic() - live.came > 2:  # no events come here: look for new frames
                    live.HandleDataChangedEvent(None, image)
                time.sleep(0.01)
        finally:
            if live.background:
                live.end("its script was stopped")

    def live_view(scripts):
        """Return the image in front; if that is the result of a script, what this or another one looks at."""
        with contextlib.suppress(Exception):  # there is none
            image = DM.GetFrontImage()
            if not all(image.GetTagGroup().GetTagAsBoolean("dmlink:result")):
                return image
        return next((live.image for live in scripts.values() if live.image is not None), None)

    def own_names(caller, kinds):
        """DM's scripts share their names: run the calling one in some of its own, and there return them."""
        names = caller.f_globals
        if "dmlink_scripts" not in names:
            running = names.setdefault("dmlink_running", {})
            home = {key: value for key, value in names.items() if key.startswith("__") or key == "DM"}
            return exec(caller.f_code, dict(home, dmlink_scripts=running))
        for kind in kinds:
            names.setdefault(kind.__name__, kind)
        return names

    class RunningAverage:
        """The average over about the last `n` frames, in which the older ones fade."""

        def __init__(self, n: float) -> None:
            self.n = n
            self.average: Any = None

        def add(self, frame: Any) -> Any:
            """Add a frame (h, w); return the average, of the same shape, float32 or, for 32-bit counts, float64."""
            frame = np.asarray(frame)
            frame = frame.astype(np.result_type(frame.dtype, np.float32))
            if self.average is None or self.average.shape != frame.shape or self.n <= 1:
                self.average = frame
            else:
                p = (self.n - 1) / (self.n + 1)
                self.average = p * self.average + (1 - p) * frame
            return self.average

    MEANINGS = [Scalar, Several, Profile]
    process_live_view('statistics', sys._getframe(1), [Axis, Points, Profile, RunningAverage, Scalar], as_result)


dmlink_live()
