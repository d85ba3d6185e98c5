# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Documents and their windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dmlink.simulator.displays import Display
from dmlink.simulator.handles import Handle, ascii_only, unwrap, wrap

if TYPE_CHECKING:
    from dmlink.simulator.images import Image
    from dmlink.simulator.listeners import Registration
    from dmlink.simulator.workspace import Workspace


class Window:
    """A window on the desktop; it exists from the first Show to the close."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.visible = True
        self.size = (512, 512)
        self.position = (0, 0)
        self.listeners: list[Registration] = []


class Document:
    """A document with one image; `title` is None while it follows the image's name."""

    def __init__(self, workspace: Workspace, title: str | None) -> None:
        self.workspace = workspace
        self.title = title
        self.display: Display | None = None
        self.window: Window | None = None
        self.closed = False
        with workspace.lock:
            workspace.documents.append(self)

    @property
    def name(self) -> str:
        """What stands in the title bar."""
        if self.title is not None or self.display is None:
            return self.title or ""
        return self.display.image.name

    def add(self, image: Image, kind: int) -> Display:
        """Put the image into the document."""
        if self.display is not None:
            raise RuntimeError("AddImageDisplay: the simulator's documents have one image each.")
        self.display = Display(image, kind)
        image.document = self
        return self.display

    def show(self) -> None:
        """Open the window, or bring it to the front."""
        with self.workspace.lock:
            if self.window is None:
                self.window = Window(self)
            self.window.visible = True
            self.workspace.documents.remove(self)
            self.workspace.documents.insert(0, self)
        if self.display:
            self.display.draw()
        self.workspace.changed()

    def close(self) -> None:
        """Close it, window and all; the image lives on while somebody holds it."""
        with self.workspace.lock:
            if self.closed:
                return
            self.closed = True
            self.workspace.documents.remove(self)
            window, self.window = self.window, None
            if self.display:
                self.display.image.document = None
        if window:
            self.workspace.post_event(window, "HandleWindowClosedEvent", 1, window)
        self.workspace.changed()


class Py_ImageDocument(Handle, wraps=Document):
    """What Python holds of a document."""

    __slots__ = ()
    _thing: Document

    @property
    def _document(self) -> Document:
        if self._thing.closed:
            raise RuntimeError(f"The document {self._thing.name!r} is closed.")
        return self._thing

    def AddImageDisplay(self, image: Any, kind: int) -> Any:
        return wrap(self._document.add(unwrap(image, "Py_Image", "AddImageDisplay"), kind))

    def GetImage(self, index: int) -> Any:
        display = self._document.display
        if display is None or index != 0:
            raise IndexError(f"GetImage({index}): this document has {1 if display else 0} image.")
        return wrap(display.image)

    def GetWindow(self) -> Any:
        if self._document.window is None:
            raise RuntimeError(f"GetWindow: the document {self._document.name!r} was never shown.")
        return wrap(self._document.window)

    def Show(self) -> None:
        self._document.show()

    def ShowAtRect(self, top: int, left: int, bottom: int, right: int) -> None:
        self._document.show()
        if window := self._document.window:
            window.position, window.size = (left, top), (right - left, bottom - top)

    def Hide(self) -> None:
        if window := self._document.window:
            window.visible = False

    def SetName(self, name: str) -> None:
        self._document.title = ascii_only(name, "SetName")

    def GetWorkspace(self) -> int:
        return 1 if self._document else 0

    def MoveToWorkspace(self, _workspace: int) -> None:
        self._document.show()

    def SaveToFile(self, kind: str, path: str) -> None:
        if kind != "Gatan Format":
            raise RuntimeError(f"SaveToFile({kind!r}, {path!r}): the simulator knows the Gatan Format only.")
        if self._document.display is None:
            raise RuntimeError(f"SaveToFile({kind!r}, {path!r}): the document has no image.")
        self._document.display.image.save(path, "SaveToFile")


class Py_Window(Handle, wraps=Window):
    """What Python holds of a window."""

    __slots__ = ()
    _thing: Window

    def GetFrameSize(self) -> tuple[int, int]:
        return self._thing.size

    def SetFrameSize(self, width: int, height: int) -> None:
        self._thing.size = (width, height)

    def GetFramePosition(self) -> tuple[int, int]:
        return self._thing.position

    def SetFramePosition(self, x: int, y: int) -> None:
        self._thing.position = (x, y)
