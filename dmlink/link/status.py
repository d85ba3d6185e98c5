"""Status: the state of a link, and the condition that guards it; all parts of a link share one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmlink.link.endpoint import Endpoint


class Status:
    """The state of a link, and the condition that is notified whenever anything about the link changes.

    Attributes
    ----------
    state : str
        "connecting", "live", "waiting", "lost" or "closed".
    reason : str
        Why the link is not live, or a warning for the user; empty if everything works.
    changed : threading.Condition
        Guards what the parts of a link share. Hold it only briefly, because the receiving thread needs it.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.state = "connecting"
        self.reason = ""
        self.changed = threading.Condition()

    @property
    def closed(self) -> bool:
        """Whether the link has been closed."""
        return self.state == "closed"

    def set(self, state: str, reason: str) -> None:
        """Change the state; a closed link stays closed."""
        with self.changed:
            if not self.closed:
                self.state, self.reason = state, reason
            self.changed.notify_all()

    def closed_error(self) -> ConnectionError:
        """Return the error for anyone waiting for a frame of a closed link."""
        return ConnectionError(f"The link to {self.endpoint.address} was closed.")

    def timeout_error(self, timeout: float | None) -> TimeoutError:
        """Return the error for a wait of `timeout` seconds without a new frame."""
        return TimeoutError(f"No new frame from {self.endpoint.address} within {timeout or 0:g} s ({self}).")

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state
