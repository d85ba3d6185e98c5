"""LinkPanel: the state of a link, and why no frames arrive if none do."""

from __future__ import annotations

import html
import threading
import time
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np

from dmlink.link.diagnosis import examine
from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import button, toolbar
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.panel import Panel

if TYPE_CHECKING:
    from dmlink.link.link import Link

PATIENCE_SECONDS = 3.0  # s without a frame before a diagnosis
AGAIN_SECONDS = 20.0  # s between two diagnoses
SOURCES_SECONDS = 10.0  # s between two requests for the views, because DM lists its images for each
STATES = {
    "live": "Receiving frames",
    "waiting": "Waiting for DigitalMicrograph",
    "lost": "The companion does not answer; looking for it",
    "closed": "Closed; connect again with dmlink.connect()",
    "still": "Connected, but no new frames",
}


class LinkPanel(Panel):
    """State, endpoint (without its token), sources and counters of a link; a diagnosis when no frames arrive.

    Parameters
    ----------
    link : Link
        What is shown; it stays open when the panel is closed.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link.age)
        self.link = link
        self._reader = link.reader()
        self._last_frame = time.monotonic()  # time of the last new frame
        self._findings: list[tuple[bool, str]] = []
        self._examined = -AGAIN_SECONDS  # start of the last diagnosis
        self._doctor: threading.Thread | None = None
        self._sources = link.sources()
        self._sources_asked = self._last_frame
        self._sources_thread: threading.Thread | None = None
        self._state = Html()
        self._properties = Html()
        self._counters = Html()
        self._diagnosis = Html()
        buttons = toolbar(
            button("refresh", "Reconnect: drop the connection and find the companion again", link.reconnect),
            button("stethoscope", "Find out why no frames arrive", self.examine),
        )
        head = ipywidgets.HBox([Html(html_text.title("Link")), buttons, self._state])
        head.add_class("dmlink-head")
        self.fill([head, self._properties, self._counters, self._diagnosis])

    def examine(self) -> None:
        """Find out why no frames arrive, on a separate thread; the answer appears in the panel."""
        if not _is_running(self._doctor):
            self._examined = time.monotonic()
            self._findings = []
            self._doctor = threading.Thread(target=self._examine, name="dmlink-doctor", daemon=True)
            self._doctor.start()

    def draw_status(self) -> None:
        """Show the state of the link; find out why if no frames arrive for a while."""
        link, now = self.link, time.monotonic()
        if self._reader.poll() is not None:
            self._last_frame = now
            if not _is_running(self._doctor) and now - self._examined > AGAIN_SECONDS:
                self._findings = []
        missing = now - self._last_frame > PATIENCE_SECONDS
        state = "still" if missing and link.state == "live" else link.state
        if missing and now - self._examined > AGAIN_SECONDS and state != "closed":
            self.examine()
        self._state.value = _state_html(state, STATES.get(state, state), link.reason)
        self._properties.value = _properties_html(
            {
                "endpoint": link.endpoint.address,
                "view": link.source or "chosen by the companion",
                "ROI": link.roi or "the whole image",
                "sources": "; ".join(
                    f"{s.name} {' x '.join(map(str, s.shape))} {np.dtype(s.dtype).name}"
                    for s in self._sources
                ),
            }
        )
        self._follow_sources(now)
        stats = link.stats
        self._counters.value = html_text.status(
            ("received", str(stats.received), 8),
            ("dropped", str(stats.dropped), 7),
            ("", f"{stats.bytes / 1e6:.0f} MB", 10),
            ("rate", html_text.rate(stats.rate), 9),
            ("age", html_text.age(stats.age), 8),
        )
        self._diagnosis.value = _diagnosis_html(self._findings, running=_is_running(self._doctor))

    def printed(self) -> Print:
        """Return the state of the link."""
        link = self.link
        return Print("Link", [f"{link.endpoint.address}: {link.state}", f"{link.stats.received} received"])

    def _follow_sources(self, now: float) -> None:
        """Request the views occasionally, on a thread: a busy DM is slow, and all panels would wait."""
        if now - self._sources_asked > SOURCES_SECONDS and not _is_running(self._sources_thread):
            self._sources_asked = now
            self._sources_thread = threading.Thread(
                target=self._ask_sources, name="dmlink-sources", daemon=True
            )
            self._sources_thread.start()

    def _ask_sources(self) -> None:
        self._sources = self.link.sources()

    def _examine(self) -> None:
        for finding in examine(self.link.endpoint, self.link.roi):
            self._findings = [*self._findings, finding]


def _is_running(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _state_html(state: str, text: str, reason: str) -> str:
    line = html.escape(f"{text}: {reason}" if reason and state in {"waiting", "lost"} else text)
    return f'<span class="dmlink-lamp dmlink-{html.escape(state)}"></span><span role="status">{line}</span>'


def _properties_html(properties: dict[str, str]) -> str:
    rows = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(v)}</dd>" for name, v in properties.items())
    return f'<dl class="dmlink-list">{"".join(rows)}</dl>'


def _diagnosis_html(findings: list[tuple[bool, str]], *, running: bool) -> str:
    if not findings and not running:
        return ""
    lines = [("\u2713 " if well else "\u2717 ") + text for well, text in findings]
    lines += ["\u2026 still checking"] if running else []
    return f'<div class="dmlink-diagnosis">{html.escape(chr(10).join(lines))}</div>'
