"""The one door to the widgets: `view`, and what `%load_ext dmlink` loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmlink_widgets.live_view import LiveView
    from IPython.core.interactiveshell import InteractiveShell

    from dmlink.link import Link


def view(link: Link, *, size: int = 512) -> LiveView:
    """Return the live view of a link, to be shown in a notebook.

    Parameters
    ----------
    link : Link
        Where the frames come from.
    size : int
        Pixels on the screen of the longer side of the image.
    """
    from dmlink_widgets.live_view import LiveView  # noqa: PLC0415 - a script without a notebook needs none of it

    return LiveView(link, size)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%live` and `%live` to a notebook."""
    from dmlink_widgets.magics import LiveMagics  # noqa: PLC0415

    shell.register_magics(LiveMagics)
