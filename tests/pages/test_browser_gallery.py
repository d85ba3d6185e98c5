"""The gallery in a real page: a click runs a cell on its demo recording."""

from __future__ import annotations

import browser
import pytest

pytestmark = pytest.mark.browser


def test_cell_is_tried_by_a_click(jupyter):
    browser.write_notebook(jupyter.folder / "gallery.ipynb", ["%load_ext dmlink\n%live gallery"])
    with jupyter.window(1280, 1400) as page:
        browser.open_notebook(page, jupyter.address, "gallery.ipynb")
        browser.run_all(page)
        card = page.locator(".dmlink-card", has_text="running_difference")
        card.get_by_role("button").click()
        tried = page.locator(".dmlink-tried")
        tried.get_by_text("%live load gallery/running_difference").wait_for()
        view = tried.locator(".dmlink-panel", has=page.locator(".dmlink-title:text-is('running_difference')"))
        view.scroll_into_view_if_needed()
        view.locator("canvas[data-painted]").first.wait_for()
