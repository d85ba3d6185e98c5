"""A live view in DigitalMicrograph: its frames are counted, and the requested pixels copied."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from typing import Any, Callable, Collection, Iterator, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.clock import steady_time
from dmlink.indm.companion.region import LOSSLESS_BYTES, Picture, Region, copy_rectangle
from dmlink.indm.companion.rois import Rois
from dmlink.indm.companion.settings import EVENTS_OVERDUE, EVERY_EVENT
from dmlink.indm.gms import axis, has_window, pixels_of, tags_on, title_of, unregister, value_unit_of
from dmlink.indm.outline import Outline
from dmlink.indm.protocol import MAX_NAME
from dmlink.indm.whole_frames import Seen, WholeFrames, bytes_of

HANDLING_SECONDS = 2.0  # time for an event to be handled when its view ends, on a busy computer
UNANNOUNCED = 3  # frames without an event after which none is expected
CALIBRATION_SECONDS = 0.5  # interval at which calibration and tags are read again


class Listener(DM.Py_ScriptObject):  # type: ignore[misc]
    """Called by DM on every frame and when the window is closed; no exception may escape into DM."""

    def __init__(self, view: View) -> None:
        DM.Py_ScriptObject.__init__(self)
        self.view = view
        self.stop = self.busy = False

    def __del__(self) -> None:
        """Call DM's own __del__, as published scripts do."""
        DM.Py_ScriptObject.__del__(self)

    def HandleDataChangedEvent(self, flags: Any, image: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Copy the requested pixels of the frame that has just arrived."""
        self.busy = True
        try:
            if not self.stop:
                self.view.last_event = time.monotonic()
                self.view.unannounced = 0
                self.view.announced = EVERY_EVENT
                self.view.observe(image, event=True)
        finally:  # `View.end` waits for it
            self.busy = False

    def HandleWindowClosedEvent(self, flags: Any, window: Any) -> None:  # noqa: ARG002, N802 - DM's names
        """Record that this view has ended."""
        self.view.closed = True

    def end(self) -> None:
        """Unregister; GMS up to 3.5.1 cannot do that, and there only `stop` takes effect."""
        self.stop = True
        unregister(self)


class View:
    """One live image. `wake` is called when a mailbox has been filled; `names`: names of ROIs, by ID.

    `counts` are those of the previous view with this name.

    The listener calls `observe` on DM's main thread, the script's loop everything else. Neither waits for
    the other: if the listener cannot act because the loop is busy here, the loop does the work afterwards.

    Raises
    ------
    ValueError
        If this kind of image cannot be streamed.
    """

    def __init__(
        self,
        image: Any,
        wake: Callable[[], None],
        counts: tuple[int, int] = (-1, 0),
        names: dict[int, str] | None = None,
        outlines: dict[int, Outline] | None = None,
    ) -> None:
        self.id, self.closed = image.GetID(), False
        if self.image() is None:
            raise ValueError("DigitalMicrograph does not find the image by its ID.")
        array = pixels_of(image)
        self._frames = WholeFrames()
        self._frames.unsure = counts[1]
        self._frames.see(array)
        self._sample = self._frames.sample  # some bytes of the newest frame
        self._still: Any = array.copy()  # copy of the whole image, while no other frame arrives
        self.name = name_of(image)
        self.regions: list[Region] = []
        self.rois = Rois({} if names is None else names, {} if outlines is None else outlines)
        self.index = self._counted = counts[0] + 1  # number of the newest frame; the current image is one
        self.last_event = time.monotonic()
        self.unannounced = 0  # new frames since the last event
        self.announced = False  # the image is a new frame, whatever its pixels
        self.shape = array.shape
        self._wake = wake
        self._lock = threading.Lock()
        self._again = False  # an event arrived while the loop held the lock
        self._events_came = self._events_seen = 0  # two counts, each changed by only one thread
        self._circumstances: dict[str, Any] = {}
        self._read = 0.0  # when calibration and tags were read
        self._errors = 0
        self.listener = Listener(self)
        window = image.GetOrCreateImageDocument().GetWindow()
        try:
            self.listener.WindowHandleWindowClosedEvent(window, "pythonplugin")
            self.listener.ImageHandleDataChangedEvent(image, "pythonplugin")  # last: frames start now
        except Exception as error:  # noqa: BLE001 - for whatever reason GMS refuses it
            self.unannounced = UNANNOUNCED
            print(f"dmlink: DigitalMicrograph accepts no listener ({error}); polling the view instead.")

    def image(self) -> Any:
        """Return the image, None if it is gone."""
        found = None if self.closed else DM.FindImageByID(self.id)
        if found is None:
            self.closed = True
        return found

    def end(self) -> None:
        """Stop listening; a frame that is just being handled is counted first."""
        self.closed = True
        self.listener.end()
        late = time.monotonic() + HANDLING_SECONDS
        while self.listener.busy and time.monotonic() < late:
            time.sleep(0.001)

    @property
    def counts(self) -> tuple[int, int]:
        """The number of the newest frame that is in the mailboxes or was left out, and of unsure events."""
        return self._counted, self._frames.unsure

    def observe(self, image: Any, *, event: bool = False) -> bool:
        """Look at the image; if it is a new frame, count it, copy what is requested, and return True.

        `event`: whether DigitalMicrograph has sent an event.
        """
        new = False
        if event:  # only the listener's thread changes it
            self._events_came += 1
        self._again = True
        while self._again and self._lock.acquire(blocking=False):
            try:
                self._again = False
                came, index = self._events_came, self.index
                events, self._events_seen = came - self._events_seen, came
                new = self._observe(image, events) or new
            except Exception:  # noqa: BLE001, PERF203 - no exception may escape into DM
                if self.index == index:
                    self._frames.unsure += events
                self._errors += has_window(image)  # otherwise it was just closed
                if 0 < self._errors <= 3:
                    traceback.print_exc()
            finally:
                self._lock.release()
        return new

    def observe_now(self, image: Any, regions: Collection[Region]) -> None:
        """Copy these regions of the newest frame: the camera has stopped, or the image does not change.

        The frame is kept as it was when events stopped. Later changes are left to their event, which
        counts them.
        """
        with self._undisturbed(image):
            array, came = pixels_of(image), self._events_came
            if (
                self._still is None
                and self.regions
                and self._frames.sample_of(bytes_of(array)) == self._sample
            ):
                self._still = array.copy()
            if self._still is not None and self._events_came == came:
                # the others were just filled by the listener
                empty = [region for region in regions if not region.mailbox]
                self._copy(image, self._still, empty, still=True)

    def look(self, image: Any) -> None:
        """Do the listener's work if it has received no event for long; a replay never misses an event."""
        if not EVERY_EVENT and time.monotonic() - self.last_event > EVENTS_OVERDUE and self.observe(image):
            self.unannounced += 1
            if self.unannounced == UNANNOUNCED:
                print("dmlink: DigitalMicrograph sends no events for this view; polling it instead.")

    @property
    def polling(self) -> bool:
        """Whether frames must be polled because no events arrive."""
        return self.unannounced >= UNANNOUNCED

    @property
    def behind(self) -> bool:
        """Whether an announced frame still has to be copied, or a lossless link still has to be sent one."""
        return self.announced or any(region.lossless and region.mailbox for region in list(self.regions))

    def region(self, roi: str | None, lossless: bool) -> Region:
        """Return the region that clients with this request share; a lossless one is not shared."""
        for region in self.regions:
            if region.roi == roi and not lossless and not region.lossless:
                return region
        self.regions.append(Region(roi, lossless))
        return self.regions[-1]

    def look_for_rois(self, image: Any) -> None:
        """Read the rectangles and the line in DM as they are now."""
        with self._undisturbed(image):
            self.rois.look(image)

    def set_roi(
        self, image: Any, name: str, rectangle: Sequence[float], outline: Outline | None = None
    ) -> None:
        """Move the ROI with that name, or draw it; a mask has an outline."""
        with self._undisturbed(image):
            self.rois.set(image, name, rectangle, outline)

    def remove_roi(self, image: Any, name: str) -> None:
        """Remove the ROI with that name."""
        with self._undisturbed(image):
            self.rois.remove(image, name)

    def set_line(self, image: Any, line: Sequence[float] | None) -> None:
        """Move the line, or draw it; None removes it."""
        with self._undisturbed(image):
            self.rois.set_line(image, line)

    def moment(self, region: Region) -> tuple[Any, ...]:
        """Return what `Picture.moment` would be for the region as it is now."""
        place = self.rois.known.get(region.roi) if region.roi is not None else None
        return self.index, place, self.rois.line_in(place)

    def _observe(self, image: Any, events: int) -> bool:
        if EVERY_EVENT and not self.announced:
            return False  # in a replay, only an event makes a frame
        array = pixels_of(image)
        try:
            seen = Seen(None, True) if self.announced else self._frames.see(array, events)
            if seen.late is not None:
                self._still = np.frombuffer(seen.late, np.uint8).view(array.dtype).reshape(array.shape)
                self._take(image, self._still)
            self.index += seen.passed
            if seen.whole:
                self._still = None
                self._sample = (
                    self._frames.sample_of(bytes_of(array)) if self.announced else self._frames.sample
                )
                self._take(image, array)
        finally:
            self.announced = False
        return seen.whole or seen.late is not None

    def _take(self, image: Any, array: Any) -> None:
        """Count a frame, and copy the requested pixels."""
        self.index += 1
        try:
            self._copy(image, array, [region for region in self.regions if region.wanted])
        finally:  # after the copies: a count must not come before its frame
            self._counted = self.index

    def _copy(self, image: Any, array: Any, regions: Collection[Region], *, still: bool = False) -> None:
        if not regions:
            return
        now = steady_time()
        copies: dict[tuple[int, ...], Any] = {}
        pictures: list[tuple[Region, Picture]] = []
        rois = self.rois.read(image) if any(region.roi is not None for region in regions) else {}
        for region in regions:
            place = (0, 0, *array.shape[:2]) if region.roi is None else rois.get(region.roi)
            if place is None:
                continue  # removed in DM: there is nothing to send until it is back
            top, left, bottom, right = place
            shape = [bottom - top, right - left, *array.shape[2:]]
            size = array.itemsize
            for n in shape:
                size *= n
            if region.lossless and not self._has_room(region, size):
                if not still:
                    region.missed += 1
                continue
            picture = region.picture(size)
            # All regions get the same frame, although the camera may write the next one meanwhile.
            if place in copies:
                picture.pixels[:] = copies[place]
            else:
                copy_rectangle(array, place, picture.pixels)
                copies[place] = picture.pixels
            header = dict(self._header(image, array, now), shape=shape)
            header["x"], header["y"] = header["x"].part(left), header["y"].part(top)
            header["roi"] = None if region.roi is None else place
            if self.rois.line:
                header["line"] = self.rois.line_in(place)
            picture.header = header
            pictures.append((region, picture))
        for region, picture in pictures:  # after all copies: once sent, a slot may be written to by the link
            region.mailbox.append(picture)
        self._wake()

    def _has_room(self, region: Region, size: int) -> bool:
        """Return whether a lossless region has room for another picture: each may use its fair share."""
        waiting = [other.waiting_bytes for other in self.regions if other.lossless]
        free = sum(waiting) + size <= LOSSLESS_BYTES
        return free or region.waiting_bytes + size <= LOSSLESS_BYTES // len(waiting)

    def _header(self, image: Any, array: Any, now: float) -> dict[str, Any]:
        if not self._circumstances or self.shape != array.shape or now - self._read > CALIBRATION_SECONDS:
            self._read, self.shape = now, array.shape  # binning and magnification can change while we run
            self._circumstances = {"x": axis(image, 0), "y": axis(image, 1), "tags": tags_on(image)}
            unit = value_unit_of(image)
            if unit:
                self._circumstances["value_unit"] = unit
        dtype = array.dtype.newbyteorder("<").str
        return dict(self._circumstances, index=self.index, time=now, source=self.name, dtype=dtype)

    @contextlib.contextmanager
    def _undisturbed(self, image: Any) -> Iterator[None]:
        """Keep the listener out; a frame that arrives meanwhile is handled afterwards."""
        try:
            with self._lock:
                yield
        finally:
            if self._again:
                self.observe(image)


def name_of(image: Any) -> str:
    """Return the name by which links know an image: printable characters, whatever its name in DM."""
    name = "".join(letter if letter.isprintable() else "?" for letter in title_of(image)[:MAX_NAME])
    return name or "?"


def described(image: Any) -> dict[str, Any]:
    """Return the description of an image for links. Raises ValueError if it cannot be streamed."""
    array = pixels_of(image)
    dtype = array.dtype.newbyteorder("<").str
    return {"name": name_of(image), "id": image.GetID(), "shape": list(array.shape), "dtype": dtype}
