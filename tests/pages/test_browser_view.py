"""The live view in use: ROIs, wheel, narrow and HiDPI windows, a page that loads slowly."""

from __future__ import annotations

import re

import browser
import pytest
from browser import frame_shown, panel
from microscopes import until

import dmlink

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext dmlink
import dmlink
link = dmlink.connect()
link.set_roi('roi', dmlink.Roi(100, 100, 200, 200))""",
    "view = dmlink.view(link)\nview",
    "%%live brightness\nframe.mean(axis=0)",
]
PLACES = (
    "() => [...document.querySelectorAll('.dmlink-roi-body')].map((r) => r.getBoundingClientRect().toJSON())"
)

# every figure fits in its panel, and the picture lies within its axes
FITS = """() => [...document.querySelectorAll('.dmlink-picture, .dmlink-plot')].every((plot) => {
    const box = (selector) => plot.querySelector(selector).getBoundingClientRect();
    const [figure, axes] = [box('.bqplot'), box('.plotarea_background')];
    const over = box('.dmlink-canvas div, .dmlink-curves svg');
    const end = plot.closest('.dmlink-panel').getBoundingClientRect().right + 1;
    const aside = ['left', 'top', 'right', 'bottom'].map((side) => Math.abs(over[side] - axes[side]));
    return figure.right <= end && Math.max(...aside) < 1.1;
})"""

# the code of each widget arrives 1 to 4 s late; after 2 s, anywidget gives up on a widget
SLOW = """() => {
    const create = URL.createObjectURL.bind(URL);
    let number = 0;
    URL.createObjectURL = (blob) => {
        if (blob.type !== "text/javascript") return create(blob);
        const wait = `await new Promise((go) => setTimeout(go, ${1000 + ((number++ * 700) % 3000)}));\n`;
        return create(new Blob([wait, blob], { type: blob.type }));
    };
}"""


def opened(jupyter, page, cells=CELLS):
    """Run the notebook and return its live view."""
    browser.write_notebook(jupyter.folder / "view.ipynb", cells)
    browser.open_notebook(page, jupyter.address, "view.ipynb")
    browser.run_all(page)
    return panel(page, "nanoparticles")


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (page, view, a separate link)."""
    with (
        jupyter.microscope() as endpoint,
        jupyter.window(1300, 1000) as page,
        dmlink.connect(endpoint) as link,
    ):
        yield page, opened(jupyter, page), link


def middle(node):
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drawn(view):
    """Return the corners of the only ROI as drawn at one moment, in pixels of the image."""
    left, top, width, height, whole = view.evaluate(
        """view => {
            const body = view.querySelector('.dmlink-roi-body');
            const svg = view.querySelector('.dmlink-overlay svg');
            return ['x', 'y', 'width', 'height'].map((name) => Number(body.getAttribute(name)))
                .concat(Number(svg.getAttribute('width')));
        }"""
    )
    return tuple(round(v * 512 / whole) for v in (top, left, top + height, left + width))


def test_dragged_roi_stays_where_it_is(lab, request):
    page, view, link = lab
    throttle = page.context.new_cdp_session(page)
    throttle.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    request.addfinalizer(lambda: throttle.send("Emulation.setCPUThrottlingRate", {"rate": 1}))
    for shift in (60, -90, 40):
        before = until(link, lambda: link.rois().get("roi"))
        x, y = middle(view.locator(".dmlink-roi-body"))
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + shift, y + shift // 2, steps=30)
        page.mouse.up()
        held = drawn(view)
        assert held != before
        until(link, lambda held=held: link.rois()["roi"] == held)
        last = frame_shown(view)
        while frame_shown(view) < last + 15:
            assert drawn(view) == held
            page.wait_for_timeout(50)


def test_roi_deleted_while_dragged_is_gone(lab):
    page, view, link = lab
    x, y = middle(view.locator(".dmlink-roi-body"))
    before = drawn(view)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y + 10, steps=3)
    until(link, lambda: link.rois()["roi"] == drawn(view) != before)  # it follows a moment later
    link.remove_roi("roi")
    view.locator(".dmlink-roi-body").wait_for(state="detached")
    page.mouse.move(x + 30, y + 30, steps=3)
    page.mouse.up()
    last = link.reader().next(60).index
    until(link, lambda: frame_shown(view) > last)
    assert link.rois() == {}
    assert view.locator(".dmlink-roi-body").count() == 0
    link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))
    view.locator(".dmlink-roi-body").wait_for()


def test_drawn_roi_is_shown_where_dm_has_it(lab):
    _, view, link = lab
    link.set_roi("roi", dmlink.Roi(40, 50, 90, 100))
    view.locator(".dmlink-roi-body[x='50']").wait_for()
    assert drawn(view) == (40, 50, 90, 100)


def test_plain_wheel_scrolls_the_page(lab):
    page, view, _ = lab
    page.mouse.move(*middle(view.locator(".dmlink-overlay svg").first))
    places = view.bounding_box()["y"]
    page.mouse.wheel(0, 150)
    page.wait_for_function(
        "([view, y]) => view.getBoundingClientRect().y < y - 20", arg=[view.element_handle(), places]
    )
    assert not view.locator(".dmlink-zoom").is_visible()


def test_ctrl_wheel_zooms_and_chip_resets(lab):
    page, view, _ = lab
    view.scroll_into_view_if_needed()
    page.mouse.move(*middle(view.locator(".dmlink-overlay svg").first))
    page.keyboard.down("Control")
    for _ in range(3):
        page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    chip = view.locator(".dmlink-zoom", has_text=re.compile(r"^\d(\.\d)?x"))
    chip.wait_for()
    assert page.evaluate("() => window.devicePixelRatio") == 1  # the page itself is not zoomed
    chip.click()
    chip.wait_for(state="hidden")


@pytest.mark.parametrize("width", [1300, 900, 640])
def test_figures_fit_their_column(lab, width):
    page = lab[0]
    browser.resize(page, width)
    page.wait_for_function(FITS)
    browser.resize(page, 1300)


def test_sharp_screen_gets_its_pixels(jupyter):
    with jupyter.microscope():
        page = jupyter.chromium.new_page(viewport={"width": 1300, "height": 1000}, device_scale_factor=2)
        page.set_default_timeout(browser.PATIENCE_MS)
        view = opened(jupyter, page, [CELLS[0], "dmlink.view(link, size=256)"])
        view.locator("canvas[width='512']").wait_for()
        assert round(view.locator("canvas[width='512']").bounding_box()["width"]) == 256
        page.close()
        browser.end_kernels(jupyter.address)


def test_slowly_loaded_view_follows_all(jupyter):
    with jupyter.microscope() as endpoint, jupyter.window(1300, 1000) as page:
        page.add_init_script(f"({SLOW})()")
        view = opened(jupyter, page)
        with dmlink.connect(endpoint) as link:
            link.set_roi("roi", dmlink.Roi(200, 200, 300, 328))
            view.locator(".dmlink-roi-body[width='128']").wait_for()
            x, y = middle(view.locator(".dmlink-roi-body"))
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 40, y, steps=5)
            page.mouse.up()
            until(link, lambda: link.rois()["roi"] == (200, 240, 300, 368))
        page.mouse.move(x, y)
        view.locator(".dmlink-reading", has_text=re.compile(r"value \d")).wait_for()
        panel(page, "brightness").locator("path.dmlink-curve[d^=M]").wait_for()
