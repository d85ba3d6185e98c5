"""KeptPicture: a panel as a PNG and its settings, kept in the notebook for when there is no kernel."""

from __future__ import annotations

import base64
import pathlib
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from dmlink_widgets.drawing import prints
from dmlink_widgets.page_widget import PageWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink_widgets.drawing.prints import Print


class KeptPicture(PageWidget):
    """Sends the picture to the page on request or when `send_now` is called; shows nothing itself.

    The page sends it the saved settings. They are used only once per kernel: whoever runs the cell again
    wants what its code says.

    Parameters
    ----------
    panel : str
        Model id of the panel's widget, which the notebook's output refers to.
    make : callable
        Returns the panel's Print.
    settings : callable
        Returns the panel's settings, plain lists and dicts.
    restore : callable
        Called with the settings as they were saved.

    Attributes
    ----------
    key : str
        Identifies the panel in the notebook, whichever kernel made it; empty if its settings are not kept.
    """

    _classes = ("dmlink-fence",)
    _code = (pathlib.Path(__file__).parent / "kept_picture.js").read_text("utf-8")

    panel = traitlets.Unicode().tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)

    restored: ClassVar[set[str]] = set()  # keys, in this kernel

    def __init__(
        self,
        panel: str,
        make: Callable[[], Print],
        settings: Callable[[], dict[str, Any]],
        restore: Callable[[Any], None],
    ) -> None:
        super().__init__(panel=panel)
        self._make, self._settings, self._restore = make, settings, restore
        self.on_msg(lambda _, message, __: self._answer(message))

    def send_now(self) -> None:
        """Send the picture to all pages, which put it into their notebooks."""
        page = self._make()
        self.send({"text": page.text, "settings": self._settings()}, [prints.png(page)])

    def _answer(self, message: dict[str, Any]) -> None:
        if "saved" not in message:
            self.send_now()
        elif self.key not in self.restored:
            self.restored.add(self.key)
            if message["saved"] is not None:
                self._restore(message["saved"])

    def bundle(self) -> dict[str, str]:
        """Return the picture as part of a notebook's output."""
        page = self._make()
        return {"image/png": base64.b64encode(prints.png(page)).decode(), "text/plain": page.text}
