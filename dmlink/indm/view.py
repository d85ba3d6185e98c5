"""The live view in DigitalMicrograph: its frames counted, the wanted pixels copied, its rectangles read."""

from __future__ import annotations

import collections
import threading
import time
import traceback
from typing import Any, Callable, Collection, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import axis, clamped, signature

EVENTS_OVERDUE = 2.0  # seconds without an event before the loop looks by itself
UNANNOUNCED = 3  # frames without an event that show that none will come
CALIBRATION_SECONDS = 0.5  # how often calibration and tags are read again
TAGS = {
    "exposure": "Acquisition:Parameters:High Level:Exposure (s)",
    "binning": "Acquisition:Parameters:High Level:Binning",
}


class Picture:
    """A copy of a region at one moment: what a FRAME message needs."""

    def __init__(self, region: Region, header: dict[str, Any], pixels: bytearray) -> None:
        self.region = region
        self.header = header
        self.pixels = pixels
        self.readers = 0  # clients that still have to be sent it

    @property
    def moment(self) -> tuple[Any, ...]:
        """What tells this picture from another one of the same region: frame, and place in the image."""
        return self.header["index"], self.header["roi"]


class Region:
    """The pixels that some clients have asked for: the whole image, or the ROI of a name.

    `mailbox` holds the newest picture that has not been sent; the listener fills it, the loop empties it.
    """

    def __init__(self, roi: str | None) -> None:
        self.roi = roi
        self.wanted = False  # somebody has credit; only the loop changes this
        self.mailbox: collections.deque[Picture] = collections.deque(maxlen=1)
        self._spare: list[bytearray] = []

    def memory(self, size: int) -> bytearray:
        """Return memory for a picture of `size` bytes: that of one sent or never sent, if it fits."""
        for take in (self._take_unsent, self._spare.pop):
            try:
                memory = take()
            except IndexError:
                continue
            if len(memory) == size:
                return memory
        return bytearray(size)

    def give_back(self, memory: bytearray) -> None:
        """Take back the memory of a picture that everybody has been sent."""
        if not self._spare:
            self._spare.append(memory)

    def _take_unsent(self) -> bytearray:
        return self.mailbox.pop().pixels


class Listener(DM.Py_ScriptObject):  # type: ignore[misc]
    """What DM calls on every frame and when the window is closed; nothing may escape into DM."""

    def __init__(self, view: View) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.view = view
        self.stop = False

    def __del__(self) -> None:
        """Let DM know, as its own scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Copy what is wanted of the frame that has just come."""
        if not self.stop:
            self.view.last_event = time.monotonic()
            self.view.unannounced = 0
            self.view.observe(image)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Remember that this view is over."""
        self.view.closed = True

    def end(self) -> None:
        """Ask for no more events; GMS up to 3.5.1 cannot be asked, `stop` alone has to do there."""
        self.stop = True
        if hasattr(self, "UnregisterAllListeners"):
            self.UnregisterAllListeners()


class View:
    """One live image. `wake` is called when a mailbox has been filled.

    The listener calls `observe` on DM's main thread, the script's loop everything else.
    """

    def __init__(self, image: Any, wake: Callable[[], None]) -> None:
        self.id = image.GetID()
        self.name = str(image.GetName())
        self.regions: dict[str | None, Region] = {}
        self.index = -1  # of the newest frame
        self.last_event = time.monotonic()
        self.unannounced = 0  # new frames since the last event
        self.closed = False
        self._wake = wake
        self._lock = threading.Lock()
        self._signature: Any = None
        self._circumstances: dict[str, Any] = {}
        self._read = 0.0  # when the circumstances were read
        self._shape: tuple[int, ...] = ()
        self._roi_names: dict[int, str] = {}
        self._errors = 0
        self.listener = Listener(self)
        window = image.GetOrCreateImageDocument().GetWindow()
        self.listener.WindowHandleWindowClosedEvent(window, "pythonplugin")
        self.listener.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now

    def observe(self, image: Any) -> bool:
        """Look at the image; if it is a new frame, count it and copy what is wanted. True if it was."""
        if not self._lock.acquire(blocking=False):
            return False  # the loop and the listener at once: one of them is enough
        try:
            array = np.atleast_2d(image.GetNumArray())
            seen = signature(array)
            if seen == self._signature:  # the In-Situ Player sends its event twice per frame
                return False
            self._signature = seen
            self.index += 1
            self._copy(image, array, [region for region in list(self.regions.values()) if region.wanted])
        except Exception:  # noqa: BLE001 - nothing may escape into DM
            self._errors += 1
            if self._errors <= 3:
                traceback.print_exc()
            return False
        finally:
            self._lock.release()
        return True

    def observe_now(self, image: Any, regions: Collection[Region]) -> None:
        """Copy these regions as they stand, for an image that does not change: a stopped camera, a still."""
        with self._lock:
            self.index = max(self.index, 0)
            self._copy(image, np.atleast_2d(image.GetNumArray()), regions)

    def look(self, image: Any) -> None:
        """Do the listener's work if it has heard nothing for long."""
        if time.monotonic() - self.last_event > EVENTS_OVERDUE and self.observe(image) and self.index > 0:
            self.unannounced += 1
            if self.unannounced == UNANNOUNCED:
                print("dmlink: DigitalMicrograph sends no events for this view; it is looked at instead.")

    @property
    def polling(self) -> bool:
        """Whether frames have to be looked for, because no events come."""
        return self.unannounced >= UNANNOUNCED

    def rois(self, image: Any) -> dict[str, tuple[int, int, int, int]]:
        """Return the rectangles on the image by name, as (top, left, bottom, right) inside of it."""
        display = image.GetImageDisplay(0)
        found = {}
        for i in range(display.CountROIs()):
            roi = display.GetROI(i)
            if roi.IsRectangle():
                size = image.GetDimensionSize(1), image.GetDimensionSize(0)
                found[self._roi_name(roi.GetID())] = clamped(roi.GetRectangle(), *size)
        return found

    def set_roi(self, image: Any, name: str, rectangle: Sequence[float]) -> None:
        """Move the ROI of that name, or draw it."""
        place = clamped(rectangle, image.GetDimensionSize(1), image.GetDimensionSize(0))
        if name in self.rois(image):
            roi_id = next(i for i, n in self._roi_names.items() if n == name)
            DM.GetROIFromID(roi_id).SetRectangle(*place)
            return
        roi = DM.NewROI()
        roi.SetRectangle(*place)
        roi.SetVolatile(False)
        self._roi_names[roi.GetID()] = name
        image.GetImageDisplay(0).AddROI(roi)

    def source(self) -> dict[str, Any]:
        """Return what a link may know of this view."""
        array = DM.FindImageByID(self.id).GetNumArray()
        return {"name": self.name, "id": self.id, "shape": list(array.shape), "dtype": array.dtype.str}

    def _copy(self, image: Any, array: Any, regions: Collection[Region]) -> None:
        if not regions:
            return
        rois = self.rois(image) if any(region.roi for region in regions) else {}
        for region in regions:
            place = (0, 0, *array.shape) if region.roi is None else rois.get(region.roi)
            if place is None:
                continue  # removed in DM: nothing to send until it is back
            top, left, bottom, right = place
            pixels = region.memory((bottom - top) * (right - left) * array.itemsize)
            copy_rectangle(array, place, pixels)
            header = dict(self._header(image, array))
            header["shape"] = [bottom - top, right - left]
            header["x"], header["y"] = header["x"].part(left), header["y"].part(top)
            header["roi"] = None if region.roi is None else place
            region.mailbox.append(Picture(region, header, pixels))
        self._wake()

    def _header(self, image: Any, array: Any) -> dict[str, Any]:
        now = time.time()
        if self._shape != array.shape or now - self._read > CALIBRATION_SECONDS:
            self._read, self._shape = now, array.shape  # binning and magnification change while we run
            self._circumstances = {"x": axis(image, 0), "y": axis(image, 1), "tags": _tags(image)}
        dtype = array.dtype.newbyteorder("<").str
        return dict(self._circumstances, index=self.index, time=now, source=self.name, dtype=dtype)

    def _roi_name(self, roi_id: int) -> str:
        if roi_id not in self._roi_names:
            taken = set(self._roi_names.values())
            names = ["roi"] + [f"roi {n}" for n in range(2, len(taken) + 3)]
            self._roi_names[roi_id] = next(name for name in names if name not in taken)
        return self._roi_names[roi_id]


def copy_rectangle(array: Any, place: Sequence[int], out: bytearray) -> None:
    """Copy the pixels at (top, left, bottom, right) of a 2-D array into `out`.

    Through memoryviews, row by row: they keep the interpreter lock. NumPy's own copy lets it go, and then
    has to wait up to 5 ms for it whenever another Python thread of DM is busy.
    """
    top, left, bottom, right = place
    width = array.shape[1] * array.itemsize
    bytes_of: Any = np.ascontiguousarray(array).view(np.uint8)
    source = memoryview(bytes_of).cast("B")
    target = memoryview(out)
    if right - left == array.shape[1]:
        target[:] = source[top * width : bottom * width]
        return
    n = (right - left) * array.itemsize
    start = left * array.itemsize
    for i, row in enumerate(range(top, bottom)):
        begin = row * width + start
        target[i * n : i * n + n] = source[begin : begin + n]


def _tags(image: Any) -> dict[str, float]:
    group = image.GetTagGroup()
    read = {name: group.GetTagAsDouble(path) for name, path in TAGS.items()}
    return {name: float(value) for name, (found, value) in read.items() if found}
