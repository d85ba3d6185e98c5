"""LinkPanel: how the link is, and why no frames come if none come."""

from __future__ import annotations

import html
import threading
import time
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np

from dmlink.diagnosis import examine
from dmlink_widgets import text
from dmlink_widgets.panel import Panel
from dmlink_widgets.toolbar import button, toolbar

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink.link import Link

PATIENCE_SECONDS = 3.0  # without a frame before it is asked why
AGAIN_SECONDS = 20.0  # before it is asked once more
SOURCES_SECONDS = 10.0  # between two questions for the views that there are: DM lists its images for it
STATES = {
    "live": "Frames come",
    "waiting": "Waiting for DigitalMicrograph",
    "lost": "The companion does not answer; it is looked for",
    "closed": "Closed: connect anew with dmlink.connect()",
    "still": "Connected, but no new frames come",
}


class LinkPanel(Panel):
    """State, endpoint (without its token), sources and counters of a link; a diagnosis when no frames come.

    Parameters
    ----------
    link : Link
        What it tells of; it stays open when the panel is closed.
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self._reader = link.reader()
        self._came = time.monotonic()  # when the last new frame was seen
        self._findings: list[tuple[bool, str]] = []
        self._asked = -AGAIN_SECONDS  # when it was last asked why
        self._doctor: threading.Thread | None = None
        self._sources = link.sources()
        self._sources_asked = self._came
        self._asker: threading.Thread | None = None
        self._state = ipywidgets.HTML()
        self._facts = ipywidgets.HTML()
        self._counters = ipywidgets.HTML()
        self._diagnosis = ipywidgets.HTML()
        buttons = toolbar(
            button("refresh", "Drop the connection and find the companion again", link.reconnect),
            button("stethoscope", "Find out why no frames come", self.examine),
        )
        head = ipywidgets.HBox([ipywidgets.HTML(text.title("Link")), buttons, self._state])
        head.add_class("dmlink-head")
        self.open([head, self._facts, self._counters, self._diagnosis])

    def examine(self) -> None:
        """Ask, beside everything else, why no frames come; the answer appears in the panel."""
        if self._doctor is None or not self._doctor.is_alive():
            self._asked = time.monotonic()
            self._findings = []
            self._doctor = threading.Thread(target=self._examine, name="dmlink-doctor", daemon=True)
            self._doctor.start()

    def age_of(self, frame: Frame) -> float:
        """Return how old a frame is now, in seconds."""
        return self.link.age(frame)

    def draw(self, *, small: bool) -> Frame | None:  # noqa: ARG002 - it is small
        """Say how the link is."""
        self.draw_status()
        return None

    def draw_status(self) -> None:
        """Say how the link is; ask why if no frames have come for a while."""
        link, now = self.link, time.monotonic()
        if self._reader.poll() is not None:
            self._came = now
            if not self._asking and now - self._asked > AGAIN_SECONDS:
                self._findings = []
        missing = now - self._came > PATIENCE_SECONDS
        state = "still" if missing and link.state == "live" else link.state
        if missing and now - self._asked > AGAIN_SECONDS and state != "closed":
            self.examine()
        self._state.value = _lamp(state, STATES.get(state, state), link.reason)
        self._facts.value = _table(
            {
                "endpoint": link.endpoint.address,
                "view": link.source or "the one of the companion",
                "ROI": link.roi or "the whole image",
                "sources": "; ".join(
                    f"{s.name} {' x '.join(map(str, s.shape))} {np.dtype(s.dtype).name}"
                    for s in self._sources
                ),
            }
        )
        self._follow_sources(now)
        stats = link.stats
        self._counters.value = text.facts(
            ("received", str(stats.received), 8),
            ("dropped", str(stats.dropped), 7),
            ("", f"{stats.bytes / 1e6:.0f} MB", 10),
            ("rate", text.rate(stats.rate), 9),
            ("age", text.age(stats.age)[4:], 8),
        )
        self._diagnosis.value = _list(self._findings, asking=self._asking)

    def _follow_sources(self, now: float) -> None:
        """Ask for the views now and then, and beside: a busy DM takes its time, and all panels would wait."""
        if now - self._sources_asked > SOURCES_SECONDS and not (self._asker and self._asker.is_alive()):
            self._sources_asked = now
            self._asker = threading.Thread(target=self._ask_sources, name="dmlink-sources", daemon=True)
            self._asker.start()

    def _ask_sources(self) -> None:
        self._sources = self.link.sources()

    @property
    def _asking(self) -> bool:
        return self._doctor is not None and self._doctor.is_alive()

    def _examine(self) -> None:
        for finding in examine(self.link.endpoint, self.link.roi):
            self._findings = [*self._findings, finding]


def _lamp(state: str, words: str, reason: str) -> str:
    said = html.escape(f"{words}: {reason}" if reason and state in {"waiting", "lost"} else words)
    return f'<span class="dmlink-lamp dmlink-{html.escape(state)}"></span><span role="status">{said}</span>'


def _table(facts: dict[str, str]) -> str:
    rows = (f"<dt>{html.escape(what)}</dt><dd>{html.escape(value)}</dd>" for what, value in facts.items())
    return f'<dl class="dmlink-list">{"".join(rows)}</dl>'


def _list(findings: list[tuple[bool, str]], *, asking: bool) -> str:
    if not findings and not asking:
        return ""
    lines = [("\u2713 " if well else "\u2717 ") + said for well, said in findings]
    lines += ["\u2026 asking on"] if asking else []
    return f'<div class="dmlink-diagnosis">{html.escape(chr(10).join(lines))}</div>'
