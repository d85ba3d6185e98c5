"""What goes wrong between pages and kernels: two hands on one ROI, no network for a while, a zoomed page."""

from __future__ import annotations

import re

import browser
import pytest
from browser import current, painted, panel
from microscopes import until
from network import Network

import dmlink
from dmlink.data import nanoparticles
from dmlink.simulator import Microscope

from .test_browser_view import FITS, drawn, middle

pytestmark = pytest.mark.browser

VIEW = """import dmlink
link = dmlink.connect({endpoint!r})
view = dmlink.view(link)
view"""


@pytest.fixture
def dm():
    with Microscope(dmlink.open(nanoparticles()), fps=8) as dm:
        dm.endpoint = dm.start_companion()
        yield dm


@pytest.fixture
def link(dm):
    with dmlink.connect(dm.endpoint) as link:
        link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))
        until(link, lambda: "roi" in link.rois())
        yield link


def opened(page, jupyter, dm, name, address=None, cells=()):
    """Run a notebook with a live view and other cells, and return the view."""
    browser.write_notebook(jupyter.folder / name, [VIEW.format(endpoint=dm.endpoint), *cells])
    browser.open_notebook(page, address or jupyter.address, name)
    browser.run_all(page)
    view = panel(page, "nanoparticles")
    view.locator(".dmlink-roi-body").wait_for()
    return view


def test_two_pages_that_drag_one_roi_agree(jupyter, dm, link):
    with jupyter.window(1300, 1000) as page, jupyter.window(1300, 1000) as other:
        views = opened(page, jupyter, dm, "one.ipynb"), opened(other, jupyter, dm, "two.ipynb")
        for shift in (60, -80):
            starts = [middle(view.locator(".dmlink-roi-body")) for view in views]
            for view, (x, y) in zip(views, starts, strict=True):
                view.page.mouse.move(x, y)
                view.page.mouse.down()
            for step in range(1, 11):
                for view, (x, y), way in zip(views, starts, (1, -1), strict=True):
                    view.page.mouse.move(x + way * shift * step / 10, y + 3 * step)
            for view in views:
                view.page.mouse.up()
            until(link, lambda: drawn(views[0]) == drawn(views[1]) == link.rois()["roi"])
            place = link.rois()["roi"]
            for _ in range(20):  # and it stays there
                link.next(60)
            assert drawn(views[0]) == drawn(views[1]) == link.rois()["roi"] == place


@pytest.mark.parametrize("seconds", [6, pytest.param(120, marks=pytest.mark.exhaustive)])
def test_page_that_was_offline_goes_on(jupyter, dm, link, seconds):
    network = Network(int(re.search(r":(\d+)/", jupyter.address)[1]))
    address = re.sub(r":\d+/", f":{network.port}/", jupyter.address)
    with jupyter.window(1300, 1000) as page:
        cells = "%load_ext dmlink", "%%live mean\nframe.mean()", "%%live rows\nframe.mean(axis=1)"
        view = opened(page, jupyter, dm, f"offline_{seconds}.ipynb", address, cells)
        panels = [panel(page, name) for name in ("mean", "rows", "nanoparticles")]
        network.up.clear()
        page.wait_for_timeout(1000 * seconds)
        link.set_roi("roi", dmlink.Roi(50, 60, 150, 210))
        until(link, lambda: link.rois()["roi"].top == 50)
        before = painted(view)
        network.up.set()
        until(link, lambda: painted(view) > before + 5)
        for shown in panels:
            shown.scroll_into_view_if_needed()
            current(shown, link.reader())
        assert page.locator(".dmlink-panel").count() == len(panels)
        until(link, lambda: drawn(view) == (50, 60, 150, 210))
        x, y = middle(view.locator(".dmlink-roi-body"))
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 30, steps=5)
        page.mouse.up()
        until(link, lambda: link.rois()["roi"] == drawn(view) != (50, 60, 150, 210))
    network.close()


@pytest.mark.parametrize("zoom", [1.5, 0.5])
def test_zoomed_page_is_laid_out_and_drawn_on(jupyter, dm, link, zoom):
    size = {"width": round(1300 / zoom), "height": round(1000 / zoom)}
    page = jupyter.chromium.new_page(viewport=size, device_scale_factor=zoom)
    page.set_default_timeout(browser.PATIENCE_MS)
    try:
        view = opened(page, jupyter, dm, "zoomed.ipynb")
        page.wait_for_function(FITS)
        canvas = view.locator("canvas").first
        wide = canvas.bounding_box()["width"]
        page.wait_for_function(
            "([canvas, n]) => canvas.width >= n - 2",  # a pixel of the image or of the screen each
            arg=[canvas.element_handle(), min(512, wide * zoom)],
        )
        x, y = middle(view.locator(".dmlink-roi-body"))
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 20, steps=5)
        page.mouse.up()
        until(link, lambda: link.rois()["roi"] == drawn(view) != (100, 100, 200, 200))
        assert link.rois()["roi"].left == pytest.approx(100 + 40 * 512 / wide, abs=2)
    finally:
        page.close()
        browser.end_kernels(jupyter.address)
