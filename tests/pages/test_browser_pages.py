"""Whatever happens to a page, nothing breaks: shown twice, hidden, used, kernel busy or restarted."""

from __future__ import annotations

import contextlib
import re

import browser
import pytest
from browser import current, painted, panel, stopped, titled
from microscopes import until

import dmlink

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext dmlink
import dmlink, numpy as np
link = dmlink.connect()
link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))
view = dmlink.view(link, size=384)
view""",
    "%%live pixels --roi roi\nlimit: (0, 9) = 9\n[float(frame.size)] * 9\nfloat([frame.size][9 - limit])",
    """%%live odd
{
    "one pixel": frame[:1, :1],
    "infinite": np.where(frame > 180, np.inf, frame),
    "constant": np.full((9, 9), 7),
    "negative": -1.0 * frame,
    "switches": frame > 170,
    "many counts": frame[:64, :64].astype(float) * 1e9,
    "no scale": Image(frame[:64, :64], scale=0),
    "inverse": Image(frame[:64, :64], scale=0.1, unit="1/nm"),
    "<img src=x onerror=boom()>\\"'": Profile([1.0, np.nan, 3.0], unit="<b>nm</b>"),
    "wide": frame[:1].repeat(2, 0),
}""",
    """%%live between
a: (0.5, 50.0, 0.5) = None
d: (0.05, 10.0, 0.005) = None
b: (0.0, 1.0, 0.3) = 0.5
c: (3, 99, 2) = 50
Text(f"a {a}, b {b}, c {c}, d {d}")""",
    "%%live hollow\nframe[:0]",
    "%%live voltage\nframe * 1j",
]
BUSY = """import pathlib
while not pathlib.Path("go on").exists():
    for _ in range(100_000): pass"""
HIDE = """hidden => {
    const is = { value: hidden, configurable: true };
    Object.defineProperty(document, 'hidden', is);
    document.dispatchEvent(new Event('visibilitychange'));
}"""
# every text in a panel: its size, and its contrast with the background
WRITTEN = """panel => {
    const light = (colour) => {
        const [r, g, b, a] = colour.match(/[0-9.]+/g).map(Number);
        const [x, y, z] = [r, g, b].map((v) => (v / 255) ** 2.2);
        return a === 0 ? null : 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (node) => {
        for (let n = node; n; n = n.parentElement) {
            const colour = getComputedStyle(n).backgroundColor;
            if (!/rgba.*, 0(\\.\\d+)?\\)/.test(colour)) return light(colour);
        }
        return 1;
    };
    const said = [];
    for (const node of panel.querySelectorAll('*')) {
        const words = [...node.childNodes].filter((n) => n.nodeType === 3);
        const text = words.map((n) => n.textContent).join('').trim();
        const box = node.getBoundingClientRect();
        if (!text || !box.width || node.closest('[disabled], option, style, .dmlink-overlay')) continue;
        const style = getComputedStyle(node);
        const [ink, paper] = [light(node.closest('svg') ? style.fill : style.color), behind(node)];
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        said.push([text, parseFloat(style.fontSize), contrast]);
    }
    return said;
}"""
NAMELESS = """() => [...document.querySelectorAll('.dmlink-panel *')]
    .filter((node) => node.matches('button, input, select, canvas, [role=slider]'))
    .filter((node) => node.getBoundingClientRect().width && !node.closest('.bqplot'))
    .filter((node) => !(node.ariaLabel || node.title || node.textContent.trim() || node.labels?.length
        || node.closest('[title]')))
    .map((node) => node.outerHTML.slice(0, 200))"""

OURS = ("blob:", "/extensions/dmlink")  # found in the stack traces of dmlink's own scripts
# a favicon; ipywidgets announcing a new size to a view already removed; anywidget complaining of
# a widget that was closed before it had started, or takes more than two seconds to: drawings reach it
KNOWN = ("404", "reading 'processLuminoMessage'", "[anywidget] Failed to initialize model.")

KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
# offset of the painted corner from that of its axes, in px: left, top
ASIDE = """() => [...document.querySelectorAll('.dmlink-picture, .dmlink-plot')]
    .filter((plot) => plot.getBoundingClientRect().width)
    .map((plot) => {
        const axes = plot.querySelector('.plotarea_background').getBoundingClientRect();
        const painted = plot.querySelector('.dmlink-canvas div, .dmlink-curves svg').getBoundingClientRect();
        return ['left', 'top'].map((side) => painted[side] - axes[side]);
    })"""


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (endpoint, page, folder, address, errors reported by the page)."""
    browser.write_notebook(jupyter.folder / "pages.ipynb", CELLS)
    with jupyter.microscope() as endpoint, jupyter.window(1300, 900) as page:
        complaints = []
        page.on(
            "pageerror",
            lambda error: complains(str(error)) and complaints.append(f"{error}\n{error.stack}"),
        )
        page.on(
            "console",
            lambda said: said.type == "error" and complains(said.text) and complaints.append(said.text),
        )
        browser.open_notebook(page, jupyter.address, "pages.ipynb")
        browser.run_all(page)
        yield endpoint, page, jupyter.folder, jupyter.address, complaints


@pytest.fixture
def link(lab):
    """Yield a separate link to the same microscope."""
    with dmlink.connect(lab[0]) as link:
        yield link


def complains(said):
    """Return whether an error in the page is not from JupyterLab, ipywidgets or anywidget themselves."""
    return not any(known in said for known in KNOWN)


def test_odd_values_are_clear(lab):
    _, page, _, _, complaints = lab
    odd = panel(page, "odd")
    odd.locator(".dmlink-subtitle").nth(9).wait_for()
    assert odd.locator(".dmlink-subtitle", has_text="<img src=x").count() == 1
    assert odd.locator("img[onerror]").count() == 0
    for title, sentence in (("hollow", "no values"), ("voltage", "magnitude")):
        shown = titled(page, title)
        shown.scroll_into_view_if_needed()  # a panel out of sight is sent nothing
        shown.locator(".dmlink-error", has_text=sentence).wait_for()
    assert complaints == []


def test_painting_begins_at_its_axes(lab):
    lab[1].wait_for_function(
        f"""() => {{
            const aside = ({ASIDE})();
            return aside.length >= 10 && Math.max(...aside.flat().map(Math.abs)) < 0.6;
        }}"""
    )


def test_scrolled_away_view_receives_nothing(lab, link):
    _, page, _, _, _ = lab
    view, reader = panel(page, "nanoparticles"), link.reader()
    panel(page, "odd").locator("canvas").last.scroll_into_view_if_needed()
    number = stopped(view, reader)
    for _ in range(20):
        reader.next(60)
    assert painted(view) == number
    view.scroll_into_view_if_needed()
    current(view, reader)


def test_hidden_tab_receives_nothing(lab, link):
    _, page, _, _, _ = lab
    view, reader = panel(page, "nanoparticles"), link.reader()
    page.evaluate(HIDE, True)
    number = stopped(view, reader)
    for _ in range(20):
        reader.next(60)
    assert painted(view) == number
    page.evaluate(HIDE, False)
    current(view, reader)


def test_pictures_leave_the_kernel_idle(lab, link):
    _, page, _, _, _ = lab
    current(panel(page, "nanoparticles"), link.reader())
    page.evaluate(f"""() => {{
        window.acknowledged = new Set();
        window.reported = new Set();
        {KERNEL}.anyMessage.connect((_, {{ msg, direction }}) => {{
            if (direction === 'send' && msg.metadata.dmlink_quiet) window.acknowledged.add(msg.header.msg_id);
            if (msg.header.msg_type === 'status') window.reported.add(msg.parent_header.msg_id);
            if (msg.header.msg_type === 'execute_reply') window.executed = true;
        }});
    }}""")
    page.wait_for_function("() => window.acknowledged.size >= 20")
    browser.run_cell(page, "pass")
    page.wait_for_function("() => window.executed")
    assert page.evaluate("() => window.reported.size") > 0
    assert page.evaluate("() => [...window.acknowledged].filter((id) => window.reported.has(id))") == []
    assert page.evaluate(f"() => [...window.acknowledged].filter((id) => {KERNEL}._futures.has(id))") == []


def test_numbers_follow_a_resized_roi(lab, link):
    _, page, _, _, _ = lab
    view = panel(page, "nanoparticles")
    link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))
    view.locator(".dmlink-roi-body[width='75']").click()
    box = view.locator(".dmlink-se").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 10, steps=3)
    page.mouse.move(x + 60, y + 30, steps=3)
    page.mouse.up()
    size = str((100 + 80) * (100 + 40))  # 512 pixels on 384 px
    panel(page, "pixels").locator(".dmlink-legend", has_text=size).wait_for()
    until(link, lambda: link.rois()["roi"] == (100, 100, 240, 280))


def test_image_focus_keeps_jupyter_shortcuts(lab):
    _, page, _, _, _ = lab
    view = panel(page, "nanoparticles")
    view.locator(".dmlink-overlay svg").click(position={"x": 370, "y": 370})
    with page.expect_response(lambda r: r.request.method == "PUT" and "/api/contents/pages.ipynb" in r.url):
        page.keyboard.press("Control+s")
    cells = page.locator(".jp-Notebook .jp-CodeCell").count()
    page.keyboard.press("x")
    page.keyboard.press("0")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells


def test_many_labels_show_on_hover(lab):
    _, page, _, _, _ = lab
    many = "[[8 + 16 * (i // 32), 8 + 16 * (i % 32)] for i in range(1024)]"
    browser.run_cell(
        page,
        f"%%live many\nPoints({many}, labels=[f'no {{i}}' for i in range(1024)])",
    )
    view = panel(page, "nanoparticles")
    view.locator(".dmlink-mark[aria-label^='many']").wait_for(state="attached")
    view.locator(".dmlink-ages div", has_text="many").wait_for()
    assert view.locator(".dmlink-mark text").count() == 0
    box = view.locator(".dmlink-overlay svg").bounding_box()
    scale = box["width"] / 512
    page.mouse.move(box["x"] + 40.5 * scale, box["y"] + 24.5 * scale)
    view.locator(".dmlink-mark text", has_text="no 34").wait_for()
    assert view.locator(".dmlink-mark text").count() == 1
    page.mouse.move(box["x"] - 20, box["y"])
    browser.run_cell(page, "%%live many\nPoints([[99, 99]], labels=['alone'])")
    view.scroll_into_view_if_needed()
    view.locator(".dmlink-mark text", has_text="alone").wait_for()
    browser.run_cell(page, "%live stop many")
    view.scroll_into_view_if_needed()
    view.locator(".dmlink-mark").wait_for(state="detached")


def test_pointer_names_its_pixel(lab):
    view = panel(lab[1], "nanoparticles")
    box = view.locator(".dmlink-overlay svg").bounding_box()
    scale = box["width"] / 512
    lab[1].mouse.move(box["x"] + 40.7 * scale, box["y"] + 24.7 * scale)
    view.locator(".dmlink-reading", has_text="x 2.0000 nm y 1.2000 nm pixel 40, 24").wait_for()
    lab[1].mouse.move(box["x"] - 20, box["y"])


def test_nothing_jumps_while_numbers_change(lab, link):
    _, page, _, _, _ = lab
    view = panel(page, "nanoparticles")
    places = """() => [...document.querySelectorAll('.dmlink-panel, .dmlink-status-item')]
        .map((node) => node.getBoundingClientRect().toJSON())"""
    before, reader = page.evaluate(places), link.reader()
    for _ in range(30):
        reader.next(60)
    current(view, reader)
    assert page.evaluate(places) == before


def test_error_clears_with_the_slider(lab):
    _, page, _, _, _ = lab
    pixels = panel(page, "pixels")
    handle = pixels.locator("[role=slider], .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowLeft")
    pixels.locator(".dmlink-error", has_text="IndexError").wait_for()
    handle.focus()
    page.keyboard.press("ArrowRight")
    pixels.locator(".dmlink-error").wait_for(state="detached")


@pytest.mark.parametrize("theme", ["Dark", "Dark High Contrast", "Light"])
def test_text_is_readable_in_both_themes(lab, theme):
    _, page, _, _, _ = lab
    browser.choose_theme(page, theme)
    for title in ("nanoparticles", "pixels", "odd", "hollow"):
        shown = page.locator(".dmlink-panel", has=page.locator(f".dmlink-title:text-is('{title}')"))
        shown.scroll_into_view_if_needed()
        said = shown.evaluate(WRITTEN)
        assert said
        assert [words for words in said if words[1] < 11] == []
        assert [words for words in said if words[2] < 3] == []


def test_theme_moves_no_slider(lab, link):
    """The page moves a slider between two steps to one of them when the theme changes."""
    _, page, _, _, _ = lab
    for theme in ("Dark", "Light"):
        browser.choose_theme(page, theme)
    test_error_clears_with_the_slider(lab)  # so the kernel has had all that the page sent before
    between = panel(page, "between")
    current(between, link)
    between.get_by_text("a None, b 0.5, c 50, d None").wait_for()
    assert between.get_by_text(": auto").count() == 2


def test_every_control_has_a_name(lab):
    _, page, _, _, _ = lab
    for handle in page.locator(".dmlink-panel [role=slider]").all():
        handle.focus()
    assert page.evaluate(NAMELESS) == []


def test_record_button_shows_progress(lab):
    _, page, folder, _, _ = lab
    view = panel(page, "nanoparticles")
    view.locator("button[title^=Record]").click()
    said = view.locator(
        ".dmlink-message",
        has_text=re.compile(r"recording \d\d:\d\d . [1-9]\d* frames . .*B . .*left"),
    )
    said.wait_for()
    view.locator("button[title^=Record]").click()
    view.locator(".dmlink-message", has_text=re.compile("finished|stopped|complete|done")).wait_for()
    (path,) = folder.glob("recording-*.zarr")
    recording = dmlink.open(path)
    assert len(recording) > 0
    assert recording[0].data.shape == (512, 512)
    assert recording[0].x.unit == "nm"


def test_busy_kernel_keeps_painting(lab, link):
    _, page, folder, _, _ = lab
    view = panel(page, "nanoparticles")
    current(view, link.reader())
    # not as a cell: the page would scroll there, and ipykernel 6 would not hear what is visible afterwards
    page.evaluate(f"code => {{ {KERNEL}.requestExecute({{code}}); }}", BUSY)
    page.locator("#jp-bottom-panel >> text=| Busy").wait_for()
    link.set_roi("roi", dmlink.Roi(100, 100, 200, 200))
    number = painted(view)
    page.wait_for_function(
        """([canvas, n]) => Number(canvas.dataset.painted) >= n
            && document.querySelector('#jp-bottom-panel').innerText.includes('Busy')""",
        arg=[view.locator("canvas").first.element_handle(), number + 3],
    )
    view.locator(".dmlink-roi-body[width='75']").wait_for()
    box = view.locator(".dmlink-roi-body").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 30, steps=4)
    page.mouse.up()
    (folder / "go on").touch()
    until(link, lambda: link.rois()["roi"] == (100, 140, 200, 240))
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")
    current(panel(page, "nanoparticles"), link.reader())


def test_two_browsers_show_the_same(lab, link):
    _, page, _, address, _ = lab
    with page.expect_response(lambda r: r.request.method == "PUT" and "/api/contents/pages.ipynb" in r.url):
        page.click(".lm-MenuBar-itemLabel:text-is('File')")
        page.click(".lm-Menu-itemLabel:text-is('Save Notebook')")
    with contextlib.closing(page.context.browser.new_page()) as other:
        other.set_default_timeout(browser.PATIENCE_MS)
        browser.open_notebook(other, address, "pages.ipynb")
        panel(other, "nanoparticles")
        link.set_roi("roi", dmlink.Roi(0, 0, 300, 300))
        for each in (page, other):
            each.locator(".dmlink-roi-body[width='225']").wait_for(state="attached")
    first = panel(page, "nanoparticles")
    current(first, link.reader())


def test_restarted_kernel_runs_all_again(lab, link):
    _, page, _, _, complaints = lab
    complaints.clear()
    page.evaluate(
        "() => document.querySelectorAll('.dmlink-panel').forEach((old) => { old.dataset.old = ''; })"
    )
    page.click(".lm-MenuBar-itemLabel:text-is('Kernel')")
    page.click(".lm-Menu-itemLabel:text-is('Restart Kernel and Run All Cells…')")
    page.click(".jp-Dialog button.jp-mod-accept")
    page.locator("[data-old]").first.wait_for(state="detached")
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")
    for title in ("nanoparticles", "pixels", "odd"):
        panel(page, title)
        assert page.locator(f".dmlink-title:text-is('{title}')").count() == 1
    current(panel(page, "nanoparticles"), link.reader())
    until(link, lambda: link.rois().get("roi") == (100, 100, 200, 200))
    # ipywidgets complains of the widgets of the kernel that has ended, if it was just building their views
    assert [one for one in complaints if any(where in one for where in OURS)] == []
