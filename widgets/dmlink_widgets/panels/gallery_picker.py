"""GalleryPicker: the cells of the gallery as pictures, each to be tried on its demo recording."""

from __future__ import annotations

import functools
import html
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink import gallery
from dmlink.cell import LiveCell
from dmlink_widgets import widget_tree
from dmlink_widgets.controls import html_text
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.cell_panel import CellPanel
from dmlink_widgets.panels.live_view import LiveView
from dmlink_widgets.panels.panel import Style
from dmlink_widgets.panels.replay_bar import ReplayBar

if TYPE_CHECKING:
    from dmlink.playback import Replay

THUMBNAILS = resources.files("dmlink_widgets") / "thumbnails"  # written by docs/gallery_thumbnails.py
TRY = "Try it on its demo recording"


class GalleryPicker:
    """A card for each cell of the gallery; the one that is tried runs below its row.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What the notebook shows.
    cell : LiveCell or None
        The cell that is tried.
    """

    def __init__(self) -> None:
        self.cell: LiveCell | None = None
        self._replay: Replay | None = None
        self._panels: list[LiveView | CellPanel] = []
        self._wanted = 0  # number of the newest press: a demo recording may take a while to make
        self._lock = threading.Lock()
        self._message = Html()
        self._stage = ipywidgets.VBox()
        self._tried = ipywidgets.VBox([self._message, self._stage])
        self._tried.add_class("dmlink-tried")
        self._cards = {name: self._card(name) for name in gallery.names()}
        self._grid = ipywidgets.Box([*self._cards.values(), self._tried])
        self._grid.add_class("dmlink-cards")
        self.widget = ipywidgets.VBox([self._grid, Style()])
        self.widget.add_class("dmlink-panel")

    def try_out(self, name: str) -> None:
        """Run a cell on its demo recording, replacing the previous one; returns when it runs."""
        self._wanted += 1
        mine = self._wanted
        cards = list(self._cards)
        after = cards.index(name) + 1 if name in self._cards else len(cards)
        cards[after:after] = [""]
        self._grid.children = [self._cards.get(card, self._tried) for card in cards]
        self._say(f"Preparing the demo recording of {name}.")
        try:
            example = gallery.example(name)
            with self._lock:
                if mine != self._wanted:
                    return
                self._stop()
                self._replay = example.replay()
                self.cell = LiveCell(gallery.text(name), name, timeout=60)
                self.cell.set(**example.values)
                self.cell.start(self._replay.link)
                view = LiveView(self._replay.link, 384, [ReplayBar(self._replay)])
                self._panels = [CellPanel(self.cell, ends_unseen=True), view]
                self._stage.children = [panel.widget for panel in self._panels]
        except (OSError, ValueError) as error:
            self._say(f"{name} cannot be tried: {error}")
            return
        self._say(f"%live load gallery/{name} puts this cell into the notebook.")

    def close(self) -> None:
        """Stop what is tried, and take the cards out of the notebook."""
        self._wanted += 1
        with self._lock:
            self._stop()
        widget_tree.close(self.widget)

    def _card(self, name: str) -> ipywidgets.VBox:
        children: list[ipywidgets.Widget] = []
        picture = THUMBNAILS / f"{name}.png"
        if picture.is_file():
            children.append(
                ipywidgets.Image(value=picture.read_bytes(), format="png", layout={"width": "220px"})
            )
        words = f"<b>{html.escape(name)}</b><br>{html.escape(gallery.sentence(name))}"
        pressed = ipywidgets.Button(description=TRY, icon="play", layout={"width": "auto"})
        pressed.on_click(functools.partial(self._press, name))
        card = ipywidgets.VBox([*children, Html(words), pressed])
        card.add_class("dmlink-card")
        return card

    def _press(self, name: str, _: Any) -> None:
        threading.Thread(target=self.try_out, args=(name,), name="dmlink-gallery", daemon=True).start()

    def _stop(self) -> None:
        self._stage.children = []
        for panel in self._panels:
            panel.close()
        if self._replay:
            self._replay.close()
        self._panels, self._replay, self.cell = [], None, None

    def _say(self, text: str) -> None:
        self._message.value = html_text.message(text)

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        return self.widget._repr_mimebundle_(**keywords)
