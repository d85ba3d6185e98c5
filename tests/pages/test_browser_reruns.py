"""Running a cell again and again: what it showed before leaves the kernel; for the page see page_speed.py."""

from __future__ import annotations

import browser
import pytest
from browser import panel

pytestmark = pytest.mark.browser

START = "%load_ext dmlink\nimport dmlink\nlink = dmlink.connect({endpoint!r})"
CELLS = {
    "nanoparticles": "view = dmlink.view(link)\nview",
    "again": "%%live again\nframe.mean(), frame[0]",
}
COUNT = """import gc
from ipywidgets.widgets.widget import _instances
gc.collect()
print(len(_instances), "widgets")"""
RUNS = 3
TRIES = 60  # until the page has said that the last panel is gone


@pytest.mark.parametrize("title", CELLS)
def test_rerun_leaves_nothing_behind(jupyter, title):
    name = f"reruns_{title}.ipynb"
    with jupyter.microscope() as endpoint, jupyter.window(1300, 1200) as page:
        texts = [START.format(endpoint=endpoint), CELLS[title], COUNT]
        browser.write_notebook(jupyter.folder / name, texts)
        browser.open_notebook(page, jupyter.address, name)
        browser.run_all(page)
        for _ in range(2):  # until everything that a page loads once is there
            run_again(page, title)
        widgets = [widgets_in_kernel(page) for _ in range(3)][-1]
        for _ in range(RUNS):
            run_again(page, title)
        assert any(widgets_in_kernel(page) <= widgets for _ in range(TRIES))


def test_view_in_a_variable_outlives_reruns(jupyter):
    with jupyter.microscope() as endpoint, jupyter.window(1300, 1200) as page:
        keep = "views = [*globals().get('views', []), dmlink.view(link)]\nviews[-1]"
        browser.write_notebook(jupyter.folder / "held.ipynb", [START.format(endpoint=endpoint), keep, "1"])
        browser.open_notebook(page, jupyter.address, "held.ipynb")
        browser.run_all(page)
        for _ in range(3):
            run_again(page, "nanoparticles")
        browser.run_cell(page, "print([view.closed for view in views])")
        page.locator(".jp-OutputArea-output", has_text="[False, False, False, False]").wait_for()


def run_again(page, title):
    """Run the second cell again, and wait until its new panel is painted."""
    old = panel(page, title).element_handle()
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function("old => !old.isConnected", arg=old)
    old.dispose()
    panel(page, title)


def widgets_in_kernel(page):
    """Run the third cell again, and return the number that it prints."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(2)
    prompt = cell.locator(".jp-InputArea-prompt").inner_text()
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([cell, before]) => /\\[\\d+\\]/.test(cell.textContent) && cell.textContent !== before",
        arg=[cell.locator(".jp-InputArea-prompt").element_handle(), prompt],
    )
    printed = cell.locator(".jp-OutputArea-output", has_text="widgets")
    printed.wait_for()
    return int(printed.inner_text().split()[0])
