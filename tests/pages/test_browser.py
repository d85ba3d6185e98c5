"""The first lesson in a real Chromium with a real JupyterLab: what a user sees and does."""

from __future__ import annotations

import io
import itertools
import re
import shutil

import browser
import numpy as np
import PIL.Image
import pytest
from browser import frame_shown, panel, stopped
from microscopes import until

import dmlink
from dmlink.cli.demo import FIRST_LESSON, LESSONS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (endpoint, page, folder) of a browser in which the first lesson has been run."""
    shutil.copytree(LESSONS, jupyter.folder, dirs_exist_ok=True)
    with jupyter.microscope() as endpoint, jupyter.window(1200, 1400) as page:
        browser.open_notebook(page, jupyter.address, FIRST_LESSON)
        browser.run_all(page)
        yield endpoint, page, jupyter.folder


def wait_for_points(shown, n):
    """Wait until a panel's curve has `n` points."""
    shown.page.wait_for_function(
        """([shown, n]) => shown.querySelector('path.dmlink-curve')
            ?.getAttribute('d')?.split(/[ML]/).length - 1 === n""",
        arg=[shown.element_handle(), n],
    )


def test_live_image_shows_its_age(lab):
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
    view.locator(".dmlink-light", has_text=re.compile(r"live . \d+\.\d f/s . \d+\.\d s old")).wait_for()
    assert view.locator(".bqplot text.axislabel").all_text_contents() == ["nm", "nm"]


def test_live_image_is_the_right_way_up(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link, dmlink.connect(endpoint, mode="lossless") as every:
        first = every.next(60).index
        while frame_shown(view) <= first:
            link.next(60)
        view.locator("button[title^=Pause]").click()
        light = view.locator(".dmlink-light", has_text=re.compile(r"paused . frame \d+"))
        light.wait_for()
        stopped(view, link.reader())  # pictures in transit are painted
        number = int(re.search(r"frame (\d+)", light.text_content())[1])
        frame = next(frame for frame in every if frame.index == number)
    picture = view.locator("canvas, svg image").first.screenshot()
    shot = PIL.Image.open(io.BytesIO(picture)).convert("L").resize((128, 128))
    view.locator("button[title^=Pause]").click()
    wanted = frame.data.reshape(128, 4, 128, 4).mean((1, 3))
    likeness = {
        name: np.corrcoef(np.asarray(turned, float).ravel(), wanted.ravel())[0, 1]
        for name, turned in {"up": shot, "down": np.flipud(shot), "mirrored": np.fliplr(shot)}.items()
    }
    assert max(likeness, key=likeness.get) == "up"
    assert likeness["up"] > 0.8


def test_slider_changes_the_result(lab):
    _, page, _ = lab
    shown = panel(page, "radial_profile")
    wait_for_points(shown, 64)
    handle = shown.locator("[role=slider], .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    wait_for_points(shown, 80)


def test_bell_is_hidden_without_events(lab):
    _, page, _ = lab
    events = panel(page, "radial_profile").locator(".dmlink-events")
    events.evaluate("node => { node.style.display = ''; }")  # as its layout does, sooner or later
    assert events.locator(".dmlink-events-bell").is_hidden()


def test_mouse_moves_roi_in_dm(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
        before = link.rois()["roi"]
        wanted = dmlink.Roi(before.top + 40, before.left - 30, before.bottom + 40, before.right - 30)
        box = view.locator(".dmlink-roi-body").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 10, y + 10)
        page.mouse.move(x - 30, y + 40, steps=5)
        page.mouse.up()
        until(link, lambda: link.rois()["roi"] == wanted)


def test_dm_moves_roi_in_the_notebook(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
        link.set_roi("roi", dmlink.Roi(0, 0, 256, 128))
        page.wait_for_function(
            "() => document.querySelector('.dmlink-roi-body').getAttribute('width') === '128'"
        )
        link.set_roi("roi", dmlink.Roi(128, 128, 384, 384))
        view.locator(".dmlink-roi-body[width='256']").wait_for()


def test_mouse_and_keys_edit_rois(lab):
    endpoint, page, _ = lab
    view = panel(page, "nanoparticles")
    with dmlink.connect(endpoint) as link:
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
        until(link, lambda: len(link.rois()) > len(before))
        (name,) = set(link.rois()) - set(before)
        scale = 512 / box["width"]
        assert np.abs(np.subtract(link.rois()[name], np.multiply((400, 20, 480, 120), scale))).max() <= 2
        drawn = link.rois()[name]
        view.locator(f"[aria-label='ROI {name}'].dmlink-selected").wait_for()
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("ArrowRight")
        until(link, lambda: link.rois()[name] == tuple(np.add(drawn, (-10, 1, -10, 1))))
        page.keyboard.press("Delete")
        until(link, lambda: link.rois() == before)
        page.keyboard.press("Space")
        view.locator(".dmlink-light", has_text="paused").wait_for()
        page.keyboard.press("Space")
        view.locator(".dmlink-light", has_text="live").wait_for()


def test_wheel_zooms_and_pointer_shows_value(lab):
    _, page, _ = lab
    view = panel(page, "nanoparticles")
    ends = "() => [...document.querySelectorAll('.dmlink-stack .tick text')].map((t) => t.textContent).join()"
    all_of_it = page.evaluate(ends)
    box = view.locator(".dmlink-overlay svg").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    view.locator(".dmlink-reading", has_text=re.compile(r"nm .*pixel \d+, \d+ .*value \d+")).wait_for()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    page.wait_for_function(f"before => ({ends})() !== before", arg=all_of_it)
    page.mouse.dblclick(box["x"] + 490, box["y"] + 20)
    page.wait_for_function(f"before => ({ends})() === before", arg=all_of_it)


def test_cleared_view_is_released(lab):
    _, page, _ = lab
    page.locator(".jp-Cell", has_text="stats = cell.stats").first.click()
    for key in ("Escape", "b", "Enter"):
        page.keyboard.press(key)

    def run(text):
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
        page.keyboard.press("Control+Enter")

    run("other = dmlink.view(link, size=100)\ndisplay(other)")
    page.locator(".dmlink-panel").last.locator(
        ".dmlink-light", has_text=re.compile("live . [1-9]")
    ).wait_for()
    page.keyboard.press("Enter")
    run("print('output cleared')")
    page.locator(".jp-OutputArea", has_text="output cleared").last.wait_for()
    page.keyboard.press("Enter")
    for n in itertools.count():  # the page's message takes a moment
        run(f"print('look', {n}, 'followed' if other._unwatch else 'let go')")
        said = page.locator(".jp-OutputArea-output", has_text=re.compile(rf"look {n} (followed|let go)"))
        said.wait_for()
        if "let go" in said.inner_text():
            break
        page.keyboard.press("Enter")


def test_cell_error_shows_its_line(lab):
    _, page, _ = lab
    page.locator(".jp-Cell", has_text="stats = cell.stats").first.click()
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


def test_export_button_never_overwrites(lab):
    _, page, folder = lab
    shown = panel(page, "diffractogram")
    shown.locator("button", has_text="Export").click()
    write = shown.locator("button", has_text="Write script")
    answer = shown.locator(".dmlink-section .dmlink-status")
    write.click()
    answer.filter(has_text=re.compile("Saved .*diffractogram_dm.py")).wait_for()
    assert "def process(frame, info, state):" in (folder / "diffractogram_dm.py").read_text()
    write.click()
    answer.filter(has_text="diffractogram_dm.py exists").wait_for()
    shown.locator("label", has_text="replace").click()
    write.click()
    answer.filter(has_text="Saved").wait_for()
    shown.locator("button", has_text="Check").click()
    answer.filter(has_text="the script shows what the cell shows").wait_for()
