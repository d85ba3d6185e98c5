"""A live view in DigitalMicrograph: its frames are counted, and the pixels that are wanted copied."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from typing import Any, Callable, Collection, Iterator, Sequence

import DigitalMicrograph as DM

from dmlink.indm.changes import Changes
from dmlink.indm.clock import steady_time
from dmlink.indm.gms import axis, pixels_of, unregister
from dmlink.indm.info import tags_of
from dmlink.indm.region import LOSSLESS_BYTES, Picture, Region, copy_rectangle
from dmlink.indm.rois import Rois

EVENTS_OVERDUE = 2.0  # seconds without an event before the loop looks by itself
UNANNOUNCED = 3  # frames without an event that show that none will come
CALIBRATION_SECONDS = 0.5  # how often calibration and tags are read again
EVERY_EVENT = False  # a replay says of each frame that it is one, also if its pixels are those of the last


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
        self.rois = Rois({} if names is None else names)
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
        """Do the listener's work if it has heard nothing for long; a replay never forgets an event."""
        if not EVERY_EVENT and time.monotonic() - self.last_event > EVENTS_OVERDUE and self.observe(image):
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

    def look_for_rois(self, image: Any) -> None:
        """Get to know the rectangles and the line in DM as they are now."""
        with self._undisturbed(image):
            self.rois.look(image)

    def set_roi(self, image: Any, name: str, rectangle: Sequence[float]) -> None:
        """Move the ROI of that name, or draw it."""
        with self._undisturbed(image):
            self.rois.set(image, name, rectangle)

    def remove_roi(self, image: Any, name: str) -> None:
        """Take the ROI of that name away."""
        with self._undisturbed(image):
            self.rois.remove(image, name)

    def moment(self, region: Region) -> tuple[Any, ...]:
        """Return what `Picture.moment` would be of the region as it stands."""
        place = self.rois.known.get(region.roi) if region.roi is not None else None
        return self.index, place, self.rois.line_in(place)

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
        rois = self.rois.read(image) if any(region.roi is not None for region in regions) else {}
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
            if self.rois.line:
                header["line"] = self.rois.line_in(place)
            region.mailbox.append(Picture(region, header, memory))
        self._wake()

    def _waiting_bytes(self) -> int:
        return sum(region.waiting_bytes for region in self.regions if region.lossless)

    def _header(self, image: Any, array: Any) -> dict[str, Any]:
        now = steady_time()
        if not self._circumstances or self.shape != array.shape or now - self._read > CALIBRATION_SECONDS:
            self._read, self.shape = now, array.shape  # binning and magnification change while we run
            self._circumstances = {"x": axis(image, 0), "y": axis(image, 1), "tags": tags_of(image)}
        dtype = array.dtype.newbyteorder("<").str
        return dict(self._circumstances, index=self.index, time=now, source=self.name, dtype=dtype)

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
