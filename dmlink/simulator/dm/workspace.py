"""Workspace: everything that is open in DigitalMicrograph, and the operations on it."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from dmlink.simulator.dm.displays import LINE_PLOT, RASTER, Display, Roi
from dmlink.simulator.dm.documents import Document, DocumentWindow
from dmlink.simulator.dm.events import Events
from dmlink.simulator.dm.images import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from dmlink.simulator.dm.displays import Component, Rectangle
    from dmlink.simulator.main_thread import MainThread
    from dmlink.simulator.output import Output, Streams
    from dmlink.simulator.switches import Switches


def _no_python(_: str, **__: Any) -> None:
    raise RuntimeError("There is no Python.")


class Workspace:
    """Documents (front one first), images, ROIs and tags.

    `lock` guards these; anything that could wait or run a script's code happens without it, also `changed`.
    """

    def __init__(
        self,
        main_thread: MainThread,
        switches: Switches,
        results: Output,
        streams: Streams,
        handler_thread: MainThread | None = None,
    ) -> None:
        self.main_thread = main_thread
        self.switches = switches
        self.results = results
        self.streams = streams
        self.events = Events(handler_thread or main_thread, switches)
        self.lock = threading.RLock()
        self.documents: list[Document] = []
        self.persistent_tags: dict[str, Any] = {}
        self.pages = {1: "Workspace 1"}  # what DM calls workspaces, by number
        self.active_page = 1
        self.dialogs: list[str] = []
        self.menu: dict[tuple[str, ...], str] = {}  # DM-script of what scripts have added to it
        self._images: weakref.WeakValueDictionary[int, Image] = weakref.WeakValueDictionary()
        self._rois: weakref.WeakValueDictionary[int, Roi] = weakref.WeakValueDictionary()
        self._document_of: dict[int, Document] = {}  # by ID of the image
        self._changed = threading.Condition()
        self._ids = itertools.count(1)
        self.handles: dict[type, Any] = {}  # what Python gets, by the class of what it stands for
        self.run_python: Callable[..., Any] = _no_python
        self._image_numbers = itertools.count()

    # Making

    def new_image(self, memory: np.ndarray, name: str, *, rgb: bool = False, live: bool = False) -> Image:
        """Make an image of `memory`, which is not copied; it lives as long as there is a reference."""
        image = Image(self.new_id(), self._new_label(), memory, name, rgb=rgb, live=live)
        with self.lock:
            self._images[image.id] = image
        return image

    def new_document(self, title: str | None = None) -> Document:
        """Make an empty document, behind all others."""
        document = Document(title)
        with self.lock:
            self.documents.append(document)
        return document

    def new_roi(self) -> Roi:
        """Make an ROI that is not on a display yet; it lives as long as there is a reference."""
        roi = Roi(self.new_id())
        with self.lock:
            self._rois[roi.id] = roi
        return roi

    def new_id(self) -> int:
        """Return a unique number."""
        return next(self._ids)

    def _new_label(self) -> str:
        """Return DM-script's label for the next image: A ... Z, AA, AB ..."""
        number, label = next(self._image_numbers), ""
        while number >= 0:
            label = chr(ord("A") + number % 26) + label
            number = number // 26 - 1
        return label

    # Finding

    def living_images(self) -> list[Image]:
        """Return all images that still exist."""
        with self.lock:
            return list(self._images.values())

    def roi(self, number: int) -> Roi | None:
        """Return the ROI with this ID."""
        return self._rois.get(number)

    def front_document(self) -> Document | None:
        """Return the front document that is shown."""
        with self.lock:
            return next((d for d in self.documents if d.window and d.window.visible), None)

    def front_image(self) -> Image | None:
        """Return the image of the front document."""
        document = self.front_document()
        return document.display.image if document and document.display else None

    def document_of(self, image: Image) -> Document | None:
        """Return the document of `image`."""
        return self._document_of.get(image.id)

    def display_of(self, image: Image) -> Display:
        """Return the display in which `image` is drawn.

        Raises
        ------
        RuntimeError
            If the image is in no document.
        """
        document = self.document_of(image)
        if document is None or document.display is None:
            raise RuntimeError(f"The image {image.name!r} has no display: call ShowImage() first.")
        return document.display

    # Documents

    def document_for(self, image: Image) -> Document:
        """Return the document of `image`, or a new one if it has none."""
        document = self.document_of(image)
        if document is None:
            document = self.new_document()
            self.add_image(document, image, LINE_PLOT if len(image.shape) == 1 else RASTER)
        return document

    def add_image(self, document: Document, image: Image, kind: int) -> Display:
        """Put `image` into an empty document with the display type `kind`."""
        if document.display is not None:
            raise RuntimeError("AddImageDisplay: the simulator's documents have one image each.")
        document.display = Display(image, kind)
        self._document_of[image.id] = document
        return document.display

    def show(self, document: Document) -> None:
        """Open the document's window, or bring it to the front."""
        with self.lock:
            if document.window is None:
                document.window = DocumentWindow()
            document.window.visible = True
            self.documents.remove(document)
            self.documents.insert(0, document)
        if document.display:
            document.display.draw()
        self.changed()

    def close(self, document: Document) -> None:
        """Close the document and its window; the image stays as long as there is a reference."""
        with self.lock:
            if document.closed:
                return
            document.closed = True
            self.documents.remove(document)
            window, document.window = document.window, None
            if document.display:
                self._document_of.pop(document.display.image.id, None)
        if window:
            self.events.post(window, "HandleWindowClosedEvent", 1, window)
        self.changed()

    # Images and what is drawn on them

    def update(self, image: Image) -> None:
        """Draw the image's present memory, and call the listeners."""
        document = self.document_of(image)
        if document and document.window and document.display:
            document.display.draw()
        if image.listeners:
            self.events.post_data_changed(image)
        self.changed()

    def delete(self, image: Image) -> None:
        """Close the image's document and delete the image."""
        document = self.document_of(image)
        if document:
            self.close(document)
        image.deleted = True
        with self.lock:
            self._images.pop(image.id, None)

    def remove_roi(self, display: Display, roi: Roi) -> None:
        """Delete the ROI and call the listeners."""
        display.rois.remove(roi)
        self.events.post(display, "HandleROIRemovedEvent", 1, display, 1, 1, roi)
        self.changed()

    def move_component(self, display: Display, component: Component, rectangle: Rectangle) -> None:
        """Move the annotation and call the listeners."""
        component.rectangle = rectangle
        self.events.post(display, "HandleComponentChangedEvent", 1, display, 1, 1, component)

    # Waiting

    def changed(self) -> None:
        """Make every `wait_until` check its condition again."""
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], Any], timeout: float, what: str) -> Any:
        """Wait until `condition()` is true and return its value; it is evaluated after each change."""
        end = time.monotonic() + timeout
        with self._changed:
            value = condition()
            while not value:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"No {what} within {timeout} s.")
                self._changed.wait(left)
                value = condition()
            return value
