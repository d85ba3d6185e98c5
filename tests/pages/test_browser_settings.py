"""In a new kernel, a saved notebook's views and cells are as they were."""

from __future__ import annotations

import json

import browser
import pytest
from browser import panel
from microscopes import until

import dmlink

pytestmark = pytest.mark.browser

CELLS = [
    "%load_ext dmlink\nimport dmlink\nlink = dmlink.connect()\nview = dmlink.view(link, size=384)\nview",
    "%%live brightness\nlimit: (0, 9) = 7  # px, at most\nframe.mean(axis=0)",
    "%%live aside\nframe[0]",
]
WHITE = "stop:last-of-type[stop-color='#ffffff']"


def test_view_and_cell_are_as_they_were(jupyter):
    path = jupyter.folder / "settings.ipynb"
    browser.write_notebook(path, CELLS)
    with (
        jupyter.microscope() as endpoint,
        jupyter.window(1500, 1400) as page,
        dmlink.connect(endpoint) as link,
    ):
        link.set_roi("roi", dmlink.Roi(20, 30, 90, 120))
        until(link, lambda: "roi" in link.rois())
        browser.open_notebook(page, jupyter.address, path.name)
        browser.run_all(page)
        view, cell = panel(page, "nanoparticles"), panel(page, "brightness")
        view.locator("button.dmlink-contrast").click()
        view.locator("select[title^='Contrast that suits']").first.select_option("diffraction")
        view.locator(f".dmlink-histogram {WHITE}").wait_for(state="detached")
        readout = cell.locator(".widget-readout").first
        readout.fill("4")
        readout.press("Enter")
        assert cell.locator(".dmlink-unit").first.inner_text() == "px"
        panel(page, "aside").locator(".dmlink-dock").click()
        page.locator(".dmlink-pane path.dmlink-curve[d^=M]").wait_for()
        kept = {}
        while kept.get("cell brightness", {}).get("parameters") != {"limit": [7, 4]}:
            browser.save_notebook(page, path)  # again if a busy kernel has not answered in time
            kept = json.loads(path.read_text("utf-8"))["metadata"].get("dmlink", {})
        assert kept["view nanoparticles"]["tools"]["contrast"] is True
        assert [kept[f"cell {name}"]["docked"] for name in ("brightness", "aside")] == [False, True]
        page.locator(".dmlink-pane").evaluate("pane => { pane.dataset.old = ''; }")

        browser.restart_kernel(page)
        link.set_roi("roi", dmlink.Roi(200, 300, 290, 420))  # in DigitalMicrograph, meanwhile
        browser.run_all(page)
        view, cell = panel(page, "nanoparticles"), panel(page, "brightness")
        histogram = view.locator(".dmlink-histogram").first
        histogram.wait_for()
        histogram.locator("stop").first.wait_for(state="attached")
        histogram.locator(WHITE).wait_for(state="detached")
        cell.locator(".widget-readout", has_text="4").first.wait_for()
        assert link.rois()["roi"].top == 200
        page.locator(".dmlink-pane:not([data-old]) path.dmlink-curve[d^=M]").wait_for()
        view.get_by_role("button", name="As saved").click()
        until(link, lambda: link.rois()["roi"] == (20, 30, 90, 120))
        view.get_by_role("button", name="As before").click()
        until(link, lambda: link.rois()["roi"].top == 200)
