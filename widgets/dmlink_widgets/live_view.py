"""LiveView: the microscope's image in the notebook, with the rectangles that it has there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink.frame import Roi
from dmlink_widgets import text
from dmlink_widgets.panel import Panel
from dmlink_widgets.plots import MARGIN, ImagePlot
from dmlink_widgets.roi_overlay import RoiOverlay

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink.link import Link

NEW_ROI = "roi"


class LiveView(Panel):
    """The newest frame of a link with axes in its units, and its ROIs to be moved with the mouse.

    Parameters
    ----------
    link : Link
        Where the frames come from.
    size : int
        Pixels on the screen of the longer side of the image.
    """

    def __init__(self, link: Link, size: int = 512) -> None:
        super().__init__()
        self.link = link
        self.paused = False
        self._frame: Frame | None = None
        self._reader = link.reader()
        self._plot = ImagePlot(size)
        self._overlay = RoiOverlay()
        self._overlay.observe(self._moved, "moved")
        sources = link.sources()
        self._title = ipywidgets.HTML(text.title(sources[0].name if sources else "Live view"))
        self._status = ipywidgets.HTML()
        self._message = ipywidgets.HTML()
        self._pause = ipywidgets.ToggleButton(
            description="Pause", icon="pause", layout=ipywidgets.Layout(width="96px")
        )
        self._pause.observe(self._paused, "value")
        self._add = ipywidgets.Button(
            description="ROI",
            icon="plus",
            tooltip="Draw a rectangle in the middle of the image, here and in DigitalMicrograph",
            layout=ipywidgets.Layout(width="96px"),
        )
        self._add.on_click(self._draw_roi)
        stack = ipywidgets.Box([self._plot.widget, self._overlay])
        stack.add_class("dmlink-stack")
        buttons = ipywidgets.HBox([self._pause, self._add])
        self.open([self._title, self._message, stack, buttons, self._status])
        self._unwatch = link.watch(self.changed)

    def age_of(self, frame: Frame) -> float:
        """Return how old a frame is now, in seconds."""
        return self.link.age(frame)

    def draw(self, *, small: bool) -> Frame | None:
        """Draw the newest frame and the rectangles as DM has them."""
        if not self.paused:
            self._frame = self._reader.poll() or self._frame
        frame = self._frame
        if frame is not None:
            self._plot.draw_pixels(frame.data, frame.y, frame.x, small=small, lossless=self.paused)
            self._overlay.shape = list(frame.data.shape)
            self._overlay.area = [MARGIN["top"], MARGIN["left"], *self._plot.plot_area]
        rois = {} if self.link.roi else {name: list(roi) for name, roi in self.link.rois().items()}
        if rois != self._overlay.rois:
            self._overlay.rois = rois
        return frame

    def draw_status(self) -> None:
        """Say what is seen, how old it is, and what is lost on the way."""
        link, frame = self.link, self._frame
        self._message.value = text.error(link.reason if link.state in {"waiting", "lost"} else "")
        if frame is None:
            self._status.value = text.status(f"{link.state}: no frame yet")
            return
        stats = link.stats
        self._title.value = text.title(frame.source)
        self._status.value = text.status(
            f"frame {frame.index:6d}",
            f"received {text.rate(stats.rate)}",
            f"painted {text.rate(self.painted_rate)}",
            f"dropped {stats.dropped}",
            "paused" if self.paused else text.age(self.fence.age),
        )

    def close(self) -> None:
        """Take the view out of the notebook; the link stays open."""
        self._unwatch()
        super().close()

    def _moved(self, change: dict[str, Any]) -> None:
        self.link.set_roi(change["new"]["name"], Roi(*change["new"]["roi"]))

    def _draw_roi(self, _: Any) -> None:
        if self._frame is None:
            return
        h, w = self._frame.data.shape
        taken = self.link.rois()
        name = next(n for n in [NEW_ROI, *(f"{NEW_ROI} {i}" for i in range(2, 99))] if n not in taken)
        self.link.set_roi(name, Roi(h // 4, w // 4, h - h // 4, w - w // 4))

    def _paused(self, change: dict[str, Any]) -> None:
        self.paused = change["new"]
        self.changed()
