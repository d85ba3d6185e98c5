"""Each kind of panel in both themes: pictures are saved in artefacts/ for inspection."""

from __future__ import annotations

import io
import re

import browser
import numpy as np
import PIL.Image
import pytest
from browser import choose_theme, panel, titled
from hand import Desk
from project import ROOT

import dmlink
from dmlink.data import nanoparticles

pytestmark = [pytest.mark.exhaustive, pytest.mark.browser]

ARTEFACTS = ROOT / "artefacts"
KINDS = {
    "numbers": "{'mean': Scalar(frame.mean(), 'e'), 'spread': Scalar(frame.std(), 'e')}",
    "profile": "rows: (1, 512) = 64  # px\nProfile(frame[:rows].mean(axis=0), info.scale, unit=info.unit)",
    "waterfall": "Profile(frame[:64].mean(axis=0), info.scale, unit=info.unit)",
    "picture": "Image(frame[::4, ::4], scale=4 * info.scale, unit=info.unit)",
    "colours": "import numpy as np\nnp.stack([frame[::4, i::4] for i in (0, 1, 2)], -1).astype(np.uint8)",
    "table": "Table({'row': [0, 1, 2], 'mean': frame[:3].mean(axis=1)})",
    "text": "Text(f'Frame {info.index}\\nmean {frame.mean():.1f}')",
    "boxes": "Boxes([[40, 40, 120, 160], [200, 240, 300, 400]], labels=['a', 'b'])",
    "mistake": "corner = 0, 600\nframe[corner]",
}
CELLS = [
    f"""import dmlink
recording = dmlink.replay({str(nanoparticles())!r}, fps=20)
link = recording.link
link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))""",
    *(f"{name} = dmlink.LiveCell({text!r}, {name!r}).start(link)" for name, text in KINDS.items()),
    "dmlink.dashboard(recording, size=320)",
]


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield the page of a notebook with a dashboard of all of them."""
    browser.write_notebook(jupyter.folder / "pictures.ipynb", CELLS)
    with jupyter.window(1900, 2200) as page:
        browser.open_notebook(page, jupyter.address, "pictures.ipynb")
        browser.run_all(page)
        for title in KINDS:
            page.locator(f".dmlink-dashboard .dmlink-title:text-is('{title}')").wait_for()
        panel(page, "waterfall").locator("button:text-is('Waterfall')").click()
        for control in ("ROIs", "ontrast", "FFT"):
            panel(page, "nanoparticles").locator(f"button[title*={control}]").click()
        yield page


def drawn(shown):
    """Return whether a panel shows an image with some contrast, a curve with many points, or text."""
    if (curve := shown.locator("path.dmlink-curve")).count():
        return len(re.findall("[ML]", curve.first.get_attribute("d"))) > 20
    if (canvas := shown.locator("canvas")).count():
        return np.asarray(PIL.Image.open(io.BytesIO(canvas.last.screenshot())).convert("L")).std() > 5
    return shown.get_by_text(re.compile("2 found|row|Frame|IndexError")).count() > 0


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_each_panel_is_pictured(lab, theme):
    ARTEFACTS.mkdir(exist_ok=True)
    choose_theme(lab, theme)
    for name in ("nanoparticles", *KINDS):
        if name == "mistake":
            shown = titled(lab, name)
            shown.locator(".dmlink-error", has_text="IndexError").wait_for()
        else:
            shown = panel(lab, name)
        while not drawn(shown):  # until the test times out
            lab.wait_for_timeout(100)
        shown.screenshot(path=ARTEFACTS / f"{name}-{theme.lower()}.png")
        colour = shown.locator(".dmlink-title").evaluate("node => getComputedStyle(node).color")
        brightness = sum(int(v) for v in re.findall(r"\d+", colour)[:3]) / 3
        assert (brightness > 128) == (theme == "Dark")
    lab.locator(".dmlink-dashboard .dmlink-title").first.scroll_into_view_if_needed()
    lab.screenshot(path=ARTEFACTS / f"dashboard-{theme.lower()}.png")


# what protrudes from the panel on the right, unless it can be scrolled to
CUT = """view => {
    const end = view.getBoundingClientRect().right + 1;
    const scrolls = (node) => {
        for (let n = node.parentElement; n !== view; n = n.parentElement)
            if (/auto|scroll/.test(getComputedStyle(n).overflowX) && n.scrollWidth > n.clientWidth)
                return true;
        return false;
    };
    const parts = "button, input, select, table, label, canvas, .bqplot, .dmlink-histogram";
    return [...view.querySelectorAll(parts)]
        .filter((node) => node.offsetParent || node instanceof SVGElement)
        .filter((node) => node.getBoundingClientRect().right > end && !scrolls(node))
        .map((node) => node.outerHTML.slice(0, 200));
}"""


@pytest.fixture(scope="module")
def tools(jupyter):
    """Give a desk on which everything is open."""
    cells = ["import dmlink\nlink = dmlink.connect()\nview = dmlink.view(link)\nview"]
    browser.write_notebook(jupyter.folder / "all-tools.ipynb", cells)
    with (
        jupyter.microscope() as endpoint,
        jupyter.window(1600, 2400) as page,
        dmlink.connect(endpoint) as link,
    ):
        browser.open_notebook(page, jupyter.address, "all-tools.ipynb")
        page.click(".jp-SideBar [data-id=filebrowser]")  # without the list of files
        browser.run_all(page)
        desk = Desk(page, link, jupyter.folder)
        desk.open_tools()
        desk.view.locator("button[title^='More:']").click()
        yield desk


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1600, 900, 560])
def test_open_tools_fit_in_the_page(tools, width, theme):
    ARTEFACTS.mkdir(exist_ok=True)
    choose_theme(tools.page, theme)
    browser.resize(tools.page, width, 2400)
    view = tools.view
    tools.page.wait_for_function(f"view => ({CUT})(view).length === 0", arg=view.element_handle())
    before = browser.painted(view)
    tools.wait(lambda: browser.painted(view) > before + 40)  # the figures have been drawn at their new size
    view.screenshot(path=ARTEFACTS / f"tools-{width}-{theme.lower()}.png")
    assert view.evaluate(CUT) == []
    browser.resize(tools.page, 1600, 2400)
