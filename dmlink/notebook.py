"""Notebook: everything that uses the widgets: `view`, `dashboard` and `%load_ext dmlink`."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from dmlink.growing import Following
from dmlink.link.link import Link, connect

if TYPE_CHECKING:
    from dmlink_widgets.panels.dashboard import Dashboard
    from dmlink_widgets.panels.live_view import LiveView
    from dmlink_widgets.panels.timeline_panel import TimelinePanel
    from IPython.core.interactiveshell import InteractiveShell

    from dmlink.playback import Replay


def view(link: Link | Replay | Following, *, size: int = 512, dock: bool = False) -> LiveView:
    """Return a link's live view as a notebook widget.

    Once its cell has been run again, it is closed, unless a variable of the notebook still holds it.

    Parameters
    ----------
    link : Link, Replay or Following
        Where the frames come from; a replay gets controls below the image, a growing recording its counts.
    size : int
        Length of the image's longer side in screen pixels.
    dock : bool
        Show it in a pane next to the notebook (JupyterLab only; otherwise it stays under its cell).
    """
    from dmlink_widgets.panels.live_view import LiveView  # noqa: PLC0415 - scripts without a notebook lack it
    from dmlink_widgets.panels.reruns import made  # noqa: PLC0415

    if isinstance(link, Link):
        return made(LiveView(link, size, dock=dock))
    if isinstance(link, Following):
        from dmlink_widgets.panels.follow_bar import FollowBar  # noqa: PLC0415

        return made(LiveView(link.link, size, [FollowBar(link)], dock=dock))
    from dmlink_widgets.panels.replay_bar import ReplayBar  # noqa: PLC0415

    return made(LiveView(link.link, size, [ReplayBar(link)], dock=dock))


def dashboard(link: Link | Replay | Following | None = None, *, size: int = 512) -> Dashboard:
    """Return a notebook widget with the link panel, the live view and all live cells' panels in columns.

    Cells started later appear in it too.

    Parameters
    ----------
    link : Link, Replay or Following, optional
        Where the frames come from; by default, this computer's last companion.
    size : int
        Length of the live image's longer side in screen pixels.
    """
    from dmlink_widgets.panels.dashboard import Dashboard  # noqa: PLC0415
    from dmlink_widgets.panels.reruns import made  # noqa: PLC0415

    link = connect() if link is None else link
    if isinstance(link, Link):
        return made(Dashboard(link, size))
    return made(Dashboard(link.link, size, link))


def timeline(link: Link | Replay | Following) -> TimelinePanel:
    """Return a notebook widget that shows everything on a link since it was made, over time.

    It has the numbers of all cells, logs, events and gaps. Dragging shows the nearest available frame in the
    views of this link.

    Parameters
    ----------
    link : Link, Replay or Following
        Where the frames come from.
    """
    from dmlink_widgets.panels.reruns import made  # noqa: PLC0415
    from dmlink_widgets.panels.timeline_panel import TimelinePanel, writer  # noqa: PLC0415

    of = link if isinstance(link, Link) else link.link
    return made(TimelinePanel(of, writer(of)))


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%live` and `%live` to a notebook."""
    from dmlink_widgets.magics import LiveMagics  # noqa: PLC0415

    from dmlink.engine.pool import engine  # noqa: PLC0415

    engine.warm()  # ready by the time the user has written the first cell
    if too_old := _jupyterlab_too_old():
        print(too_old)  # noqa: T201 - where the user looks
    shell.register_magics(LiveMagics)


def _jupyterlab_too_old() -> str:
    """Return what to do if this environment's JupyterLab is too old for the widgets; empty if it is not."""
    try:
        found = version("jupyterlab")
    except PackageNotFoundError:  # JupyterLab runs elsewhere
        return ""
    if int(found.split(".")[0]) >= 4:
        return ""
    return (
        f"JupyterLab {found} cannot show dmlink's live view and panels, which need 4.4 or later. "
        f'In a terminal: {sys.executable} -m pip install "jupyterlab>=4.4". Then start JupyterLab again.'
    )
