"""The one door to the widgets: `view`, `dashboard`, and what `%load_ext dmlink` loads."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from dmlink.link import Link, connect

if TYPE_CHECKING:
    from dmlink_widgets.dashboard import Dashboard
    from dmlink_widgets.live_view import LiveView
    from IPython.core.interactiveshell import InteractiveShell

    from dmlink.replay import Replay


def view(link: Link | Replay, *, size: int = 512) -> LiveView:
    """Return the live view of a link, to be shown in a notebook.

    Parameters
    ----------
    link : Link or Replay
        Where the frames come from; a replay has its controls under the image.
    size : int
        Pixels on the screen of the longer side of the image.
    """
    from dmlink_widgets.live_view import LiveView  # noqa: PLC0415 - a script without a notebook needs none of it

    if isinstance(link, Link):
        return LiveView(link, size)
    from dmlink_widgets.replay_bar import ReplayBar  # noqa: PLC0415

    return LiveView(link.link, size, [ReplayBar(link)])


def dashboard(link: Link | Replay | None = None, *, size: int = 512) -> Dashboard:
    """Return link panel, live view and the panels of all live cells in columns, to be shown in a notebook.

    Cells that are started later appear in it.

    Parameters
    ----------
    link : Link or Replay, optional
        Where the frames come from; by default the last companion on this computer.
    size : int
        Pixels on the screen of the longer side of the live image.
    """
    from dmlink_widgets.dashboard import Dashboard  # noqa: PLC0415

    link = connect() if link is None else link
    if isinstance(link, Link):
        return Dashboard(link, size)
    return Dashboard(link.link, size, link)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%live` and `%live` to a notebook."""
    from dmlink_widgets.magics import LiveMagics  # noqa: PLC0415

    from dmlink.engine import engine  # noqa: PLC0415

    engine.warm()  # while the user still writes the first cell
    if too_old := _jupyterlab_too_old():
        print(too_old)  # noqa: T201 - where the user looks
    shell.register_magics(LiveMagics)


def _jupyterlab_too_old() -> str:
    """Return what to do if the JupyterLab of this environment cannot show the widgets; nothing if it can."""
    try:
        found = version("jupyterlab")
    except PackageNotFoundError:  # JupyterLab runs elsewhere
        return ""
    if int(found.split(".")[0]) >= 4:
        return ""
    return (
        f"JupyterLab {found} cannot show dmlink's live view and panels; it has to be 4.4 or later. "
        f'In a terminal: {sys.executable} -m pip install "jupyterlab>=4.4". Then start JupyterLab again.'
    )
