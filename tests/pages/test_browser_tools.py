"""The tools of the live view, used with mouse and keyboard."""

from __future__ import annotations

import re

import browser
import pytest
from browser import panel
from microscopes import until

import dmlink

pytestmark = pytest.mark.browser

CELLS = [
    """%load_ext dmlink
import dmlink
link = dmlink.connect()
link.set_roi('roi', dmlink.Roi(300, 300, 400, 400))""",
    "view = dmlink.view(link)\nview",
    "%%live along\nText(str(info.line))",
]
READY = "(node) => node.querySelector('.dmlink-overlay svg').classList.contains('dmlink-drawing')"


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (page, view, a separate link)."""
    with (
        jupyter.microscope() as endpoint,
        jupyter.window(1600, 1200) as page,
        dmlink.connect(endpoint) as link,
    ):
        browser.write_notebook(jupyter.folder / "tools.ipynb", CELLS)
        browser.open_notebook(page, jupyter.address, "tools.ipynb")
        browser.run_all(page)
        yield page, panel(page, "nanoparticles"), link


def line_in(link):
    """Return the line of the newest frame."""
    return link.next(60).line


def at(view, y, x):
    """Return the position on the screen of a point of the image (512 x 512)."""
    box = view.locator(".dmlink-overlay svg").first.bounding_box()
    scale = box["width"] / 512
    return box["x"] + x * scale, box["y"] + y * scale


def drag(page, view, start, end):
    page.mouse.move(*at(view, *start))
    page.mouse.down()
    page.mouse.move(*at(view, *end), steps=4)
    page.mouse.up()


def take(page, view, tool, *, key=None):
    """Select a tool by its key or button, and wait until the image is ready for it."""
    if key:
        page.mouse.click(*at(view, 500, 8))  # an empty place; clicking gives the image the focus
        page.keyboard.press(key)
    else:
        view.locator(f"button.dmlink-draw-{tool}").click()
    page.wait_for_function(READY, arg=view.element_handle())


def switch(page, view, key, part, state):
    """Press a key that shows or hides a part of the view, and wait until the page has done so."""
    page.mouse.click(*at(view, 500, 8))
    page.keyboard.press(key)
    part.wait_for(state=state)


def rows(view, head):
    """Return the rows of the table with this column, as lists of words; at one moment, as it is renewed."""
    table = view.locator(".dmlink-table", has=view.page.locator(f"th:text-is('{head}')"))
    return table.evaluate_all(
        """tables => tables.flatMap((table) => [...table.querySelectorAll('tbody tr')])
            .map((row) => [...row.querySelectorAll('td')].map((cell) => cell.innerText))"""
    )


@pytest.mark.parametrize("key", ["l", None])
def test_line_and_its_profile(lab, key):
    page, view, link = lab
    take(page, view, "line", key=key)
    y = 100 if key else 150
    drag(page, view, (y, 60), (y, 260))
    until(link, lambda: (line := line_in(link)) and abs(line.y0 - (y - 0.5)) < 2)
    view.locator(".dmlink-side path.dmlink-curve[d^=M]").wait_for()
    view.locator(
        ".dmlink-tool-line text", has_text=re.compile(r"^(9\.9|10(\.\d+)?) nm|10\.\d+ nm")
    ).wait_for()
    words = re.compile(rf"\(({y - 3}|{y - 2}|{y - 1}|{y}|{y + 1})\.")
    panel(page, "along").locator(".dmlink-preformatted", has_text=words).wait_for()
    view.scroll_into_view_if_needed()


def test_moved_line_is_moved_everywhere(lab):
    page, view, link = lab
    take(page, view, "line")
    drag(page, view, (150, 60), (150, 260))
    until(link, lambda: (line := line_in(link)) and abs(line.y0 - 149.5) < 2)
    drag(page, view, (150, 160), (180, 160))
    before = until(link, lambda: (line := line_in(link)) and abs(line.y0 - 179.5) < 3 and line)
    page.keyboard.press("Shift+ArrowDown")
    until(link, lambda: abs(line_in(link).y0 - before.y0 - 10) < 0.1)
    page.keyboard.press("Control+z")
    until(link, lambda: abs(line_in(link).y0 - before.y0) < 0.1)
    end = before.y1 + 0.5, before.x1 + 0.5
    drag(page, view, end, (end[0] + 60, end[1] - 20))  # turns it
    until(link, lambda: line_in(link).y1 > before.y1 + 55)
    assert line_in(link)[:2] == pytest.approx(before[:2], abs=0.1)
    page.keyboard.press("Delete")
    until(link, lambda: line_in(link) is None)
    view.locator(".dmlink-tool-line").wait_for(state="detached")


@pytest.mark.parametrize("key", ["d", None])
def test_ruler_measures_in_nm(lab, key):
    page, view, _ = lab
    before = view.locator(".dmlink-tool-ruler").count()
    take(page, view, "ruler", key=key)
    drag(page, view, (440, 100), (340, 100))
    view.locator(".dmlink-tool-ruler").nth(before).wait_for()
    page.wait_for_function(
        "n => document.querySelectorAll('.dmlink-side tbody tr').length === n", arg=before + 1
    )
    row = rows(view, "turn (deg)")[before]
    assert row[1] == "distance"
    assert float(row[2]) == pytest.approx(5.0, abs=0.2)
    assert row[3] == "nm"
    assert float(row[5]) == pytest.approx(90, abs=2)
    page.keyboard.press("Delete")
    for each in (".dmlink-tool-ruler", ".dmlink-side tbody tr"):
        page.wait_for_function(
            "([each, n]) => document.querySelectorAll(each).length === n", arg=[each, before]
        )


def test_click_in_the_spectrum_gives_a_spacing(lab):
    page, view, _ = lab
    canvas = view.locator("canvas[aria-label='Power spectrum'][data-painted]")
    switch(page, view, "f", canvas, "visible")
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4)
    label = view.locator(".dmlink-tool-spot text", has_text=re.compile(r"d 0\.\d+ nm"))
    label.wait_for()
    view.locator(".dmlink-table td", has_text=re.compile("^spacing$")).wait_for()
    page.keyboard.press("Delete")
    label.wait_for(state="detached")
    switch(page, view, "f", canvas, "hidden")


def test_statistics_and_masks(lab):
    page, view, link = lab
    image = view.locator(".dmlink-table td", has_text=re.compile("^image"))
    switch(page, view, "s", image, "visible")
    take(page, view, "ellipse")
    drag(page, view, (20, 20), (80, 120))
    take(page, view, "ring", key="o")
    drag(page, view, (200, 100), (200, 150))
    take(page, view, "polygon", key="p")
    for place in ((300, 50), (300, 120), (360, 120)):
        page.mouse.click(*at(view, *place))
    page.keyboard.press("Enter")
    for name in ("image", "roi", "ellipse", "ring", "polygon"):
        view.locator(".dmlink-table td", has_text=re.compile(rf"^{name}")).wait_for()
    until(link, lambda: {"ellipse1", "ring1", "polygon1"} < set(link.rois()))  # cells can run on them
    for _ in range(3):
        page.keyboard.press("Control+z")
    for name in ("ellipse", "ring", "polygon"):
        view.locator(".dmlink-table td", has_text=re.compile(rf"^{name}")).wait_for(state="detached")
    until(link, lambda: set(link.rois()) == {"roi"})
    switch(page, view, "s", image, "hidden")


def test_contrast_by_preset_and_undone(lab):
    page, view, _ = lab
    bar = view.locator(".dmlink-histogram").first
    presets = view.locator("select[title^='Contrast that suits']").first
    switch(page, view, "c", presets, "visible")
    white, other = (
        bar.locator(f"stop:last-of-type{which}")
        for which in ("[stop-color='#ffffff']", ":not([stop-color='#ffffff'])")
    )
    white.wait_for(state="attached")
    presets.select_option("diffraction")
    other.wait_for(state="attached")
    page.mouse.click(*at(view, 500, 8))
    page.keyboard.press("Control+z")
    white.wait_for(state="attached")
    switch(page, view, "c", presets, "hidden")


def test_letters_in_a_list_choose_from_it(lab):
    page, view, _ = lab
    presets = view.locator("select[title^='Contrast that suits']").first
    switch(page, view, "c", presets, "visible")  # what is hidden takes no focus
    cells = page.locator(".jp-Notebook .jp-CodeCell").count()
    presets.focus()
    page.keyboard.press("d")  # twice, it deletes a cell in JupyterLab
    other = view.locator(".dmlink-histogram stop:last-of-type:not([stop-color='#ffffff'])").first
    other.wait_for(state="attached")
    page.keyboard.press("d")
    page.mouse.click(*at(view, 500, 8))
    page.keyboard.press("Control+z")
    other.wait_for(state="detached")
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells
    switch(page, view, "c", presets, "hidden")


def test_letters_on_a_button_are_keys_of_the_view(lab):
    page, view, _ = lab
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    codes = page.locator(".jp-Notebook .jp-CodeCell").count()
    pause = view.locator("button[title^=Pause]")
    pause.click()  # it keeps the focus
    presets = view.locator("select[title^='Contrast that suits']").first
    page.keyboard.press("c")
    presets.wait_for(state="visible")
    page.keyboard.press("c")
    presets.wait_for(state="hidden")
    for key in ("a", "x", "m", "y", "1", "z"):  # in JupyterLab: insert, cut, Markdown, ...
        page.keyboard.press(key)
    page.keyboard.press("r")  # raw, in JupyterLab
    page.wait_for_function(READY, arg=view.element_handle())
    page.keyboard.press("Escape")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == codes
    resume = view.locator("button.dmlink-pause")
    resume.focus()
    page.keyboard.press("Enter")  # the button's own
    view.locator(".dmlink-light", has_text="live").first.wait_for()


def test_double_click_that_ends_a_polygon_keeps_the_zoom(lab):
    page, view, link = lab
    page.mouse.move(*at(view, 256, 256))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    chip = view.locator(".dmlink-zoom").first  # that of the image
    chip.wait_for()
    take(page, view, "polygon", key="p")
    for place in ((100, 50), (100, 120)):
        page.mouse.click(*at(view, *place))
    page.mouse.dblclick(*at(view, 160, 120))
    until(link, lambda: "polygon1" in link.rois())
    assert chip.is_visible()
    page.keyboard.press("Control+z")
    until(link, lambda: "polygon1" not in link.rois())
    page.mouse.dblclick(*at(view, 500, 8))  # now it shows all
    chip.wait_for(state="hidden")


def test_ruler_begins_inside_an_roi(lab):
    page, view, link = lab
    before = link.rois()["roi"]
    take(page, view, "ruler")
    drag(page, view, (350, 350), (350, 450))
    take(page, view, "ruler", key="d")  # at once, whatever the kernel does
    drag(page, view, (320, 320), (380, 320))
    view.locator(".dmlink-tool-ruler").nth(1).wait_for()
    assert link.rois()["roi"] == before
    for _ in range(2):
        page.keyboard.press("Control+z")
    view.locator(".dmlink-tool-ruler").first.wait_for(state="detached")


def test_keys_are_listed_and_ignored_in_fields(lab):
    page, view, _ = lab
    page.mouse.click(*at(view, 500, 8))
    page.keyboard.press("?")
    keys = view.get_by_role("dialog", name="Keys")
    keys.wait_for()
    assert "Measure a distance" in keys.inner_text()
    page.keyboard.press("?")
    keys.wait_for(state="detached")
    view.locator("button[title^=More]").click()
    view.locator("button[title='Edit ROIs by number']").click()
    view.locator("[aria-label='ROI roi'] .dmlink-roi-body").click()
    field = view.locator("input[placeholder='select an ROI']")
    page.wait_for_function("field => field.value === 'roi'", arg=field.element_handle())
    field.fill("")
    field.press_sequentially("ld s?")
    assert field.input_value() == "ld s?"
    assert keys.count() == 0
    assert not page.evaluate(READY.replace("(node)", "node"), view.element_handle())
    field.fill("roi")
    view.locator("button[title='Edit ROIs by number']").click()
    view.locator("button[title^=More]").click()


def test_copied_picture_is_a_png_on_the_clipboard(lab):
    page, view, _ = lab
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.mouse.click(*at(view, 500, 8))
    page.keyboard.press("k")
    view.locator(".dmlink-message", has_text="Copied the picture").wait_for()
    page.wait_for_function(
        """async () => {
            const [item] = await navigator.clipboard.read();
            return item?.types.includes('image/png') && (await item.getType('image/png')).size > 10_000;
        }"""
    )
