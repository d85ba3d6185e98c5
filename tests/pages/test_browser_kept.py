"""Pictures of views and cells remain: in a saved notebook, without a kernel, and in its HTML."""

from __future__ import annotations

import base64
import io
import json

import browser
import nbconvert
import nbformat
import numpy as np
import PIL.Image
import pytest
from browser import panel

pytestmark = pytest.mark.browser

VIEW, PNG, TEXT = "application/vnd.jupyter.widget-view+json", "image/png", "text/plain"
CELLS = [
    "%load_ext dmlink\nimport dmlink\nlink = dmlink.connect()\ndmlink.view(link, size=384)",
    "%%live brightness\nlimit: (0, 9) = 7\nframe.mean(axis=0)",
]
COVER = "node => getComputedStyle(node, '::after').content"


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (page, path of the notebook, address) of a notebook with a view and a cell."""
    path = jupyter.folder / "kept.ipynb"
    browser.write_notebook(path, CELLS)
    with jupyter.microscope(), jupyter.window(1300, 1400) as page:
        browser.open_notebook(page, jupyter.address, path.name)
        browser.run_all(page)
        for title in ("nanoparticles", "brightness"):
            panel(page, title)
        yield page, path, jupyter.address


def save(page, path):
    """Save the notebook; return the bundles of its two outputs."""
    browser.save_notebook(page, path)
    return bundles(path)


def bundles(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    data = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    return [bundle for bundle in data if VIEW in bundle]


def pixels(bundle):
    image = PIL.Image.open(io.BytesIO(base64.b64decode(bundle[PNG])))
    return np.asarray(image.convert("L"), float)


def test_saved_outputs_hold_pictures(lab):
    page, path, _ = lab
    first = save(page, path)
    while not all(bundle.keys() >= {VIEW, PNG, TEXT} for bundle in first):
        first = save(page, path)  # again if a busy kernel has not answered in time
    assert len(first) == 2
    assert all(len(json.dumps(bundle)) <= 200_000 for bundle in first)
    view, cell = ("".join(bundle[TEXT]) for bundle in first)
    assert view.startswith("nanoparticles")
    assert "frame" in view
    assert cell.startswith("brightness")
    assert "limit = 7" in cell
    panels = page.locator(".dmlink-panel").element_handles()
    again = save(page, path)
    while any(bundle[PNG] == later[PNG] for bundle, later in zip(first, again, strict=True)):
        again = save(page, path)  # until the test times out
    assert all(pixels(later).std() > 5 for later in again)
    assert all(shown.is_visible() for shown in panels)  # the page kept its widgets


def test_stopped_cell_keeps_its_last_frame(lab):
    page, path, _ = lab
    browser.run_cell(page, "%live stop brightness")
    page.locator(".dmlink-light", has_text="stopped").wait_for()
    browser.run_cell(page, "cell = %live brightness\nprint('last is', cell.latest[0])")
    last = page.locator(".jp-OutputArea-output", has_text="last is").inner_text().split()[-1]
    while f"frame {last}," not in "".join(save(page, path)[1][TEXT]):
        pass  # until the test times out: it reaches the page a moment later


def test_html_shows_the_pictures(lab):
    page, path, _ = lab
    saved = save(page, path)
    html, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.read(path, as_version=4))
    for bundle in saved:
        assert "".join(bundle[PNG]).replace("\n", "")[:4000] in html.replace("\n", "")
    assert "VBox(" not in html


def test_restart_covers_the_panels(lab):
    page = lab[0]
    page.click(".lm-MenuBar-itemLabel:text-is('Kernel')")
    page.click(".lm-Menu-itemLabel:text-is('Restart Kernel…')")
    page.click(".jp-Dialog button.jp-mod-accept")
    covered = page.locator(".dmlink-panel.jupyter-widgets-disconnected")
    covered.nth(1).wait_for()
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")
    for shown in covered.all():
        assert "Run the cell again" in shown.evaluate(COVER)
    broken = page.locator(".dmlink-panel .jupyter-widgets-disconnected").evaluate_all(
        "nodes => nodes.filter((n) => getComputedStyle(n, '::before').display !== 'none').length"
    )
    assert broken == 0


@pytest.mark.parametrize("trusted", [True, False])
def test_reopened_notebook_shows_pictures(lab, trusted):
    page, path, address = lab
    if not trusted:  # changed outside this Jupyter
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["changed"] = True
        notebook.cells[0].source += "\n# from elsewhere"
        path = path.with_stem("untrusted")
        nbformat.write(notebook, path)
    page.goto(address.format(path=path.name) + "&reset")
    images = page.locator(".jp-OutputArea-output img")
    images.nth(1).wait_for()
    page.wait_for_function("image => image.naturalWidth > 300", arg=images.nth(0).element_handle())
    assert page.locator(".jp-Notebook >> text=/Loading widget|Error displaying/").count() == 0
