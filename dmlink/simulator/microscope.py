"""Microscope: a running DigitalMicrograph with a camera, and the user who sits in front of it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dmlink import bundle
from dmlink.simulator.acquisition import Py_Camera
from dmlink.simulator.allocator import give_back_large_pieces
from dmlink.simulator.camera import Camera, Frames
from dmlink.simulator.desktop import Desktop
from dmlink.simulator.digitalmicrograph import digitalmicrograph
from dmlink.simulator.displays import Roi
from dmlink.simulator.images import Image
from dmlink.simulator.output import Output, Streams
from dmlink.simulator.scripts import Script, Scripts
from dmlink.simulator.switches import Switches
from dmlink.simulator.tags import plain_tags, set_tag
from dmlink.simulator.windows import seen
from dmlink.simulator.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.displays import Display, Rectangle
    from dmlink.simulator.windows import OpenWindow

_MODULE = "DigitalMicrograph"
_only_one = threading.Lock()


class Microscope:
    """A simulated DigitalMicrograph whose camera plays a recording.

    Parameters
    ----------
    recording : Recording
        Anything with `len`, `[i].data` (h, w), `x`, `y`, `name`, `dtype` and `shape`; `tags` if it has them.
    fps : float
        Frames per second of the camera.
    loop : bool
        Whether the frames start again after the last one, which else stays.
    patient : bool
        Whether the camera waits until each frame has been copied for the links, and until those that want
        every frame have been sent it: a replay, not a microscope.
    **switches
        See `dmlink.simulator.switches.Switches`.

    Attributes
    ----------
    camera : Camera
        Counts the frames written, pauses, steps, seeks.
    displayed : int
        Frames of the live view that were brought to the screen.
    escaped : list of BaseException
        Exceptions that left a handler; a good script leaves this empty.
    dialogs : list of str
        What dialogs asked.
    """

    def __init__(
        self,
        recording: Any,
        fps: float = 20.0,
        loop: bool = True,
        *,
        patient: bool = False,
        **switches: Any,
    ) -> None:
        self._patient = patient
        self._switches = Switches(**switches)
        self._frames = Frames(recording)
        self._tags = plain_tags(getattr(recording, "tags", None) or {})
        self._results = Output()
        self._desktop = Desktop(self._results)
        streams = Streams()
        self._workspace = Workspace(self._desktop, self._switches, self._results, streams)
        self._scripts = Scripts(self._desktop, self._switches, self._results, streams)
        self.camera = Camera(
            self._frames, fps, self._frame_written, loop=loop, bands=self._switches.partial_frames
        )
        if patient:
            self.camera.hold = self._behind
        self._module = digitalmicrograph(self._workspace, Py_Camera(self._workspace, self._frames))
        self._view: Image | None = None
        self._view_size: tuple[int, float] = (1, 1 / fps)
        self._started = self._closed = False
        self.displayed = 0
        self._last_shown = 0
        self.escaped = self._desktop.escaped
        self.dialogs = self._workspace.dialogs

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start DM, and the view."""
        if self._started:
            raise RuntimeError("This Microscope was started before; make a new one.")
        with _only_one:
            if _MODULE in sys.modules:
                raise RuntimeError(
                    "There is a DigitalMicrograph module in this process already: close the other Microscope "
                    "first."
                )
            sys.modules[_MODULE] = self._module
        self._started = True
        give_back_large_pieces()
        try:
            self._scripts.open(self._module)
            self._desktop.start()
            self.restart_view()
            self.camera.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the camera, all scripts and DM, and join their threads."""
        if not self._started or self._closed:
            return
        self._closed = True
        self.camera.close()
        try:
            self._scripts.close()
            self._desktop.close()
        finally:
            self._scripts.silence()
            if sys.modules.get(_MODULE) is self._module:
                del sys.modules[_MODULE]

    # Scripts

    def run_script(self, text: str, *, background: bool = True, name: str = "script") -> Script:
        """Run `text` like a script window of DM: on its own thread, or on the main thread of DM."""
        if not self._started or self._closed:
            raise RuntimeError("DigitalMicrograph is not running: start the Microscope first.")
        return self._scripts.run(text, name, background=background)

    def start_companion(self, port: int | None = None, *, background: bool = True) -> str:
        """Run the companion, as its one file, on the front image; return its endpoint, `dmlink://...`."""
        constants = {"EVERY_EVENT": True} if self._patient else {}
        text = bundle.companion(port, **constants)
        script = self.run_script(text, background=background, name="dm_companion")
        return script.wait_for("dmlink://", timeout=10.0)

    @property
    def results_window(self) -> list[str]:
        """The lines of the Results window: what all scripts printed."""
        return self._results.lines

    @property
    def leaked_images(self) -> dict[str, int]:
        """Images that have no window but are held by Python: name and number of references."""
        with self._workspace.lock:
            return {
                image.name: len(image.references)
                for image in self._workspace.living_images()
                if len(image.references) and not (image.document and image.document.window)
            }

    # What can be seen

    def windows(self) -> list[OpenWindow]:
        """Return the open windows, front one first."""
        return [seen(name, display) for name, display in self._open()]

    def window(self, name: str, timeout: float = 5.0) -> OpenWindow:
        """Return the front window with `name` in its title, waiting for one if need be."""

        def found() -> list[tuple[str, Display]]:
            return [(title, display) for title, display in self._open() if name in title]

        return seen(*self.wait_until(found, timeout, f"window {name!r}")[0])

    def wait_until(
        self, condition: Callable[[], Any], timeout: float = 5.0, what: str = "such change"
    ) -> Any:
        """Wait until `condition()` holds and return its value.

        It is looked at whenever something is drawn, opened, closed or asked.
        """
        return self._workspace.wait_until(condition, timeout, what)

    def _open(self) -> list[tuple[str, Display]]:
        with self._workspace.lock:
            return [
                (document.name, document.display)
                for document in self._workspace.documents
                if document.window and document.window.visible and document.display
            ]

    def wait_displayed(self, frames: int, timeout: float = 5.0) -> int:
        """Wait until so many more frames of the live view were displayed; return how many were in all."""
        wanted = self.displayed + frames
        self.wait_until(lambda: self.displayed >= wanted, timeout, f"frame {wanted} on the display")
        return self.displayed

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until DM has handled all events that wait now."""
        self._desktop.call(lambda: None, timeout)

    # What the user does

    def restart_view(
        self, binning: int | None = None, exposure: float | None = None, new_image: bool = True
    ) -> int:
        """Stop the view and start it, perhaps with other settings; return the ID of its image.

        With `new_image` the old window is closed and a new one opened, else the image gets new memory: which
        of both GMS does is not known. `exposure` is in seconds.
        """
        self._view_size = binning or self._view_size[0], exposure or self._view_size[1]
        binning, exposure = self._view_size

        def restart() -> Image:
            self.camera.aim(None)
            first = self._frames.read(0, binning)
            memory = np.zeros(first.shape, first.dtype)
            image = self._view
            if image is None or image.document is None or new_image:
                self._close_view()
                image = Image(self._workspace, memory, self._frames.name, live=True)
            image.memory = memory
            image.axes = self._frames.axes(binning)
            image.tags.update(plain_tags(self._tags))
            set_tag(image.tags, "Acquisition:Parameters:High Level:Exposure (s)", exposure)
            set_tag(image.tags, "Acquisition:Parameters:High Level:Binning", [binning, binning])
            image.ensure_document().show()
            self._view = image
            return image

        image = self._desktop.call(restart)
        self.camera.aim(image, binning)
        return image.id

    def click_view(self) -> None:
        """Click the view's window: it comes to the front."""
        self._desktop.call(lambda: self._live_display().image.ensure_document().show())

    def close_view(self) -> None:
        """Close the view's window; the camera stops."""
        self._desktop.call(self._close_view)

    def capture(self) -> int:
        """Press Capture: the view ends, its window closes, a new image opens; return that image's ID."""

        def capture() -> int:
            view = self._live_display().image
            self._close_view()
            image = Image(self._workspace, view.memory.copy(), f"{view.name} (captured)")
            image.axes, image.tags = list(view.axes), plain_tags(view.tags)
            image.ensure_document().show()
            return image.id

        return self._desktop.call(capture)

    def user_rois(self) -> dict[int, Rectangle]:
        """Return the rectangles on the view, by ID: (top, left, bottom, right) in pixels."""
        return {roi.id: roi.rectangle for roi in list(self._live_display().rois) if roi.rectangle}

    def draw_roi(self, top: float, left: float, bottom: float, right: float, add: bool = True) -> int:
        """Draw a rectangle on the view; without `add` (the shift key) volatile ROIs go. Return its ID."""
        return self._desktop.call(
            lambda: self._draw("rectangle", (float(top), float(left), float(bottom), float(right)), add=add)
        )

    def draw_line(self, x0: float, y0: float, x1: float, y1: float, add: bool = True) -> int:
        """Draw a line on the view; return its ID."""
        return self._desktop.call(
            lambda: self._draw("line", (float(x0), float(y0), float(x1), float(y1)), add=add)
        )

    def move_roi(self, roi_id: int, top: float, left: float, bottom: float, right: float) -> None:
        """Drag a rectangle, or its edges if it is resizable."""

        def move() -> None:
            roi = self._roi(roi_id)
            y0, x0, y1, x1 = roi.rectangle or (0.0, 0.0, 0.0, 0.0)
            if not roi.resizable and (y1 - y0, x1 - x0) != (bottom - top, right - left):
                raise RuntimeError(f"The ROI {roi_id} is not resizable; it is {y1 - y0:g} x {x1 - x0:g}.")
            roi.rectangle = (float(top), float(left), float(bottom), float(right))

        self._desktop.call(move)

    def delete_roi(self, roi_id: int) -> None:
        """Select a ROI and press Delete."""
        self._desktop.call(lambda: self._live_display().remove_roi(self._roi(roi_id)))

    def move_component(self, index: int, top: float, left: float, bottom: float, right: float) -> None:
        """Drag an annotation on the view."""

        def move() -> None:
            display = self._live_display()
            rectangle = (float(top), float(left), float(bottom), float(right))
            display.change_component(display.components[index], rectangle)

        self._desktop.call(move)

    def close_window(self, name: str) -> None:
        """Close the front window whose title is `name`."""

        def close() -> None:
            for document in list(self._workspace.documents):
                if document.window and document.name == name:
                    if document.display and document.display.image is self._view:
                        self._close_view()
                    document.close()
                    return
            raise ValueError(f"There is no window {name!r}, but {[w.name for w in self.windows()]}.")

        self._desktop.call(close)

    def _behind(self) -> bool:
        companion = self._scripts.value("dmlink_companion_running")
        return self._last_shown < self.camera.written or (companion is not None and companion.behind)

    def _frame_written(self, image: Image, number: int) -> None:
        self._workspace.post_data_changed(image, lambda: self._show(number))

    def _show(self, number: int) -> None:
        if number > self._last_shown:
            self._last_shown = number
            self.displayed += 1
        self._workspace.changed()

    def _close_view(self) -> None:
        self.camera.aim(None)
        if self._view and self._view.document:
            self._view.document.close()
        self._view = None

    def _live_display(self) -> Display:
        if self._view is None or self._view.document is None:
            raise RuntimeError("The view is closed: restart_view() first.")
        return self._view.display

    def _roi(self, roi_id: int) -> Roi:
        for roi in self._live_display().rois:
            if roi.id == roi_id:
                return roi
        raise ValueError(f"There is no ROI {roi_id} on the view, but {list(self.user_rois())}.")

    def _draw(self, shape: str, points: Rectangle, *, add: bool) -> int:
        display = self._live_display()
        for old in [] if add else [roi for roi in display.rois if roi.volatile]:
            display.remove_roi(old)
        roi = Roi(self._workspace)
        setattr(roi, shape, points)
        for other in display.rois:
            other.selected = False
        roi.selected = True
        display.rois.append(roi)
        self._workspace.changed()
        return roi.id
