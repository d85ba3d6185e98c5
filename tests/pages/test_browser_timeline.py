"""In a real page, the timeline shows the frame to which it is dragged and its age, and returns to live."""

from __future__ import annotations

import json
import re
import threading

import browser
import numpy as np
import pytest
from browser import choose_theme, titled
from microscopes import PATIENCE, Noise, microscope
from project import ROOT

import dmlink

pytestmark = pytest.mark.browser

ARTEFACTS = ROOT / "artefacts"
BITS = 8
SIZE = 32  # px of each bit
READ = f"""(canvas) => {{
    const context = canvas.getContext('2d');
    const middle = Math.floor(canvas.height / 2);
    let number = 0;
    for (let bit = 0; bit < {BITS}; bit++) {{
        const x = Math.floor(((bit + 0.5) * canvas.width) / {BITS});
        if (context.getImageData(x, middle, 1, 1).data[0] > 127) number |= 1 << bit;
    }}
    return number;
}}"""
#: How much time the numbers at the axis span, in s.
SPAN = """(strips) => {
    const words = [...strips.parentElement.querySelectorAll('.tick text')].map((t) => t.textContent);
    const times = words.map((word) => Number(word.replace('\u2212', '-'))).filter(Number.isFinite);
    const unit = / \\((s|min|h)\\)/.exec(strips.parentElement.textContent)[1];
    return (Math.max(...times) - Math.min(...times)) * { s: 1, min: 60, h: 3600 }[unit];
}"""
CELLS = [
    "import dmlink\n%load_ext dmlink\nlink = dmlink.connect(ENDPOINT)\nlink.log('temperature', 300.0, 'C')",
    "dmlink.view(link, size=320)",
    "dmlink.timeline(link)",
    """%%live number --lossless --keep 1 --keep-after 1 --clips clips-of-timeline
n = (frame[64, 16::32] > 127) @ (2 ** np.arange(8))
{'number': Scalar(n), 'seen': Event('<b>sixty</b>', n % 60 == 0)}""",
]


class Numbered(Noise):
    """Each frame shows its number as black and white stripes; a bar at the top has both."""

    def __init__(self):
        super().__init__(n=1 << BITS, shape=(128, BITS * SIZE), dtype=np.uint8, name="Numbered")
        bits = (np.arange(1 << BITS)[:, None] >> np.arange(BITS)) & 1
        self.stack = np.repeat(255 * bits, SIZE, axis=1)[:, None, :].repeat(128, axis=1).astype(np.uint8)
        self.stack[:, :8, ::2], self.stack[:, :8, 1::2] = 0, 255


def number_in(data):
    return int(((data[64, SIZE // 2 :: SIZE] > 127) * (1 << np.arange(BITS))).sum())


@pytest.fixture(scope="module")
def lab(jupyter):
    """Yield (page, live view, timeline, the number in the pixels of each frame by frame number)."""
    with microscope(Numbered(), fps=20) as dm, jupyter.window(1100, 1500) as page:
        cells = [text.replace("ENDPOINT", json.dumps(dm.endpoint)) for text in CELLS]
        cells[0] = f"import numpy as np\n{cells[0]}"
        browser.write_notebook(jupyter.folder / "timeline.ipynb", cells)
        with dmlink.connect(dm.endpoint, mode="lossless") as link:
            numbers, enough = {}, threading.Event()
            noting = threading.Thread(target=note, args=(link, numbers, enough))
            noting.start()
            browser.open_notebook(page, jupyter.address, "timeline.ipynb")
            browser.run_all(page)
            view, timeline = titled(page, "Numbered"), titled(page, "Timeline")
            timeline.locator(".dmlink-strips path").first.wait_for(state="attached")
            enough.clear()
            assert enough.wait(PATIENCE)
            yield page, view, timeline, numbers
            page.goto("about:blank")
        noting.join()


def note(link, numbers, enough):
    """Record the number in each frame's pixels until the link is closed; signal when 100 have arrived."""
    begun = 0
    for frame in link:
        numbers[frame.index] = number_in(frame.data)
        begun = begun + 1 if not enough.is_set() else 0
        if begun > 100:
            enough.set()


def drag(page, timeline, *places):
    """Drag over the strips to these places, 0 to 1 of their width."""
    timeline.locator(".dmlink-strips").scroll_into_view_if_needed()
    box = timeline.locator(".dmlink-strips").bounding_box()
    left, right = 72, 16
    for i, place in enumerate(places):
        page.mouse.move(box["x"] + left + place * (box["width"] - left - right), box["y"] + box["height"] / 3)
        if i == 0:
            page.mouse.down()
    page.mouse.up()


def said(view):
    """Return the number of the past frame that the view says it shows."""
    view.scroll_into_view_if_needed()  # out of sight, it is not drawn
    number = view.page.wait_for_function(
        "view => /this is frame (\\d+), [\\d.]+ (s|min) old/"
        ".exec(view.querySelector('.dmlink-light')?.textContent)?.[1]",
        arg=view.element_handle(),
    )
    return int(number.json_value())


def wait_for_live(view):
    view.scroll_into_view_if_needed()
    view.locator(".dmlink-light", has_text=re.compile("^live")).wait_for()


def test_drag_shows_the_frame_in_its_pixels(lab):
    page, view, timeline, numbers = lab
    canvas = view.locator(".dmlink-canvas canvas").first
    shown = []
    for place in (0.3, 0.6, 0.9):
        drag(page, timeline, place - 0.05, place)
        painted = ()
        for _ in range(int(PATIENCE / 0.05)):
            painted = said(view), canvas.evaluate(READ)
            if painted[0] not in shown and numbers.get(painted[0]) == painted[1]:
                break
            page.wait_for_timeout(50)
        assert numbers[painted[0]] == painted[1]
        shown.append(painted[0])
    assert sorted(set(shown)) == shown, "further to the right is later"
    timeline.get_by_text("this is frame").first.wait_for()
    then = ""
    for _ in range(int(PATIENCE / 0.05)):
        then = " ".join(timeline.locator(".dmlink-numbers").inner_text().split())
        number = numbers[said(view)]  # the drag may have moved on
        if f"number {number}" in then:
            break
        page.wait_for_timeout(50)
    assert "temperature" in then
    assert f"number {number}" in then


def test_live_button_shows_the_newest_frame(lab):
    page, view, timeline, _ = lab
    drag(page, timeline, 0.5)
    said(view)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "timeline-light.png")
    choose_theme(page, "Dark")
    page.screenshot(path=ARTEFACTS / "timeline-dark.png")
    choose_theme(page, "Light")
    timeline.locator("button.dmlink-live").click()
    wait_for_live(view)
    drag(page, timeline, 0.5)
    said(view)
    view.locator("button.dmlink-live").click()
    wait_for_live(view)


def test_wheel_zooms_and_double_click_shows_all(lab):
    page, _, timeline, _ = lab
    strips = timeline.locator(".dmlink-strips")
    strips.hover()
    handle = strips.element_handle()
    whole = page.evaluate(SPAN, handle)
    for _ in range(6):
        page.mouse.wheel(0, -100)
    page.wait_for_function(f"([strips, s]) => ({SPAN})(strips) < s", arg=[handle, 0.6 * whole])
    strips.dblclick()
    page.wait_for_function(f"([strips, s]) => ({SPAN})(strips) > s", arg=[handle, 0.8 * whole])


def test_keys_move_the_cursor(lab):
    page, view, timeline, _ = lab
    timeline.locator(".dmlink-strips").focus()
    page.keyboard.press("ArrowLeft")
    first = said(view)
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "([view, first]) => Number(/this is frame (\\d+)/.exec(view.textContent)?.[1] ?? first) < first",
        arg=[view.element_handle(), first],
    )
    page.keyboard.press("Escape")
    wait_for_live(view)
