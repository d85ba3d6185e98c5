"""FollowBar: how much of a growing recording has been written and seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmlink_widgets.controls import html_text
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.growing import Following


class FollowBar(Panel):
    """Frames written, seen and behind, the rates of the disk and the slowest reader, and missing frames.

    Parameters
    ----------
    following : Following
        Made by `dmlink.follow`.
    """

    def __init__(self, following: Following) -> None:
        super().__init__(following.link.age)
        self.following = following
        self._unwatch: Callable[[], None] | None = None
        self._counts = Html()
        self._error = Html()
        self.fill([self._counts, self._error])
        self.widget.add_class("dmlink-follow")

    def in_page(self, there: bool) -> None:
        """Start or stop updating, as a page begins or stops showing the bar."""
        if self._unwatch:
            self._unwatch()
        self._unwatch = self.following.watch(self.changed) if there else None
        super().in_page(there)

    def draw_status(self) -> None:
        """Show the counts."""
        f = self.following
        facts = [
            ("", f.state, 11),
            ("written", f"{f.written} ({f.rate:.1f}/s)", 18),
            ("seen", f"{f.seen} ({f.pace:.1f}/s)", 18),
            ("behind", f"{f.behind}, {f.lag:.1f} s", 16),
        ]
        if f.catches_up is not None and f.behind:
            facts.append(("caught up in", f"{f.catches_up:.0f} s", 8))
        self._counts.value = html_text.status(*facts)
        self._error.value = html_text.error(f.reason) if f.reason else ""

    def close(self) -> None:
        """Remove the bar from the notebook; the recording is still followed."""
        self.in_page(there=False)
        super().close()
