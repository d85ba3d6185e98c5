"""Hand and Desk: use a live view in a notebook as a person does, and count clicks, keys and drags."""

from __future__ import annotations

import collections
import contextlib
import re
import time
from typing import TYPE_CHECKING

import browser
import numpy as np
from playwright.sync_api import Error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    import dmlink

PATIENCE_S = 120.0  # for each thing that is waited for
MOST_TABS = 60
MOST_PANELS = 5  # of the same name
READY = "node => node.querySelector('.dmlink-overlay svg').classList.contains('dmlink-drawing')"
TOOLS = {  # button and key
    "pause": ("button.dmlink-pause", "Space"),
    "roi": ("button.dmlink-draw", "r"),
    "line": ("button.dmlink-draw-line", "l"),
    "ruler": ("button.dmlink-draw-ruler", "d"),
    "ellipse": ("button.dmlink-draw-ellipse", "e"),
    "ring": ("button.dmlink-draw-ring", "o"),
    "spectrum": ("button.dmlink-spectrum", "f"),
    "contrast": ("button.dmlink-contrast", "c"),
    "statistics": ("button.dmlink-statistics", "s"),
    "copy": ("button.dmlink-copy", "k"),
    "picture": ("button.dmlink-save-picture", "w"),
    "lookback": ("button.dmlink-lookback", "b"),
    "undo": ("button.dmlink-undo", "Control+z"),
    "dock": ("button.dmlink-dock", "v"),
}
DRAWING = {"roi", "line", "ruler", "ellipse", "ring"}
INSIDE = {  # what has to be open
    "ellipse": "statistics",
    "ring": "statistics",
    **dict.fromkeys(("copy", "picture", "undo"), "more"),
}


class Hand:
    """Does what a person does, and counts it.

    Attributes
    ----------
    counts : collections.Counter
        How often, by kind.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.counts: collections.Counter[str] = collections.Counter()

    def __str__(self) -> str:
        one = [f"{n} {kind}{'s' * (n > 1 and kind != 'typed')}" for kind, n in self.counts.items()]
        return ", ".join(one) or "look"

    def click(self, target: Locator, **options: object) -> None:
        """Click on something."""
        target.click(**options)  # type: ignore[arg-type]
        self.counts["click"] += 1

    def choose(self, target: Locator, label: str) -> None:
        """Choose from a list: one click opens it, one chooses."""
        target.select_option(label)
        self.counts["click"] += 2

    def click_at(self, place: tuple[float, float]) -> None:
        """Click on a place on the screen."""
        self.page.mouse.click(*place)
        self.counts["click"] += 1

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place to another."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up()
        self.counts["drag"] += 1

    def turn(self, place: tuple[float, float]) -> None:
        """Turn the wheel towards the image with Ctrl held."""
        self.page.mouse.move(*place)
        self.page.keyboard.down("Control")
        self.page.mouse.wheel(0, -400)
        self.page.keyboard.up("Control")
        self.counts["turn"] += 1

    def press(self, *keys: str) -> None:
        """Press one key after another."""
        for key in keys:
            self.page.keyboard.press(key)
            self.counts["key"] += 1

    def tab_to(self, target: Locator) -> None:
        """Press Tab until something has the focus."""
        node = target.element_handle()
        for _ in range(MOST_TABS):
            self.press("Tab")
            if self.page.evaluate("node => node === document.activeElement", node):
                return
        raise AssertionError("Tab does not reach it.")

    def type(self, text: str) -> None:
        """Type a text."""
        self.page.keyboard.insert_text(text)
        self.counts["typed"] += len(text)


class Desk:
    """A notebook with a live view, a second link to the microscope, and a folder where files are saved."""

    def __init__(self, page: Page, link: dmlink.Link, folder: Path) -> None:
        self.page, self.link, self.folder = page, link, folder
        self.view = browser.panel(page, "nanoparticles")

    def clear(self) -> None:
        """Remove the ROIs, masks and the line."""
        for name in self.link.rois():
            self.link.remove_roi(name)
        self.link.set_line(None)
        self.wait(lambda: not self.link.rois() and self.link.next(PATIENCE_S).line is None)

    def tidy(self) -> None:
        """Remove everything that is drawn, and show a new view."""
        self.clear()
        old = self.view.element_handle()
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function("old => !old.isConnected", arg=old)
        self.view = browser.panel(self.page, "nanoparticles")
        self.view.scroll_into_view_if_needed()

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; a frame arrives between two looks."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "It did not happen."
            self.link.next(PATIENCE_S)

    def at(self, y: float, x: float, shown: Locator | None = None) -> tuple[float, float]:
        """Return the place on the screen of a point of the image (512 x 512)."""
        image = (shown or self.view).locator(".dmlink-overlay svg").first
        box = image.bounding_box()
        assert box
        return box["x"] + x * box["width"] / 512, box["y"] + y * box["height"] / 512

    def use(self, hand: Hand, tool: str, *, by_key: bool) -> None:
        """Use a tool by its key or its button, and open what its button is in."""
        button, key = TOOLS[tool]
        if by_key:
            hand.press(key)
        else:
            inside = INSIDE.get(tool)
            if inside == "more":
                hand.click(self.view.locator("button[title^='More:']"))
            elif inside:
                hand.click(self.view.locator(TOOLS[inside][0]))
            hand.click(self.view.locator(button).first)
        if tool in DRAWING:
            self.page.wait_for_function(READY, arg=self.view.element_handle())

    def draw(
        self, hand: Hand, tool: str, start: tuple[int, int], end: tuple[int, int], *, by_key: bool
    ) -> None:
        """Draw with a tool from one point (y, x) to another."""
        self.use(hand, tool, by_key=by_key)
        hand.drag(self.at(*start), self.at(*end))

    def cell(self, hand: Hand, text: str, *, by_key: bool) -> None:
        """Run a new cell below the last one."""
        last = self.page.locator(".jp-Notebook .jp-CodeCell").last
        hand.click(last.locator(".jp-InputArea-editor"))
        if by_key:
            hand.press("Escape", "b", "Enter")
        else:
            hand.click(self.page.locator("[data-command='notebook:insert-cell-below']").first)
            hand.click(self.page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputArea-editor"))
        hand.type(text)
        self.run(hand, by_key=by_key)

    def run(self, hand: Hand, *, by_key: bool) -> None:
        """Run the cell that is being edited."""
        if by_key:
            hand.press("Control+Enter")
        else:
            hand.click(self.page.locator("[data-command='notebook:run-cell-and-select-next']").first)

    def open_tools(self) -> None:
        """Open everything that the view has, and draw one of each shape."""
        hand = Hand(self.page)
        hand.click_at(self.at(500, 8))  # gives the image the focus
        self.draw(hand, "roi", (300, 300), (420, 440), by_key=True)
        self.wait(lambda: "roi" in self.link.rois())
        for tool, start, end in (
            ("line", (100, 60), (120, 260)),
            ("ruler", (440, 100), (340, 100)),
            ("ruler", (440, 120), (440, 220)),
            ("ellipse", (20, 20), (80, 120)),
            ("ring", (200, 100), (200, 150)),
        ):
            self.draw(hand, tool, start, end, by_key=True)
        self.wait(lambda: len(self.link.rois()) == 3 and self.link.next(PATIENCE_S).line)
        for tool in ("spectrum", "contrast", "statistics"):
            self.use(hand, tool, by_key=False)
        self.view.locator("canvas[aria-label='Power spectrum'][data-painted]").wait_for()
        self.row("^ring1$")
        self.row("^distance$")

    def close_tools(self) -> None:
        """Close everything, and remove the shapes."""
        hand = Hand(self.page)
        for tool in ("spectrum", "contrast", "statistics"):
            self.use(hand, tool, by_key=False)
        hand.click(self.view.locator("button[title='Remove all measurements']"))
        self.clear()
        self.view.locator(".dmlink-tool").first.wait_for(state="detached")

    def said(self, text: str) -> None:
        """Wait for a message below the view."""
        self.view.locator(".dmlink-message", has_text=re.compile(text)).wait_for()

    def row(self, text: str) -> None:
        """Wait for a cell of a table."""
        self.view.locator(".dmlink-table td", has_text=re.compile(text)).first.wait_for()

    def running(self, title: str) -> Locator:
        """Return the panel of a cell that was run just now; one of the same name goes meanwhile."""
        found = browser.titled(self.page, title)
        for _ in range(MOST_PANELS):
            with contextlib.suppress(Error):
                found.wait_for()
                found.scroll_into_view_if_needed()
                break
        return found

    def curve(self, title: str) -> None:
        """Wait for a curve in a cell's panel."""
        curve = self.running(title).locator("path.dmlink-curve[d^=M]").first
        curve.wait_for(state="attached")  # a horizontal one counts as hidden

    @property
    def strongest(self) -> tuple[int, int]:
        """Middle (y, x) of the 32 x 32 pixels with the strongest contrast: dark, in bright field."""
        pixels = self.link.next(PATIENCE_S).data.astype(float)
        blocks = pixels.reshape(16, 32, 16, 32).mean((1, 3))
        y, x = np.unravel_index(blocks[1:-1, 1:-1].argmin(), (14, 14))
        return int(y) * 32 + 48, int(x) * 32 + 48
