"""Documents: the contents of DigitalMicrograph's windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmlink.simulator.dm.displays import ROOT, Component

if TYPE_CHECKING:
    from dmlink.simulator.dm.displays import Display
    from dmlink.simulator.dm.registration import Registration


class DocumentWindow:
    """The window of a document; it exists from the first Show until the document is closed."""

    def __init__(self) -> None:
        self.visible = True
        self.size = (512, 512)
        self.position = (0, 0)
        self.listeners: list[Registration] = []


class Document:
    """A document with one image, from `file` if any; `title` is None while it follows the image's name."""

    def __init__(self, title: str | None) -> None:
        self.title = title
        self.display: Display | None = None
        self.window: DocumentWindow | None = None
        self.closed = False
        self.file = ""

    @property
    def root(self) -> Component:
        """The component that contains the displays."""
        width, height = self.window.size if self.window else (0, 0)
        root = Component(ROOT, (0.0, 0.0, float(height), float(width)))
        root.components = [self.display] if self.display else []
        return root

    @property
    def name(self) -> str:
        """The text in the title bar."""
        if self.title is not None or self.display is None:
            return self.title or ""
        return self.display.image.name
