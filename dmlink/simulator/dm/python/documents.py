# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Documents and their windows as Python sees them."""

from __future__ import annotations

from typing import Any

from dmlink.simulator.dm.documents import Document, DocumentWindow
from dmlink.simulator.dm.files import save_image
from dmlink.simulator.dm.python.handles import Handle, unwrap, wrap
from dmlink.simulator.dm.python.images import Py_Image
from dmlink.simulator.dm.text import ascii_only


class Py_ImageDocument(Handle, wraps=(Document,)):
    """Python's handle for a document."""

    __slots__ = ()
    simulated: Document

    @property
    def _document(self) -> Document:
        if self.simulated.closed:
            raise RuntimeError(f"The document {self.simulated.name!r} is closed.")
        return self.simulated

    def AddImageDisplay(self, image: Any, kind: int) -> Any:
        document, added = self._document, unwrap(image, Py_Image, "AddImageDisplay")
        return wrap(self._workspace, self._workspace.add_image(document, added, kind))

    def CountImages(self) -> int:
        return int(self._document.display is not None)

    def GetRootComponent(self) -> Any:
        return wrap(self._workspace, self._document.root)

    def GetImage(self, index: int) -> Any:
        display = self._document.display
        if display is None or index != 0:
            raise IndexError(f"GetImage({index}): this document has {1 if display else 0} image.")
        return wrap(self._workspace, display.image)

    def GetWindow(self) -> Any:
        if self._document.window is None:
            raise RuntimeError(f"GetWindow: the document {self._document.name!r} was never shown.")
        return wrap(self._workspace, self._document.window)

    def Show(self) -> None:
        self._workspace.show(self._document)

    def ShowAtRect(self, top: int, left: int, bottom: int, right: int) -> None:
        self._workspace.show(self._document)
        window = self._document.window
        if window:
            window.position, window.size = (left, top), (right - left, bottom - top)

    def Hide(self) -> None:
        window = self._document.window
        if window:
            window.visible = False

    def Close(self, _ask: bool = False) -> None:
        self._workspace.close(self._document)

    def GetName(self) -> str:
        return self._document.name

    def SetName(self, name: str) -> None:
        self._document.title = ascii_only(name, "SetName")

    def GetWorkspace(self) -> int:
        return 1 if self._document else 0

    def MoveToWorkspace(self, _workspace: int) -> None:
        self._workspace.show(self._document)

    def SaveToFile(self, kind: str, path: str) -> None:
        if kind != "Gatan Format":
            raise RuntimeError(f"SaveToFile({kind!r}, {path!r}): the simulator knows only the Gatan Format.")
        if self._document.display is None:
            raise RuntimeError(f"SaveToFile({kind!r}, {path!r}): the document has no image.")
        self._document.file = save_image(self._document.display.image, path, "SaveToFile")


class Py_Window(Handle, wraps=(DocumentWindow,)):
    """Python's handle for a window."""

    __slots__ = ()
    simulated: DocumentWindow

    def GetFrameSize(self) -> tuple[int, int]:
        return self.simulated.size

    def SetFrameSize(self, width: int, height: int) -> None:
        self.simulated.size = (width, height)

    def GetFramePosition(self) -> tuple[int, int]:
        return self.simulated.position

    def SetFramePosition(self, x: int, y: int) -> None:
        self.simulated.position = (x, y)
