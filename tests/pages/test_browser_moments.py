"""In a real page: events, their frames and the last seconds; the bar of a growing recording."""

from __future__ import annotations

import re

import browser
import numpy as np
import pytest
import tifffile
from browser import choose_theme, panel, run_cell, titled
from project import ROOT

import dmlink
from dmlink.data import nanoparticles

pytestmark = [pytest.mark.browser]

ARTEFACTS = ROOT / "artefacts"
EVENTS = [
    f"""import dmlink
%load_ext dmlink
recording = dmlink.replay({str(nanoparticles())!r}, fps=20)
link = recording.link
dmlink.view(recording, size=320)""",
    """%%live nucleation --keep 1 --keep-after 0.5 --clips clips
mean = frame.mean()
mean, Event("<b>it nucleates</b>", when=info.index % 20 == 0)""",
    """%%live rows --waterfall
profile = Profile(frame[:64].mean(axis=0), info.scale, unit=info.unit)
profile, Event("twentieth", when=info.index % 20 == 0)""",
]


@pytest.fixture(scope="module")
def moments(jupyter):
    browser.write_notebook(jupyter.folder / "moments.ipynb", EVENTS)
    with jupyter.window(1280, 3400) as page:
        browser.open_notebook(page, jupyter.address, "moments.ipynb")
        browser.run_all(page)
        yield page


def test_click_on_an_event_shows_its_frame(moments):
    shown = panel(moments, "nucleation")
    key = shown.locator(".dmlink-events-list button").first.get_attribute("data-key")
    line = shown.locator(f'.dmlink-events-list button[data-key="{key}"]')  # the first one soon changes
    assert "<b>it nucleates</b>" in line.inner_text()
    number = line.locator(".dmlink-events-frame").inner_text()
    line.click()
    shown.get_by_text(re.compile(rf"frame {number}, .*<b>it nucleates</b>.*from memory")).wait_for()
    picture = shown.locator("img.widget-image")
    picture.wait_for()
    pressed = shown.locator(".dmlink-events-list button[aria-pressed=true]")
    assert pressed.get_attribute("data-key") == key
    shown.locator(".dmlink-events-list button").nth(2).wait_for()  # it stays while others arrive
    pressed.focus()
    moments.keyboard.press("Enter")
    picture.wait_for(state="hidden")


def test_bell_sounds_at_events_if_switched_on(moments):
    bell = panel(moments, "nucleation").locator(".dmlink-events-bell")
    assert bell.get_attribute("aria-pressed") == "false"
    moments.wait_for_function("() => !document.querySelector('.dmlink-events-bell').dataset.sounded")
    bell.click()
    moments.wait_for_function(
        "() => Number(document.querySelector('.dmlink-events-bell').dataset.sounded) >= 3"
    )
    assert bell.get_attribute("aria-pressed") == "true"
    bell.click()
    assert bell.get_attribute("aria-pressed") == "false"


def test_last_seconds_are_saved_by_a_click(moments, jupyter):
    view = panel(moments, "nanoparticles")
    view.locator(".dmlink-lookback").click()
    said = view.get_by_text(re.compile(r"Saved \d+ frames, [\d.]+ s"))
    said.wait_for()
    (path,) = jupyter.folder.glob("moment-*.ome.zarr")
    with dmlink.open(path) as saved:
        assert len(saved) == int(re.search(r"Saved (\d+)", said.inner_text())[1])


@pytest.mark.exhaustive
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_moments_are_pictured(moments, theme):
    ARTEFACTS.mkdir(exist_ok=True)
    choose_theme(moments, theme)
    for name in ("nucleation", "rows", "nanoparticles"):
        shown = panel(moments, name)
        if name != "nanoparticles":
            shown.locator(".dmlink-events-list button").first.click()
            shown.locator("img.widget-image").wait_for()
        shown.screenshot(path=ARTEFACTS / f"moment-{name}-{theme.lower()}.png")


BAR = [
    """import dmlink
%load_ext dmlink
source = dmlink.follow("set", idle=None)
dmlink.view(source, size=320)""",
    """%%live slow
import pathlib, time
if not pathlib.Path("seen behind").exists():
    time.sleep(0.4)
frame.mean()""",
]


BOTH = [
    f"""import dmlink
%load_ext dmlink
recording = dmlink.replay({str(nanoparticles())!r}, fps=20)
link = recording.link""",
    """%%live both --file recorded
float(frame.mean())""",
]


def write_frames(folder, numbers):
    """Write frames that appear as a whole."""
    for i in numbers:
        part = folder / f"{i}.part"
        tifffile.imwrite(part, np.full((64, 80), i, np.uint16), photometric="minisblack")
        part.rename(folder / f"x_{i:03}.tif")


def test_bar_shows_seen_written_and_lag(jupyter):
    folder = jupyter.folder / "set"
    folder.mkdir()

    def write(*numbers):
        write_frames(folder, numbers)

    browser.write_notebook(jupyter.folder / "bar.ipynb", BAR)
    with jupyter.window(1280, 1400) as page:
        browser.open_notebook(page, jupyter.address, "bar.ipynb")
        browser.run_all(page)
        bar = page.locator(".dmlink-follow")

        def says(pattern):
            bar.get_by_text(re.compile(pattern, re.DOTALL)).first.wait_for()

        says("waiting")
        write(*range(100))  # at 0.4 s each, so that the page has time to show the lag
        says(r"written\s+100 \(")
        says(r"behind\s+[1-9]\d*, [\d.]+ s")
        says(r"caught up in\s+\d+ s")
        (jupyter.folder / "seen behind").touch()
        says("paused")
        titled(page, "slow").wait_for()
        says(r"seen\s+100 \(")
        says("paused")
        says(r"behind\s+0, 0.0 s")
        run_cell(page, "source.idle = 0.1")
        says("finished")
        run_cell(page, "source.idle = 60.0")
        write(100)
        says(r"written\s+101 \(")
        says("growing|paused")
        says(r"seen\s+101 \(")
        ARTEFACTS.mkdir(exist_ok=True)
        for theme in ("Light", "Dark"):
            choose_theme(page, theme)
            page.locator(".jp-Notebook").screenshot(path=ARTEFACTS / f"bar-{theme.lower()}.png")


def test_file_results_replace_live_ones(jupyter):
    browser.write_notebook(jupyter.folder / "both.ipynb", BOTH)
    with jupyter.window(1280, 1000) as page:
        browser.open_notebook(page, jupyter.address, "both.ipynb")
        browser.run_all(page)
        shown = panel(page, "both")
        line = shown.locator(".dmlink-file")

        def says(pattern):
            line.get_by_text(re.compile(pattern, re.DOTALL)).first.wait_for()

        says(r"shown\s+live, provisional")
        says("There is nothing at")
        (jupyter.folder / "recorded").mkdir()
        write_frames(jupyter.folder / "recorded", range(12))
        says(r"file\s+12 of 12 frames")
        says(r"shown\s+live, provisional")
        says("The live view's frames are .* the file's \\(64, 80\\) uint16")
        run_cell(page, "cell = %live both\ncell.following.idle = 0.1")
        says(r"shown\s+file")
        says("finished")
        shown.get_by_text(re.compile(r"frame\s+11")).first.wait_for()
        ARTEFACTS.mkdir(exist_ok=True)
        shown.screenshot(path=ARTEFACTS / "both.png")
