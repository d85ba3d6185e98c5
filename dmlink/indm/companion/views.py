"""The views that links want: attached when they exist, released when they are closed or no longer wanted."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Collection, Iterator

from dmlink.indm.companion.settings import SEARCH_SECONDS
from dmlink.indm.companion.view import View, described, name_of
from dmlink.indm.gms import fault_of_view, live_view, shown_images, unless_closed
from dmlink.indm.outline import Outline


class Views:
    """Views by name. `wake` is called when one has a picture.

    `roi_names` and `outlines` are those of all ROIs, by ID.

    Attributes
    ----------
    default : str or None
        Name of the view that links get by default: the first one found.
    fault : str
        Why the view last looked for cannot be streamed; empty if it can, or if there is no such image.
    """

    def __init__(
        self, wake: Callable[[], None], roi_names: dict[int, str], outlines: dict[int, Outline]
    ) -> None:
        self.default: str | None = None
        self.fault = ""
        self._wake = wake
        self._rois = roi_names, outlines
        self._views: dict[str, View] = {}
        self._counts: dict[str, tuple[int, int]] = {}  # counts of closed views, to be continued
        self._next_search = 0.0

    def __iter__(self) -> Iterator[View]:
        return iter(list(self._views.values()))

    def of(self, source: str | None) -> View | None:
        """Return the view with that name (None: the default), unless it is closed or missing."""
        view = self._views.get(source or self.default or "")
        return None if view is None or view.closed else view

    def sources(self) -> list[dict[str, Any]]:
        """Return what can be streamed, the default first."""
        found: dict[str, dict[str, Any]] = {}
        for image in shown_images():
            with contextlib.suppress(ValueError), unless_closed(image):
                source = described(image)
                found.setdefault(source["name"], source)
        return sorted(found.values(), key=lambda source: source["name"] != self.default)

    def let_go(self, wanted: Collection[str | None]) -> None:
        """End the views that are closed or no longer wanted."""
        names = self._names(wanted)
        for name, view in list(self._views.items()):
            if view.closed or name not in names:
                view.end()
                self._counts[name] = view.counts
                del self._views[name]

    def missing(self, wanted: Collection[str | None]) -> list[str | None]:
        """Return which of the wanted views should be opened now; this is tried only at intervals."""
        now = time.monotonic()
        if now < self._next_search:
            return []
        self._next_search = now + SEARCH_SECONDS
        return [name for name in self._names(wanted) if name not in self._views]

    def open(self, name: str | None) -> tuple[View, Any] | None:
        """Attach the view with that name (None: the front one); return it and its image if it exists."""
        name, self.fault = name or self.default, ""
        if name is None:
            images = [image for image in [live_view()] if image is not None]
            self.fault = "" if images else fault_of_view()
        else:
            images = list(images_called(name))
        for image in images:
            try:
                counts = self._counts.get(name_of(image), (-1, 0))
                view = View(image, self._wake, counts, *self._rois)
                self.default = self.default or view.name
                self._views[view.name] = view
            except Exception as error:  # noqa: BLE001, PERF203 - the next one may work
                self.fault = str(error)
            else:
                return view, image
        return None

    def end(self) -> None:
        """Stop listening to all of them."""
        for view in self:
            view.end()
        self._views.clear()

    def _names(self, wanted: Collection[str | None]) -> set[str | None]:
        return {self.default, *(name or self.default for name in wanted)}


def images_called(name: str) -> Iterator[Any]:
    """Yield the images with a window that links know by this name."""
    for image in shown_images():
        with unless_closed(image):
            if name_of(image) == name:
                yield image
