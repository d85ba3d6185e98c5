"""LiveView: the microscope's image in the notebook, with the rectangles that it has there."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.cell import live_cells
from dmlink.frame import Roi
from dmlink_widgets import snapshot, spectrum, text
from dmlink_widgets.contrast import Contrast
from dmlink_widgets.contrast_controls import ContrastControls
from dmlink_widgets.image_figure import ImageFigure
from dmlink_widgets.markers import markers
from dmlink_widgets.panel import Panel
from dmlink_widgets.record_button import RecordButton
from dmlink_widgets.roi_controls import RoiControls
from dmlink_widgets.toolbar import button, toggle, toolbar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmlink.frame import Frame
    from dmlink.link import Link

NEW_ROI = "roi"
RINGS = Contrast(percentiles=(30.0, 99.95))  # shows rings and spots of a spectrum, not its noise
HELP = "Live image: wheel zooms, drag moves, double-click shows all; r draws an ROI, space pauses"


class LiveView(Panel):
    """The newest frame of a link with axes in its units, its ROIs, and what live cells have found in it.

    Parameters
    ----------
    link : Link
        Where the frames come from.
    size : int
        Pixels on the screen of the longer side of the image.
    below : sequence of Panel
        Shown under the image, and closed with the view.
    """

    def __init__(self, link: Link, size: int = 512, below: Sequence[Panel] = ()) -> None:
        super().__init__()
        self.link = link
        self._below = tuple(below)
        self._frame: Frame | None = None
        self._reader = link.reader()
        self._rates = _Rates()
        self._fault = ""  # of the last that the user asked for
        self._figure = ImageFigure(size, self._zoomed, self._told, description=HELP, can_draw=not link.roi)
        self._overlay = self._figure.overlay
        self._overlay.observe(self._moved, "moved")
        self._overlay.observe(self._selected, "selected")
        self._fft = ImageFigure(size * 5 // 8, description="Power spectrum", scale_bar=False)
        self._contrast = ContrastControls(self._look_again)
        self._rois = RoiControls(self._place, self._rename, self._remove)
        self._record = RecordButton(link)
        self._pause = toggle("pause", "Pause (space)", lambda _: self._look_again())
        self._pause.add_class("dmlink-pause")  # the space bar presses it
        self._draw_roi = toggle("object-ungroup", "Draw an ROI with the mouse (r)", lambda _: None)
        self._draw_roi.disabled = not self._overlay.can_draw
        self._draw_roi.add_class("dmlink-draw")  # r presses it
        # inside the page: also while the kernel is busy
        self._link = ipywidgets.jslink((self._overlay, "drawing"), (self._draw_roi, "value"))
        self._spectrum = toggle("bullseye", "Power spectrum of the image (FFT)", self._show_spectrum)
        buttons = toolbar(
            self._pause,
            self._draw_roi,
            toggle("list", "ROIs in numbers", self._rois.widget.reveal),
            button("expand", "Show the whole image (double-click)", self._figure.show_all),
            toggle("adjust", "Contrast and colours", self._open_contrast),
            self._spectrum,
            button("camera", "Save this frame as TIFF beside the notebook", self._save),
            self._record.widget,
        )
        sources = link.sources()
        self._title = ipywidgets.HTML(text.title(sources[0].name if sources else "Live view"))
        self._message = ipywidgets.HTML()
        self._said = ipywidgets.HTML()
        self._said.add_class("dmlink-said")
        self._status = ipywidgets.HTML()
        head = ipywidgets.HBox([self._title, buttons])
        head.add_class("dmlink-head")
        self._images = ipywidgets.HBox([self._figure.widget])
        self._images.add_class("dmlink-wrap")
        self._unwatch: Callable[[], None] | None = None
        sections = [self._contrast.widget, self._rois.widget]
        self.open(
            [
                head,
                self._message,
                *sections,
                self._images,
                *(panel.widget for panel in below),
                self._status,
                self._said,
            ]
        )

    @property
    def paused(self) -> bool:
        """Whether the picture stands; can be set."""
        return bool(self._pause.value)

    @paused.setter
    def paused(self, value: bool) -> None:
        self._pause.value = bool(value)

    def snapshot(self) -> Frame:
        """Return the frame that is shown, or else the newest one.

        Raises
        ------
        RuntimeError
            If there was none yet.
        """
        frame = self._frame or self.link.newest
        if frame is None:
            raise RuntimeError(f"There is no frame yet: {self.link!r}.")
        return frame

    def age_of(self, frame: Frame) -> float:
        """Return how old a frame is now, in seconds."""
        return self.link.age(frame)

    def in_page(self, there: bool) -> None:
        """Follow the link while a page has the view."""
        if self._unwatch:
            self._unwatch()
        self._unwatch = self.link.watch(self._came) if there else None
        if not there and not self.paused:
            self._frame, self._reader = None, self.link.reader()  # these keep frames
            self._figure.pixels = self._fft.pixels = None
        super().in_page(there)

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest frame and the rectangles as DM has them."""
        if not self.paused:
            self._frame = self._reader.poll() or self._frame
        frame = self._frame
        if frame is not None and frame.data.size:
            self._rates.take(frame, self.fence.appeared if not self.paused else -1)
            contrast = self._contrast.contrast
            self._figure.draw(frame.data, frame.y, frame.x, contrast, small=small, lossless=self.paused)
            if self._spectrum.value:
                power, y, x = spectrum.power_spectrum(*self._selection(frame))
                self._fft.draw(power, y, x, RINGS, small=small, lossless=self.paused)
            self._overlay.line = [at + 0.5 for at in frame.line or ()]  # from the middle of pixels
            marks = markers(frame, self.link, live_cells())
            if not self.paused or all(mark["behind"] >= 0 for mark in marks):
                self._overlay.marks = marks  # of what came after a picture that stands nothing is drawn on it
        self._follow_rois()
        return frame

    def draw_status(self) -> None:
        """Say what is seen, how old it is, and what is lost on the way."""
        link, frame = self.link, self._frame
        trouble = f"{link.state}: {link.reason}" if link.state in {"waiting", "lost"} else ""
        if frame is not None and not frame.data.size:
            trouble = f"Frame {frame.index} has no pixels: its shape is {frame.data.shape}."
        self._message.value = text.error(self._fault or trouble)
        self._record.follow()
        self._said.value = text.status(self._record.said) if self._record.said else ""
        self._follow_rois()
        self._follow_selected()
        if frame is None:
            self._status.value = text.status(f"{link.state}: no frame yet")
            return
        self._contrast.draw(self._figure)
        self._title.value = text.title(frame.source)
        processed = self._rates.processed(self.link)
        self._status.value = text.facts(
            ("frame", str(frame.index), 6),
            ("camera", text.rate(self._rates.camera), 8),
            ("received", text.rate(link.stats.rate), 8),
            *([("processed", text.rate(processed), 8)] if processed is not None else []),
            ("painted", text.rate(self.painted_rate), 8),
            ("dropped", str(self._rates.dropped), 5),
            ("", "paused", 8) if self.paused else ("age", text.age(self.fence.age)[4:], 7),
        )

    def close(self) -> None:
        """Take the view out of the notebook; the link stays open."""
        self.in_page(there=False)
        super().close()
        for panel in self._below:
            panel.close()

    # What the user does

    def _told(self, message: dict[str, Any]) -> None:
        """Take what the overlay says."""
        if "removed" in message:
            self._remove(str(message["removed"]))
        elif "drawn" in message:
            taken = self.link.rois()
            name = next(n for n in [NEW_ROI, *(f"{NEW_ROI} {i}" for i in range(2, 999))] if n not in taken)
            self._place(name, Roi(*(int(v) for v in message["drawn"])))
            self._overlay.selected = name

    def _moved(self, change: dict[str, Any]) -> None:
        self._place(str(change["new"]["name"]), Roi(*change["new"]["roi"]))

    def _place(self, name: str, roi: Roi) -> None:
        self._ask(lambda: self.link.set_roi(name, roi))

    def _rename(self, old: str, new: str) -> None:
        if new in self.link.rois():
            self._say(f"There is an ROI named {new!r} already.")
            return

        def rename() -> None:
            self.link.set_roi(new, self.link.rois()[old])
            self.link.remove_roi(old)  # not if the new name is refused
            self._overlay.selected = new

        self._ask(rename)

    def _remove(self, name: str) -> None:
        self._ask(lambda: self.link.remove_roi(name))
        self._overlay.selected = ""

    def _ask(self, call: Callable[[], Any]) -> None:
        """Ask the microscope for something; if it cannot be, say why."""
        try:
            call()
        except (OSError, ValueError, KeyError) as error:
            self._say(str(error))
        else:
            self._say("")

    def _say(self, fault: str) -> None:
        self._fault = fault
        self._message.value = text.error(fault)

    def _selected(self, _: Any) -> None:
        self._follow_selected()
        self._look_again()

    def _follow_rois(self) -> None:
        """Show the rectangles as DM has them."""
        rois = {} if self.link.roi else {name: list(roi) for name, roi in self.link.rois().items()}
        if rois != self._overlay.rois:
            self._overlay.rois = rois
            if self._spectrum.value:
                self._look_again()

    def _follow_selected(self) -> None:
        name = self._overlay.selected
        self._rois.show(name, self.link.rois().get(name))

    def _selection(self, frame: Frame) -> tuple[Any, Any, Any]:
        """Return pixels and axes of the ROI that is selected, else of the whole frame."""
        roi = self.link.rois().get(self._overlay.selected)
        if roi is None:
            return frame.data, frame.y, frame.x
        top, left, bottom, right = roi.clamped(frame.data.shape)
        return frame.data[top:bottom, left:right], frame.y, frame.x

    def _came(self) -> None:
        if not self.paused:  # a picture that stands is not made anew with every frame
            self.changed()

    def _zoomed(self) -> None:
        if self.paused:  # a live one is drawn soon enough
            self._look_again()

    def _look_again(self) -> None:
        self.changed()

    def _open_contrast(self, opened: bool) -> None:
        self._contrast.widget.reveal(opened)
        self._contrast.draw(self._figure)

    def _show_spectrum(self, shown: bool) -> None:
        self._images.children = [self._figure.widget, *([self._fft.widget] if shown else [])]
        self._look_again()

    def _save(self) -> None:
        try:
            path = snapshot.save(self.snapshot())
        except (OSError, RuntimeError) as error:
            self._say(str(error))
        else:
            self._record.said = f"{path} is written."


class _Rates:
    """What passed while somebody looked: frames per second, and frames that were not shown."""

    def __init__(self) -> None:
        self.dropped = 0
        self._seen: collections.deque[tuple[int, float]] = collections.deque(maxlen=30)
        self._look = -1  # frames that pass between two looks are not dropped: nobody wanted them
        self._cells: dict[Any, collections.deque[tuple[float, int]]] = {}

    def take(self, frame: Frame, look: int) -> None:
        """Note that a frame is drawn, in the look of this number (-1 while paused)."""
        if look != self._look:
            self._look = look
            self._seen.clear()
        if look == -1 or (self._seen and self._seen[-1][0] == frame.index):
            return
        if self._seen:
            self.dropped += max(0, frame.index - self._seen[-1][0] - 1)
            if frame.index < self._seen[-1][0]:
                self._seen.clear()
        self._seen.append((frame.index, frame.time))

    @property
    def camera(self) -> float:
        """Frames per second at the source, by its own count and clock."""
        return _slope([(t, n) for n, t in self._seen])

    def processed(self, link: Link) -> float | None:
        """Return the frames per second of the slowest cell that runs on this link; None without one."""
        cells = [c for c in live_cells() if c.link is not None and c.link.endpoint == link.endpoint]
        self._cells = {cell: self._cells.get(cell, collections.deque(maxlen=8)) for cell in cells}
        now = time.monotonic()
        for cell, counts in self._cells.items():
            counts.append((now, cell.stats.processed))
        return min((_slope(counts) for counts in self._cells.values()), default=None)


def _slope(counts: Sequence[tuple[float, int]]) -> float:
    if len(counts) < 2:
        return 0.0
    (t0, n0), (t1, n1) = counts[0], counts[-1]
    return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0
