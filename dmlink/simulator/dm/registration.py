"""Registration: what to call for one kind of event of one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Registration:
    """A listener's registration for an image, a display or a window.

    Attributes
    ----------
    handler : str
        Name of the listener's method, such as "HandleDataChangedEvent".
    call : callable
        Calls that method with DM's objects as arguments; it may keep the listener alive.
    active : bool
        False once the listener has unregistered.
    """

    handler: str
    call: Callable[..., None]
    active: bool = True

    def end(self) -> None:
        """Stop calling the handler, and release the listener."""
        self.active = False
        self.call = _do_nothing


def _do_nothing(*_: Any) -> None:
    """Stand in for the call of a registration that has ended."""
