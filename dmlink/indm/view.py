"""A live view in DigitalMicrograph: its frames counted, the wanted pixels copied, its rectangles read."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
import traceback
from typing import Any, Callable, Collection, Iterator, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.changes import Changes
from dmlink.indm.clock import steady_time
from dmlink.indm.gms import axis, clamped, pixels_of, unregister
from dmlink.indm.info import tags_of
from dmlink.indm.packing import packed
from dmlink.indm.protocol import BLOSC

EVENTS_OVERDUE = 2.0  # seconds without an event before the loop looks by itself
UNANNOUNCED = 3  # frames without an event that show that none will come
CALIBRATION_SECONDS = 0.5  # how often calibration and tags are read again
LOSSLESS_BYTES = 512 * 1024**2  # of one view's frames that wait for links which want every frame
MAX_SPARE = 4  # pieces of memory kept for the next pictures
EVERY_EVENT = False  # a replay says of each frame that it is one, also if its pixels are those of the last


class Picture:
    """A copy of a region at one moment: what a FRAME message needs."""

    def __init__(self, region: Region, header: dict[str, Any], pixels: bytearray) -> None:
        self.region = region
        self.header = header
        self.pixels = pixels
        self.readers = 0  # clients that still have to be sent it
        self._packed: Any = None

    def packed(self, packer: Any) -> tuple[dict[str, Any], Any]:
        """Return header and payload, packed once for all clients, if that takes fewer bytes."""
        if self._packed is None:
            self._packed = packed(packer, self.pixels, self.header["dtype"])
        if self._packed is self.pixels:
            return self.header, self.pixels
        return dict(self.header, packing=BLOSC), self._packed

    @property
    def moment(self) -> tuple[Any, ...]:
        """What tells this picture from another one of the same region: frame, place in the image, line."""
        return self.header["index"], self.header["roi"], self.header.get("line")


class Region:
    """The pixels that some clients have asked for: the whole image, or the ROI of a name.

    `mailbox` holds what has not been sent: the newest picture, or with `lossless` all of them. The listener
    fills it, the loop empties it.
    """

    def __init__(self, roi: str | None, lossless: bool = False) -> None:
        self.roi = roi
        self.lossless = lossless
        self.wanted = False  # somebody has credit; only the loop changes this
        self.missed = 0  # frames that a lossless region had no room for
        self.mailbox: collections.deque[Picture] = collections.deque(maxlen=None if lossless else 1)
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
        if len(self._spare) < (MAX_SPARE if self.lossless else 1):
            self._spare.append(memory)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the pictures that wait."""
        return sum(len(picture.pixels) for picture in list(self.mailbox))

    def _take_unsent(self) -> bytearray:
        if self.lossless:
            raise IndexError
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
            self.view.announced = EVERY_EVENT
            self.view.observe(image)

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Remember that this view is over."""
        self.view.closed = True

    def end(self) -> None:
        """Ask for no more events; GMS up to 3.5.1 cannot be asked, `stop` alone has to do there."""
        self.stop = True
        unregister(self)


class View:
    """One live image. `wake` is called when a mailbox has been filled; `names`: of ROIs, by ID.

    The listener calls `observe` on DM's main thread, the script's loop everything else. Neither waits for
    the other: what the listener cannot do at once because the loop is busy here, the loop does after it.

    Raises
    ------
    ValueError
        If an image of this kind cannot be streamed.
    """

    def __init__(
        self, image: Any, wake: Callable[[], None], first: int = 0, names: dict[int, str] | None = None
    ) -> None:
        array = pixels_of(image)
        self._changes = Changes()
        self._changes.complete(array)
        self.id = image.GetID()
        self.name = str(image.GetName())
        self.regions: list[Region] = []
        self.known_rois: dict[str, tuple[int, int, int, int]] = {}  # as the loop has last seen them
        self.known_line: tuple[float, ...] | None = None  # y0, x0, y1, x1 in pixels of the image
        self.index = first  # of the newest frame: what stands there now is the first one
        self.last_event = time.monotonic()
        self.unannounced = 0  # new frames since the last event
        self.announced = False  # what is there is a new frame, whatever its pixels
        self.closed = False
        self.shape = array.shape
        self._wake = wake
        self._lock = threading.Lock()
        self._again = False  # an event came while the loop held the lock
        self._circumstances: dict[str, Any] = {}
        self._read = 0.0  # when the circumstances were read
        self._roi_names: dict[int, str] = {}
        self._names = {} if names is None else names
        self._ignored: set[int] = set()  # ROIs that a link has removed, but GMS perhaps not
        self._errors = 0
        self.listener = Listener(self)
        window = image.GetOrCreateImageDocument().GetWindow()
        self.listener.WindowHandleWindowClosedEvent(window, "pythonplugin")
        self.listener.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now

    def image(self) -> Any:
        """Return the image, None if it is gone."""
        found = None if self.closed else DM.FindImageByID(self.id)
        if found is None:
            self.closed = True
        return found

    def end(self) -> None:
        """Listen no more."""
        self.closed = True
        self.listener.end()

    def observe(self, image: Any) -> bool:
        """Look at the image; if it is a new frame, count it and copy what is wanted. True if it was."""
        new = False
        self._again = True
        while self._again and self._lock.acquire(blocking=False):
            try:
                self._again = False
                new = self._observe(image) or new
            except Exception:  # noqa: BLE001, PERF203 - nothing may escape into DM
                self._errors += 1
                if self._errors <= 3:
                    traceback.print_exc()
            finally:
                self._lock.release()
        return new

    def observe_now(self, image: Any, regions: Collection[Region]) -> None:
        """Copy these regions as they stand, for an image that does not change: a stopped camera, a still."""
        with self._undisturbed(image):
            self._copy(image, pixels_of(image), regions)

    def look(self, image: Any) -> None:
        """Do the listener's work if it has heard nothing for long."""
        if time.monotonic() - self.last_event > EVENTS_OVERDUE and self.observe(image):
            self.unannounced += 1
            if self.unannounced == UNANNOUNCED:
                print("dmlink: DigitalMicrograph sends no events for this view; it is looked at instead.")

    @property
    def polling(self) -> bool:
        """Whether frames have to be looked for, because no events come."""
        return self.unannounced >= UNANNOUNCED

    @property
    def behind(self) -> bool:
        """Whether an announced frame is still to be copied, or a lossless link has not been sent its last."""
        return self.announced or any(region.lossless and region.mailbox for region in list(self.regions))

    def region(self, roi: str | None, lossless: bool) -> Region:
        """Return the region that clients with this wish share; a lossless one is not shared."""
        for region in self.regions:
            if region.roi == roi and not lossless and not region.lossless:
                return region
        self.regions.append(Region(roi, lossless))
        return self.regions[-1]

    def read_rois(self, image: Any) -> bool:
        """Read the rectangles and the line in DM; True if the rectangles are others now."""
        before = self.known_rois
        with self._undisturbed(image):
            self.known_rois = self._rois(image)
            self.known_line = _line(image)
        return self.known_rois != before

    def set_roi(self, image: Any, name: str, rectangle: Sequence[float]) -> None:
        """Move the ROI of that name, or draw it."""
        with self._undisturbed(image):
            place = clamped(rectangle, *pixels_of(image).shape[:2])
            if name in self._rois(image):
                DM.GetROIFromID(self._roi_id(name)).SetRectangle(*place)
                return
            roi = DM.NewROI()
            roi.SetRectangle(*place)
            roi.SetVolatile(False)
            display = _display(image)
            if display is None:
                return
            display.AddROI(roi)
            self._roi_names[roi.GetID()] = self._names[roi.GetID()] = name

    def remove_roi(self, image: Any, name: str) -> None:
        """Take the ROI of that name away; where GMS does not offer that, know nothing of it any more."""
        with self._undisturbed(image):
            if name not in self._rois(image):
                return
            roi_id = self._roi_id(name)
            self._ignored.add(roi_id)
            _delete_roi(image, roi_id)

    def moment(self, region: Region) -> tuple[Any, ...]:
        """Return what `Picture.moment` would be of the region as it stands."""
        place = self.known_rois.get(region.roi) if region.roi is not None else None
        return self.index, place, self._line_in(place)

    def source(self, image: Any) -> dict[str, Any]:
        """Return what a link may know of this view."""
        return described(image)

    def _observe(self, image: Any) -> bool:
        array = pixels_of(image)
        try:
            if not self._changes.complete(array) and not self.announced:
                return False
            self.index += 1
            self._copy(image, array, [region for region in self.regions if region.wanted])
        finally:
            self.announced = False
        return True

    def _copy(self, image: Any, array: Any, regions: Collection[Region]) -> None:
        if not regions:
            return
        rois = self._rois(image) if any(region.roi is not None for region in regions) else {}
        for region in regions:
            place = (0, 0, *array.shape[:2]) if region.roi is None else rois.get(region.roi)
            if place is None:
                continue  # removed in DM: nothing to send until it is back
            top, left, bottom, right = place
            shape = [bottom - top, right - left, *array.shape[2:]]
            size = array.itemsize
            for n in shape:
                size *= n
            if region.lossless and self._waiting_bytes() + size > LOSSLESS_BYTES:
                region.missed += 1
                continue
            memory = region.memory(size)
            copy_rectangle(array, place, memory)
            header = dict(self._header(image, array), shape=shape)
            header["x"], header["y"] = header["x"].part(left), header["y"].part(top)
            header["roi"] = None if region.roi is None else place
            if self.known_line:
                header["line"] = self._line_in(place)
            region.mailbox.append(Picture(region, header, memory))
        self._wake()

    def _line_in(self, place: Sequence[int] | None) -> tuple[float, ...] | None:
        """Return the line in pixels of the region at `place`; it may reach beyond it."""
        top, left = place[:2] if place else (0, 0)
        return self.known_line and tuple(v - c for v, c in zip(self.known_line, (top, left, top, left)))

    def _waiting_bytes(self) -> int:
        return sum(region.waiting_bytes for region in self.regions if region.lossless)

    def _header(self, image: Any, array: Any) -> dict[str, Any]:
        now = steady_time()
        if not self._circumstances or self.shape != array.shape or now - self._read > CALIBRATION_SECONDS:
            self._read, self.shape = now, array.shape  # binning and magnification change while we run
            self._circumstances = {"x": axis(image, 0), "y": axis(image, 1), "tags": tags_of(image)}
        dtype = array.dtype.newbyteorder("<").str
        return dict(self._circumstances, index=self.index, time=now, source=self.name, dtype=dtype)

    def _rois(self, image: Any) -> dict[str, tuple[int, int, int, int]]:
        """Return the rectangles on the image by name, as (top, left, bottom, right) inside of it."""
        display = _display(image)
        if display is None:
            return self.known_rois  # a view that is opened in its place may get them again
        size = pixels_of(image).shape[:2]
        rectangles = {}
        for i in range(display.CountROIs()):
            roi = display.GetROI(i)
            if roi.IsRectangle() and roi.GetID() not in self._ignored:
                rectangles[roi.GetID()] = clamped(roi.GetRectangle(), *size)
        for gone in set(self._roi_names) - set(rectangles):
            del self._roi_names[gone]  # its name is free for the next one that is drawn
            self._names.pop(gone, None)
        return {self._roi_name(roi_id): place for roi_id, place in rectangles.items()}

    def _roi_id(self, name: str) -> int:
        return next(i for i, n in self._roi_names.items() if n == name)

    def _roi_name(self, roi_id: int) -> str:
        if roi_id not in self._roi_names:
            taken = set(self._roi_names.values())
            names = [self._names.get(roi_id, "roi"), "roi"] + [f"roi {n}" for n in range(2, len(taken) + 3)]
            name = next(name for name in names if name not in taken)
            self._roi_names[roi_id] = self._names[roi_id] = name
        return self._roi_names[roi_id]

    @contextlib.contextmanager
    def _undisturbed(self, image: Any) -> Iterator[None]:
        """Keep the listener out; a frame that comes meanwhile is looked at afterwards."""
        try:
            with self._lock:
                yield
        finally:
            if self._again:
                self.observe(image)


def described(image: Any) -> dict[str, Any]:
    """Return what a link may know of an image. Raises ValueError if it cannot be streamed."""
    array = pixels_of(image)
    dtype = array.dtype.newbyteorder("<").str
    return {"name": str(image.GetName()), "id": image.GetID(), "shape": list(array.shape), "dtype": dtype}


def copy_rectangle(array: Any, place: Sequence[int], out: bytearray) -> None:
    """Copy the pixels at (top, left, bottom, right) of an array (h, w) or (h, w, 3) into `out`.

    Through memoryviews, row by row: they keep the interpreter lock. NumPy's own copy lets it go, and then
    has to wait up to 5 ms for it whenever another Python thread of DM is busy.
    """
    top, left, bottom, right = place
    pixel = array.strides[1] if array.flags.c_contiguous else array.itemsize * array[0, 0].size
    width = array.shape[1] * pixel
    bytes_of: Any = np.ascontiguousarray(array).view(np.uint8)
    source = memoryview(bytes_of).cast("B")
    target = memoryview(out)
    if right - left == array.shape[1]:
        target[:] = source[top * width : bottom * width]
        return
    n = (right - left) * pixel
    start = left * pixel
    for i, row in enumerate(range(top, bottom)):
        begin = row * width + start
        target[i * n : i * n + n] = source[begin : begin + n]


def _display(image: Any) -> Any:
    """Return how the image is displayed; None if its window has just been closed, which ends its view."""
    try:
        return image.GetImageDisplay(0)
    except Exception:  # noqa: BLE001 - how GMS says it is not known
        return None


def _line(image: Any) -> tuple[float, ...] | None:
    """Return the first line on the image, (y0, x0, y1, x1) in pixels; None without one."""
    display = _display(image)
    for i in range(display.CountROIs() if display is not None else 0):
        with contextlib.suppress(Exception):  # only the attempt tells whether it is a line
            x0, y0, x1, y1 = display.GetROI(i).GetLine()
            line = float(y0), float(x0), float(y1), float(x1)
            if np.isfinite(line).all():
                return line
    return None


def _delete_roi(image: Any, roi_id: int) -> None:
    try:
        display = image.GetImageDisplay(0)
        if hasattr(display, "DeleteROI"):
            display.DeleteROI(DM.GetROIFromID(roi_id))
            return
        DM.ExecuteScriptString(
            f"Image view := FindImageByID({image.GetID()})\n"
            "ImageDisplay display = view.ImageGetImageDisplay(0)\n"
            f"display.ImageDisplayDeleteROI(GetROIFromID({roi_id}))\n"
        )
    except Exception as error:  # noqa: BLE001 - neither is known to be in every GMS
        print(f"dmlink: a rectangle cannot be removed from here ({error}); select it and press Delete.")
