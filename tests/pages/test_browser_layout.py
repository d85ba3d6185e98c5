"""The layout of a page: a line over its image, panels that grow next to others."""

from __future__ import annotations

import re

import browser
import pytest
from browser import panel

import dmlink
from dmlink.data import nanoparticles
from dmlink.simulator import Microscope

pytestmark = pytest.mark.browser


def run(page, jupyter, text):
    """Run a notebook with one cell."""
    browser.write_notebook(jupyter.folder / "layout.ipynb", [text])
    browser.open_notebook(page, jupyter.address, "layout.ipynb")
    browser.run_all(page)


# width of the image, path of the line, place of its round handle, px; read together: all may be redrawn
LINE = """() => {
    const line = document.querySelector('.dmlink-tool-line');
    const begin = line.querySelector('rect[rx]');
    return [
        Number(line.ownerSVGElement.getAttribute('width')),
        line.querySelector('path.dmlink-tool-shape').getAttribute('d'),
        Number(begin.getAttribute('x')) + Number(begin.getAttribute('width')) / 2,
    ];
}"""


def test_line_in_dm_is_drawn_on_the_image(jupyter):
    with Microscope(dmlink.open(nanoparticles()), fps=10) as dm, jupyter.window(1280, 1000) as page:
        run(page, jupyter, f"import dmlink\ndmlink.view(dmlink.connect({dm.start_companion()!r}), size=384)")
        panel(page, "nanoparticles")
        drawn = dm.draw_line(100, 300, 400, 20)
        line = page.locator(".dmlink-tool-line path.dmlink-tool-shape")
        line.wait_for(state="attached")
        width, path, middle = page.evaluate(LINE)
        ends = [float(number) / width * 512 - 0.5 for number in re.findall(r"[\d.]+", path)]
        assert ends == pytest.approx([100, 300, 400, 20], abs=0.5)
        assert middle / width * 512 == pytest.approx(100.5, abs=0.5)
        dm.delete_roi(drawn)
        line.wait_for(state="detached")


# left, top, bottom of each panel of a dashboard, px
PLACES = """() => Object.fromEntries([...document.querySelectorAll('.dmlink-dashboard > .dmlink-panel')]
    .filter((panel) => panel.offsetHeight)
    .map((panel) => {
        const { left, top, bottom } = panel.getBoundingClientRect();
        return [panel.querySelector('.dmlink-title').textContent, [left, top, bottom]];
    }))"""
DASHBOARD = """import dmlink
link = dmlink.connect({endpoint!r})
grows = dmlink.LiveCell("lines: (1, 40) = 1\\nText('line\\\\n' * lines)", "grows").start(link)
second = dmlink.LiveCell("frame.mean()", "second").start(link)
third = dmlink.LiveCell("frame[0]", "third").start(link)
dmlink.dashboard(link, size=256)"""


def columns(places):
    """Return the titles in each column from the left, from top to bottom; check that no panels overlap."""
    found = {}
    for title, (left, top, bottom) in sorted(places.items(), key=lambda item: item[1][1]):
        for _, above in found.get(left, [])[-1:]:
            assert top >= above
        found.setdefault(left, []).append((title, bottom))
    return [[title for title, _ in found[left]] for left in sorted(found)]


def test_growing_panel_moves_only_those_below(jupyter):
    with Microscope(dmlink.open(nanoparticles()), fps=10) as dm, jupyter.window(1900, 1000) as page:
        run(page, jupyter, DASHBOARD.format(endpoint=dm.start_companion()))
        for title in ("nanoparticles", "Link", "grows", "second", "third"):
            page.locator(f".dmlink-dashboard .dmlink-title:text-is('{title}')").wait_for()
        page.locator(".dmlink-dashboard.dmlink-arranged").wait_for()
        page.wait_for_timeout(4000)  # a panel is settled 3 s after it has appeared
        before = page.evaluate(PLACES)
        there = columns(before)
        assert len(there) == 2
        browser.run_cell(page, "grows.set(lines=40)")
        page.wait_for_function(
            f"height => {{ const [, top, bottom] = ({PLACES})().grows; return bottom - top > height; }}",
            arg=before["grows"][2] - before["grows"][1] + 100,
        )
        after = page.evaluate(PLACES)
        assert columns(after) == there


WORK = """%load_ext dmlink
import dmlink
link = dmlink.connect({endpoint!r})
link.set_roi("a", dmlink.Roi(40, 40, 140, 240))
dmlink.view(link)"""
TWO = "%%live two\n{'rows': frame.mean(axis=1), 'columns': frame.mean(axis=0)}"
ON_ROI = "%%live on_a --roi a\nlimit: bool = True\nframe.mean(axis=0) if limit else 1 / 0"


@pytest.fixture(scope="module")
def side(jupyter):
    """Yield (page, live view, panel of a cell on its ROI)."""
    with Microscope(dmlink.open(nanoparticles()), fps=10) as dm, jupyter.window(1300, 1000) as page:
        browser.write_notebook(
            jupyter.folder / "side.ipynb", [WORK.format(endpoint=dm.start_companion()), ON_ROI, TWO]
        )
        browser.open_notebook(page, jupyter.address, "side.ipynb")
        browser.run_all(page)
        yield page, panel(page, "nanoparticles"), panel(page, "on_a")


def edges(node):
    box = node.bounding_box()
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


# whether the spectrum and the histogram are beside the image (otherwise below it), and all are in the panel
SIDE = """([view, beside]) => {
    const box = (selector) => view.querySelector(selector).getBoundingClientRect();
    const [image, side] = [box('.dmlink-picture'), box('.dmlink-side')];
    const end = view.getBoundingClientRect().right + 1;
    const there = beside
        ? side.left >= image.right && side.top < image.top + 40
        : side.top >= image.bottom - 1;
    return there && [side, image, box("[aria-label='Power spectrum']")].every((part) => part.right <= end);
}"""


@pytest.mark.parametrize(("width", "beside"), [(1700, True), (1300, True), (700, False)])
def test_spectrum_and_histogram_are_beside_the_image(side, width, beside):
    page, view, _ = side
    browser.resize(page, width)
    view.locator("button[title*=spectrum]").click()
    view.locator("button[title^=Contrast]").click()
    view.locator("[aria-label='Power spectrum'][data-painted]").wait_for()
    page.wait_for_function(SIDE, arg=[view.element_handle(), beside])
    view.locator("button[title*=spectrum]").click()
    view.locator("button[title^=Contrast]").click()
    view.locator("[role=img][aria-label='Power spectrum']").wait_for(state="hidden")
    browser.resize(page, 1300)


# whether the second result is beside the first (otherwise below it), both drawn and wholly in the panel
RESULTS = """([panel, beside]) => {
    const plots = [...panel.querySelectorAll('.dmlink-plot')];
    const [first, second] = plots.map((plot) => plot.getBoundingClientRect());
    const end = panel.getBoundingClientRect().right + 1;
    const there = beside
        ? second.left >= first.right && Math.abs(second.top - first.top) < 2
        : second.top >= first.bottom && Math.abs(second.left - first.left) < 2;
    const drawn = panel.querySelectorAll('path.dmlink-curve[d^=M]').length === 2;
    return there && drawn && first.right <= end && second.right <= end;
}"""


@pytest.mark.parametrize(("width", "beside"), [(1700, True), (1300, False), (700, False)])
def test_results_are_in_two_columns_if_there_is_room(side, width, beside):
    page, _, _ = side
    browser.resize(page, width)
    two = panel(page, "two")
    page.wait_for_function(RESULTS, arg=[two.element_handle(), beside])
    browser.resize(page, 1300)


def test_roi_and_its_cell_share_a_colour_and_highlight(side):
    page, view, cell = side
    colour = cell.locator(".dmlink-colour").first.evaluate("node => getComputedStyle(node).backgroundColor")
    page.wait_for_function(
        """([view, colour]) => {
            const body = view.querySelector("[aria-label='ROI a'] .dmlink-roi-body");
            return body && getComputedStyle(body).stroke === colour;
        }""",
        arg=[view.element_handle(), colour],
    )
    cell.locator(".dmlink-on-roi").click()
    view.locator("[aria-label='ROI a'].dmlink-selected").wait_for()
    cell.and_(page.locator(".dmlink-highlighted")).wait_for()
    _, _, right, bottom = edges(view.locator(".dmlink-background").first)
    page.mouse.click(right - 20, bottom - 20)  # an empty place
    page.locator(".dmlink-highlighted").wait_for(state="detached")


def test_error_moves_nothing(side):
    _, _, cell = side
    below = cell.locator("button", has_text="Stop")
    slider = cell.locator("input[type=checkbox]").first
    slider.scroll_into_view_if_needed()
    before = edges(below), edges(slider)
    slider.uncheck()
    cell.locator(".dmlink-error", has_text="ZeroDivisionError").wait_for()
    cell.locator(".dmlink-light", has_text="failing").wait_for()
    assert (edges(below), edges(slider)) == before
    slider.check()
    cell.locator(".dmlink-error").wait_for(state="detached")


def test_docked_view_is_beside_the_notebook(side):
    page, view, _ = side
    view.locator(".dmlink-dock").click()
    pane = page.locator(".dmlink-pane")
    pane.locator("canvas[data-painted]").first.wait_for()
    notebook = page.locator(".jp-NotebookPanel")
    assert edges(pane)[0] >= edges(notebook)[2] - 1
    view.wait_for(state="hidden")
    page.locator(".dmlink-undock").click()
    view.wait_for()
    page.locator(".dmlink-pane").wait_for(state="detached")


def test_view_docks_by_itself_if_asked(side):
    page, _, _ = side
    browser.run_cell(page, "docked = dmlink.view(link, size=128, dock=True)\ndocked")
    page.locator(".dmlink-pane canvas[data-painted]").first.wait_for()
