"""Microscope: a running DigitalMicrograph with a camera, and the user who sits in front of it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink import bundle
from dmlink.simulator.allocator import give_back_large_pieces
from dmlink.simulator.camera import Camera
from dmlink.simulator.dm.data_types import DATA_TYPES
from dmlink.simulator.dm.dmscript import DMScript
from dmlink.simulator.dm.python import Calls, digitalmicrograph
from dmlink.simulator.dm.tags import plain_tags, recorded_tags, set_tag
from dmlink.simulator.dm.windows import snapshot
from dmlink.simulator.dm.workspace import Workspace
from dmlink.simulator.frames import Frames
from dmlink.simulator.main_thread import MainThread
from dmlink.simulator.output import Output, Streams
from dmlink.simulator.scripts import Script, Scripts
from dmlink.simulator.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import Self

    from dmlink.simulator.dm.displays import Display, Rectangle, Roi
    from dmlink.simulator.dm.images import Image
    from dmlink.simulator.dm.windows import OpenWindow

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
        Whether the frames start again after the last one; otherwise the last one stays.
    patient : bool
        Whether the camera waits until each frame has been copied for the links, and sent to those that want
        every frame: a replay, not a microscope.
    clock : callable, optional
        What scripts get from `time.time()`; by default the computer's clock.
    on_call : callable, optional
        Called with the name of every call that a script makes, such as "Py_Image.GetNumArray", before it is
        done.
    report : path, optional
        A report that the self-test wrote in a real GMS, which the simulator then imitates.
    **switches
        See `dmlink.simulator.switches.Switches`; they override those of the report.

    Attributes
    ----------
    camera : Camera
        Counts the frames that it has written; can be paused, stepped and moved to another frame.
    displayed : int
        Frames of the live view that were brought to the screen.
    escaped : list of BaseException
        Exceptions that left a handler; with a correct script there are none.
    dialogs : list of str
        The texts of the dialogs that scripts have opened.
    """

    def __init__(
        self,
        recording: Any,
        fps: float = 20.0,
        loop: bool = True,
        *,
        patient: bool = False,
        clock: Callable[[], float] | None = None,
        on_call: Callable[[str], None] | None = None,
        report: str | PathLike[str] | None = None,
        **switches: Any,
    ) -> None:
        if report is not None:
            from dmlink.simulator.report import switches_of  # noqa: PLC0415 - only a report needs it

            switches = {**switches_of(report), **switches}
        self._patient = patient
        self._switches = Switches(**switches)
        self._frames = Frames(recording, DATA_TYPES)
        self._tags = recorded_tags(getattr(recording, "tags", None) or {})
        self._results = Output()
        self._main_thread = self._handler_thread = MainThread(self._results)
        if self._switches.handlers == "own":
            self._handler_thread = MainThread(self._results, "dm-handlers", self._main_thread.escaped)
        streams = Streams()
        self._workspace = Workspace(
            self._main_thread, self._switches, self._results, streams, self._handler_thread
        )
        self._scripts = Scripts(self._main_thread, self._switches, self._results, streams, clock)
        self.camera = Camera(
            self._frames, fps, self._frame_written, loop=loop, bands=self._switches.partial_frames
        )
        if patient:
            self.camera.hold = self._behind
        self._workspace.run_python = self._scripts.run_string
        calls = Calls(self._switches, on_call)
        self._module = digitalmicrograph(self._workspace, self._frames, calls)
        self._view: Image | None = None
        self._view_size: tuple[int, float] = (1, 1 / fps)
        self._started = self._closed = False
        self.displayed = 0
        self._last_shown = 0
        self.escaped = self._main_thread.escaped
        self.dialogs = self._workspace.dialogs

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start DM and the live view."""
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
            for thread in self._threads:
                thread.start()
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
            for thread in self._threads:
                thread.close()
        finally:
            self._scripts.silence()
            if sys.modules.get(_MODULE) is self._module:
                del sys.modules[_MODULE]

    # Scripts

    def run_script(self, text: str, *, background: bool = True, name: str = "script") -> Script:
        """Run `text` like a script window of DM does: on a thread of its own, or on DM's main thread."""
        if not self._started or self._closed:
            raise RuntimeError("DigitalMicrograph is not running: start the Microscope first.")
        return self._scripts.run(text, name, background=background)

    def start_companion(self, port: int | None = None, *, background: bool = True) -> str:
        """Run the companion's script with the front image as its view; return its endpoint, `dmlink://...`."""
        constants = {"EVERY_EVENT": True} if self._patient else {}
        text = bundle.companion(port, **constants)
        script = self.run_script(text, background=background, name="dm_companion")
        return script.wait_for("dmlink://", timeout=60.0)

    @property
    def results_window(self) -> list[str]:
        """The lines of the Results window: the output of all scripts."""
        return self._results.lines

    @property
    def leaked_images(self) -> dict[str, int]:
        """Images without a window that Python still holds: the number of handles, by name."""
        workspace = self._workspace
        with workspace.lock:
            documents = [(image, workspace.document_of(image)) for image in workspace.living_images()]
            return {
                image.name: len(image.handles)
                for image, document in documents
                if len(image.handles) and not (document and document.window)
            }

    # What can be seen

    def windows(self) -> list[OpenWindow]:
        """Return the open windows, front one first."""
        return [snapshot(name, display) for name, display in self._open()]

    def window(self, name: str, timeout: float = 120.0) -> OpenWindow:
        """Wait for a window with `name` in its title, and return the front one."""

        def found() -> list[tuple[str, Display]]:
            return [(title, display) for title, display in self._open() if name in title]

        return snapshot(*self.wait_until(found, timeout, f"window {name!r}")[0])

    def wait_until(
        self, condition: Callable[[], Any], timeout: float = 120.0, what: str = "such change"
    ) -> Any:
        """Wait until `condition()` is true and return its value.

        It is evaluated whenever something is drawn, opened or closed, and when a dialog opens.
        """
        return self._workspace.wait_until(condition, timeout, what)

    def _open(self) -> list[tuple[str, Display]]:
        with self._workspace.lock:
            return [
                (document.name, document.display)
                for document in self._workspace.documents
                if document.window and document.window.visible and document.display
            ]

    def wait_displayed(self, frames: int, timeout: float = 120.0) -> int:
        """Wait until `frames` more frames of the live view are displayed; return `displayed`."""
        wanted = self.displayed + frames
        self.wait_until(lambda: self.displayed >= wanted, timeout, f"frame {wanted} on the display")
        return self.displayed

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until DM has handled all events that are queued now."""
        for thread in self._threads:
            thread.call(lambda: None, timeout)

    @property
    def menu(self) -> list[tuple[str, ...]]:
        """The items that scripts have added to DM's menus, such as ("dmlink", "Start")."""
        return list(self._workspace.menu)

    # What the user does

    def choose(self, *item: str) -> None:
        """Choose an item of `menu`: its DM-script runs on the main thread, as soon as that gets to it."""
        text = self._workspace.menu[item]
        self._main_thread.post(lambda: DMScript(self._workspace).execute(text))

    def restart_view(
        self, binning: int | None = None, exposure: float | None = None, new_image: bool = True
    ) -> int:
        """Stop the view and start it again, with other settings if given; return the ID of its image.

        With `new_image` the old window is closed and a new one opened, otherwise the image gets new memory:
        it is not known which of the two GMS does. `exposure` is in seconds.
        """
        self._view_size = binning or self._view_size[0], exposure or self._view_size[1]
        binning, exposure = self._view_size

        def restart() -> Image:
            self.camera.aim(None)
            first = self._frames.read(0, binning)
            memory = np.zeros(first.shape, first.dtype)
            image = self._view
            if image is None or self._workspace.document_of(image) is None or new_image:
                self._close_view()
                image = self._workspace.new_image(memory, self._frames.name, live=True)
            image.memory = memory
            image.axes = self._frames.axes(binning)
            image.tags.update(plain_tags(self._tags))
            set_tag(image.tags, "Acquisition:Parameters:High Level:Exposure (s)", exposure)
            set_tag(image.tags, "Acquisition:Parameters:High Level:Binning", (binning, binning))
            area = (0, 0, *self._frames.read(0).shape)
            set_tag(image.tags, "Acquisition:Parameters:High Level:CCD Read Area", area)
            self._show(image)
            self._view = image
            return image

        image = self._main_thread.call(restart)
        self.camera.aim(image, binning)
        return image.id

    def click_view(self) -> None:
        """Click the view's window, which brings it to the front."""
        self._main_thread.call(lambda: self._show(self._live_display().image))

    def close_view(self) -> None:
        """Close the view's window; the camera stops."""
        self._main_thread.call(self._close_view)

    def capture(self) -> int:
        """Press Capture: the view's window closes and an image of its last frame opens; return its ID."""

        def capture() -> int:
            view = self._live_display().image
            self._close_view()
            image = self._workspace.new_image(view.memory.copy(), f"{view.name} (captured)")
            image.axes, image.tags = list(view.axes), plain_tags(view.tags)
            self._show(image)
            return image.id

        return self._main_thread.call(capture)

    def user_rois(self) -> dict[int, Rectangle]:
        """Return the rectangles on the view, by ID: (top, left, bottom, right) in pixels."""
        return {roi.id: roi.rectangle for roi in list(self._live_display().rois) if roi.rectangle}

    def draw_roi(self, top: float, left: float, bottom: float, right: float, add: bool = True) -> int:
        """Draw a rectangle on the view; return its ID. Without `add` (shift), volatile ROIs are removed."""
        return self._main_thread.call(
            lambda: self._draw("rectangle", (float(top), float(left), float(bottom), float(right)), add=add)
        )

    def draw_line(self, x0: float, y0: float, x1: float, y1: float, add: bool = True) -> int:
        """Draw a line on the view; return its ID."""
        return self._main_thread.call(
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

        self._main_thread.call(move)

    def delete_roi(self, roi_id: int) -> None:
        """Select an ROI and press Delete."""
        self._main_thread.call(lambda: self._remove_roi(self._roi(roi_id)))

    def move_component(self, index: int, top: float, left: float, bottom: float, right: float) -> None:
        """Drag an annotation on the view."""

        def move() -> None:
            display = self._live_display()
            rectangle = (float(top), float(left), float(bottom), float(right))
            self._workspace.move_component(display, display.components[index], rectangle)

        self._main_thread.call(move)

    def close_window(self, name: str) -> None:
        """Close the front window whose title is `name`."""

        def close() -> None:
            for document in list(self._workspace.documents):
                if document.window and document.name == name:
                    if document.display and document.display.image is self._view:
                        self._close_view()
                    self._workspace.close(document)
                    return
            raise ValueError(f"There is no window {name!r}; available: {[w.name for w in self.windows()]}.")

        self._main_thread.call(close)

    @property
    def _threads(self) -> list[MainThread]:
        own = self._handler_thread is not self._main_thread
        return [self._main_thread, *([self._handler_thread] if own else [])]

    def _behind(self) -> bool:
        companion = self._scripts.value("dmlink_companion_running")
        return self._last_shown < self.camera.written or (companion is not None and companion.behind)

    def _frame_written(self, image: Image, number: int) -> None:
        self._workspace.events.post_data_changed(image, lambda: self._display(number))

    def _display(self, number: int) -> None:
        if number > self._last_shown:
            self._last_shown = number
            self.displayed += 1
        self._workspace.changed()

    def _close_view(self) -> None:
        self.camera.aim(None)
        document = self._workspace.document_of(self._view) if self._view else None
        if document:
            self._workspace.close(document)
        self._view = None

    def _show(self, image: Image) -> None:
        self._workspace.show(self._workspace.document_for(image))

    def _live_display(self) -> Display:
        if self._view is None or self._workspace.document_of(self._view) is None:
            raise RuntimeError("The view is closed: call restart_view() first.")
        return self._workspace.display_of(self._view)

    def _roi(self, roi_id: int) -> Roi:
        for roi in self._live_display().rois:
            if roi.id == roi_id:
                return roi
        raise ValueError(f"There is no ROI {roi_id} on the view; available: {list(self.user_rois())}.")

    def _remove_roi(self, roi: Roi) -> None:
        self._workspace.remove_roi(self._live_display(), roi)

    def _draw(self, shape: str, points: Rectangle, *, add: bool) -> int:
        display = self._live_display()
        for old in [] if add else [roi for roi in display.rois if roi.volatile]:
            self._workspace.remove_roi(display, old)
        roi = self._workspace.new_roi()
        setattr(roi, shape, points)
        for other in display.rois:
            other.selected = False
        roi.selected = True
        display.rois.append(roi)
        self._workspace.changed()
        return roi.id
