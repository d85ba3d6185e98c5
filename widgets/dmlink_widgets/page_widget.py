"""PageWidget: a widget with its own code in the page."""

from __future__ import annotations

import pathlib
import uuid
from typing import Any, ClassVar

import anywidget
import traitlets


class PageWidget(anywidget.AnyWidget):
    """An AnyWidget whose code is loaded once, and that works even if the page is slow to load it.

    `_code` is that code: JavaScript that exports `initialize` and `render` as in anywidget. Its
    CSS `_classes` are set from the start: anywidget does not update them once a page shows it.
    """

    _esm = pathlib.Path(__file__).with_suffix(".js").read_text("utf-8")
    _code: ClassVar[str]
    _classes: ClassVar[tuple[str, ...]] = ()

    id = traitlets.Unicode().tag(sync=True)  # id of its model, by which the page finds it
    code = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        number = uuid.uuid4().hex
        super().__init__(model_id=number, id=number, code=self._code, _dom_classes=self._classes, **traits)
