"""KeptPicture: a PNG of a panel, saved in the notebook for when there is no kernel."""

from __future__ import annotations

import base64
import pathlib
from typing import TYPE_CHECKING

import traitlets

from dmlink_widgets.drawing import prints
from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.drawing.prints import Print


class KeptPicture(PageWidget):
    """Sends the picture to the page on request or when `send_now` is called; shows nothing itself.

    Parameters
    ----------
    panel : str
        Model id of the panel's widget, which the notebook's output refers to.
    make : callable
        Returns the panel's Print.
    """

    _classes = ("dmlink-fence",)
    _code = (pathlib.Path(__file__).parent / "kept_picture.js").read_text("utf-8")

    panel = traitlets.Unicode().tag(sync=True)

    def __init__(self, panel: str, make: Callable[[], Print]) -> None:
        super().__init__(panel=panel)
        self._make = make
        self.on_msg(lambda *_: self.send_now())

    def send_now(self) -> None:
        """Send the picture to all pages, which put it into their notebooks."""
        page = self._make()
        self.send({"text": page.text}, [prints.png(page)])

    def bundle(self) -> dict[str, str]:
        """Return the picture as part of a notebook's output."""
        page = self._make()
        return {"image/png": base64.b64encode(prints.png(page)).decode(), "text/plain": page.text}
