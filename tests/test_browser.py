"""The first lesson in a real Chromium against a real JupyterLab: what a user sees and does."""

from __future__ import annotations

import io
import re
import shutil
import threading

import browser
import numpy as np
import PIL.Image
import pytest
from browser import panel, stopped

import dmlink
from dmlink.cli.demo import FIRST_LESSON, LESSONS, microscope
from dmlink.data import nanoparticles

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Give (endpoint, page, folder) of a browser in which the first lesson has been run."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(LESSONS, folder, dirs_exist_ok=True)
    with (
        microscope([], folder) as endpoint,
        browser.jupyterlab(folder, {"DMLINK_ENDPOINT": endpoint}) as address,
        browser.chromium(width=1200, height=1400) as page,
    ):
        browser.open_notebook(page, address, FIRST_LESSON)
        browser.run_all(page)
        yield endpoint, page, folder


def points(shown):
    """Return how many points the curve of a panel has."""
    return len(re.findall("[ML]", shown.locator("path.line").first.get_attribute("d")))


def test_live_image_is_painted_and_says_how_old_it_is(lab):
    _, page, _ = lab
    view = panel(page, "nanoparticles")
    paints = page.evaluate(
        """() => new Promise((resolve) => {
            const image = document.querySelector('.dmlink-panel canvas, .dmlink-panel svg image');
            let n = 0;
            new MutationObserver(() => { if (++n === 20) resolve(n); }).observe(image, { attributes: true });
        })"""
    )
    assert paints == 20
    status = view.locator(".dmlink-status").inner_text()
    assert int(re.search(r"age +(\d+) ms", status)[1]) < 1000
    assert view.locator(".bqplot text.axislabel").all_text_contents() == ["nm", "nm"]


def test_live_image_is_the_right_way_up(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    view.locator("button[title^=Pause]").click()
    view.locator(".dmlink-status", has_text="paused").wait_for()
    with dmlink.connect(endpoint) as link:
        stopped(view, link.reader())  # what was on its way is painted
    number = int(re.search(r"frame +(\d+)", view.locator(".dmlink-status").inner_text())[1])
    picture = view.locator("canvas, svg image").first.screenshot()
    shot = PIL.Image.open(io.BytesIO(picture)).convert("L").resize((128, 128))
    view.locator("button[title^=Pause]").click()
    recording = dmlink.open(nanoparticles())
    with dmlink.connect(endpoint) as link:
        frame = link.next(timeout=5)
    # the companion began to count at another frame of the recording: find out at which
    start = next(i for i, f in enumerate(recording) if np.array_equal(f.data, frame.data)) - frame.index
    wanted = recording[(start + number) % len(recording)].data.reshape(128, 4, 128, 4).mean((1, 3))
    likeness = {
        name: np.corrcoef(np.asarray(turned, float).ravel(), wanted.ravel())[0, 1]
        for name, turned in {"up": shot, "down": np.flipud(shot), "mirrored": np.fliplr(shot)}.items()
    }
    assert max(likeness, key=likeness.get) == "up"
    assert likeness["up"] > 0.8


def test_slider_changes_the_result(lab):
    _, page, _ = lab
    shown = panel(page, "radial_profile")
    assert points(shown) == 64
    handle = shown.locator("[role=slider], .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "path => path.getAttribute('d').split(/[ML]/).length - 1 === 80",
        arg=shown.locator("path.line").first.element_handle(),
    )


def test_roi_moved_with_the_mouse_moves_in_digitalmicrograph(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
        before = link.rois()["roi"]
        moved = threading.Event()
        wanted = dmlink.Roi(before.top + 40, before.left - 30, before.bottom + 40, before.right - 30)
        link.watch(lambda: link.rois()["roi"] == wanted and moved.set())
        box = view.locator(".dmlink-roi-body").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 10, y + 10)
        page.mouse.move(x - 30, y + 40, steps=5)
        page.mouse.up()
        assert moved.wait(5), link.rois()


def test_roi_moved_in_digitalmicrograph_moves_in_the_notebook(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
        link.set_roi("roi", dmlink.Roi(0, 0, 256, 128))
        page.wait_for_function(
            "() => document.querySelector('.dmlink-roi-body').getAttribute('width') === '128'"
        )
        link.set_roi("roi", dmlink.Roi(128, 128, 384, 384))
        view.locator(".dmlink-roi-body[width='256']").wait_for()


def test_roi_is_drawn_and_moved_and_removed_with_mouse_and_keys(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
        changed = threading.Event()
        link.watch(changed.set)

        def until(condition):
            while not condition():
                assert changed.wait(5), link.rois()
                changed.clear()

        before = link.rois()
        box = view.locator(".dmlink-overlay svg").bounding_box()
        x, y = box["x"], box["y"]
        page.mouse.click(x + 500, y + 6)
        page.keyboard.press("r")
        page.mouse.move(x + 20, y + 400)
        page.mouse.down()
        page.mouse.move(x + 60, y + 440, steps=4)
        page.mouse.move(x + 120, y + 480, steps=4)
        page.mouse.up()
        until(lambda: len(link.rois()) > len(before))
        (name,) = set(link.rois()) - set(before)
        scale = 512 / box["width"]
        assert np.abs(np.subtract(link.rois()[name], np.multiply((400, 20, 480, 120), scale))).max() <= 2
        drawn = link.rois()[name]
        view.locator(f"[aria-label='ROI {name}'].dmlink-selected").wait_for()
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("ArrowRight")
        until(lambda: link.rois()[name] == tuple(np.add(drawn, (-10, 1, -10, 1))))
        page.keyboard.press("Delete")
        until(lambda: link.rois() == before)
        page.keyboard.press("Space")
        view.locator(".dmlink-status", has_text="paused").wait_for()
        page.keyboard.press("Space")
        view.locator(".dmlink-status", has_text="age").wait_for()


def test_wheel_zooms_and_double_click_shows_all_and_the_value_is_told(lab):
    _, page, _ = lab
    view = panel(page, "nanoparticles")
    ends = "() => [...document.querySelectorAll('.dmlink-stack .tick text')].map((t) => t.textContent).join()"
    all_of_it = page.evaluate(ends)
    box = view.locator(".dmlink-overlay svg").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    view.locator(".dmlink-reading", has_text=re.compile(r"nm .*pixel \d+, \d+ .*value \d+")).wait_for()
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"before => ({ends})() !== before", arg=all_of_it)
    page.mouse.dblclick(box["x"] + 490, box["y"] + 20)
    page.wait_for_function(f"before => ({ends})() === before", arg=all_of_it)


def test_view_whose_output_was_cleared_is_followed_no_more(lab):
    _, page, _ = lab
    page.locator(".jp-Cell", has_text="print(cell.stats)").first.click()
    for key in ("Escape", "b", "Enter"):
        page.keyboard.press(key)

    def run(text):
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        page.keyboard.press("Control+Enter")

    run("other = dmlink.view(link, size=100)\ndisplay(other)")
    page.locator(".dmlink-panel").last.locator(
        ".dmlink-status", has_text=re.compile("painted +[1-9]")
    ).wait_for()
    page.keyboard.press("Enter")
    run("print('output cleared')")
    page.locator(".jp-OutputArea", has_text="output cleared").last.wait_for()
    page.keyboard.press("Enter")
    run("print('followed' if other._unwatch else 'let go')")
    page.locator(".jp-OutputArea-output", has_text="let go").wait_for()


def test_error_in_a_cell_shows_in_its_panel_with_the_line(lab):
    _, page, _ = lab
    page.locator(".jp-Cell", has_text="print(cell.stats)").first.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text("%%live broken\nmean = frame.mean()\nmean / 0 + undefined_here\n")
    page.keyboard.press("Control+Enter")
    page.locator(".jp-OutputArea", has_text="undefined_here").last.wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("%%live broken\nmean = frame.mean()\n[1, 2][int(mean)]\n")
    page.keyboard.press("Control+Enter")
    error = page.locator(".dmlink-error", has_text="IndexError")
    page.locator(".dmlink-panel", has=error).scroll_into_view_if_needed()
    assert "line 2: [1, 2][int(mean)]" in error.inner_text()


def test_export_button_writes_the_script_and_never_over_another_one(lab):
    _, page, folder = lab
    shown = panel(page, "diffractogram")
    shown.locator("button", has_text="Export").click()
    shown.locator(".dmlink-status", has_text="diffractogram_dm.py is written").wait_for()
    assert "def process(frame, info, state):" in (folder / "diffractogram_dm.py").read_text()
    shown.locator("button", has_text="Export").click()
    shown.locator(".dmlink-status", has_text="diffractogram_dm.py exists").wait_for()
