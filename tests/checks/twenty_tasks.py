"""Twenty tasks of a first session at the microscope, done in a real browser: once by mouse and once by key.

    .venv/bin/python tests/checks/twenty_tasks.py            # about ten minutes
    .venv/bin/python tests/checks/twenty_tasks.py 6 14       # only these

Counts clicks, drags, keys and typed characters, and checks each time that the task is done. Places in an
image are pointed at with the mouse in both ways; before the way by key, the image has the focus. It stops
after 20 minutes. docs/comparison.md has the table, and how the same tasks are done with other viewers.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import browser  # noqa: E402
from hand import PATIENCE_S, Desk, Hand  # noqa: E402

import dmlink  # noqa: E402
from dmlink.cli.demo import microscope  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20 * 60.0  # for everything
CELLS = [
    "%load_ext dmlink\nimport dmlink\nlink = dmlink.connect()",
    "view = dmlink.view(link)\nview",
]


class Task(NamedTuple):
    """A task in a user's words, what a person does, and how it shows that it is done."""

    words: str
    do: Callable[[Desk, Hand, bool], None]
    seen: Callable[[Desk], object]
    before: Callable[[Desk], object] = lambda _: None
    after: Callable[[Desk], object] = lambda _: None


def freeze(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Pause, and go on."""
    desk.use(hand, "pause", by_key=by_key)
    desk.view.locator(".dmlink-light", has_text="paused").wait_for()
    desk.use(hand, "pause", by_key=by_key)


def zoom(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Zoom in, and see all again."""
    chip = desk.view.locator(".dmlink-zoom").first
    if by_key:
        hand.press("+", "+", "+")
        chip.wait_for()
        hand.press("0")
    else:
        hand.turn(desk.at(200, 200))
        chip.wait_for()
        hand.click(chip)


def weak_spots(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Choose the contrast for diffraction patterns."""
    desk.use(hand, "contrast", by_key=by_key)
    preset = desk.view.locator("select[title^='Contrast that suits']").first
    preset.wait_for()
    if by_key:
        hand.tab_to(preset)
        hand.press("d")
    else:
        hand.choose(preset, "diffraction")


def brightest(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw an ROI around it, and a ruler to the left edge."""
    y, x = desk.strongest
    desk.draw(hand, "roi", (y - 30, x - 30), (y + 30, x + 30), by_key=by_key)
    desk.draw(hand, "ruler", (y, x), (y, 0), by_key=by_key)


def angle(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Lay a ruler along each edge."""
    desk.draw(hand, "ruler", (400, 100), (300, 100), by_key=by_key)
    desk.draw(hand, "ruler", (400, 200), (400, 300), by_key=by_key)


def wide_profile(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw a line, and set its width."""
    desk.draw(hand, "line", (200, 60), (200, 260), by_key=by_key)
    field = desk.view.get_by_text("width (px)").locator("xpath=ancestor::div[2]//input").first
    field.wait_for()
    if by_key:
        hand.tab_to(field)
        hand.press("5", "Enter")
    else:
        hand.click(field, click_count=2)
        hand.counts["click"] += 1  # a double-click selects what is there
        hand.press("5", "Enter")


def grain(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw an ROI, and open the spectrum."""
    desk.draw(hand, "roi", (200, 200), (328, 328), by_key=by_key)
    desk.wait(desk.link.rois)
    desk.use(hand, "spectrum", by_key=by_key)


def lattice(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Click on a spot in the spectrum."""
    desk.use(hand, "spectrum", by_key=by_key)
    canvas = desk.view.locator("canvas[aria-label='Power spectrum'][data-painted]")
    canvas.wait_for()
    box = canvas.bounding_box()
    assert box
    hand.click_at((box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4))


def roi_to_csv(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw an ROI, open the statistics, save them."""
    desk.draw(hand, "roi", (200, 200), (328, 328), by_key=by_key)
    desk.use(hand, "statistics", by_key=by_key)
    desk.row("^roi$")
    save = desk.view.locator("button[title^='Save the numbers over time']")
    if by_key:
        hand.tab_to(save)
        hand.press("Enter")
    else:
        hand.click(save)


def annulus(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw a ring, with the statistics open."""
    desk.draw(hand, "ring", (256, 256), (256, 340), by_key=by_key)
    if by_key:
        desk.use(hand, "statistics", by_key=by_key)


def mean_over_time(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Draw an ROI, and write a cell."""
    desk.draw(hand, "roi", (200, 200), (328, 328), by_key=by_key)
    desk.wait(desk.link.rois)
    desk.cell(hand, "%%live mean --roi roi\nframe.mean()", by_key=by_key)


def second_ring(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Load the gallery's cell for ring patterns, and let it return this spacing, for 1200 frames."""
    cells = desk.page.locator(".jp-Notebook .jp-CodeCell")
    before = cells.count()
    desk.cell(hand, "%live load gallery/diffraction_profile", by_key=by_key)
    loaded = desk.page.locator(".jp-Notebook .jp-CodeCell .cm-content", has_text="%%live diffraction_profile")
    loaded.wait_for()
    assert cells.count() > before
    if by_key:
        hand.press("Escape", "ArrowDown", "Enter", "Control+End", "Enter")
    else:
        line = loaded.locator(".cm-line").last
        box = line.bounding_box()
        assert box
        hand.click(line, position={"x": box["width"] - 4, "y": box["height"] / 2})
        hand.press("Enter")
    hand.type('result and Scalar(1 / q[1], "nm")')
    hand.press("Control+Home", "End")
    hand.type(" --history 1200")
    desk.run(hand, by_key=by_key)


def ready_made(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Load a cell of the gallery, and run it."""
    desk.cell(hand, "%live load gallery/running_difference", by_key=by_key)
    loaded = desk.page.locator(".jp-Notebook .jp-CodeCell .cm-content", has_text="%%live running_difference")
    loaded.wait_for()
    if by_key:
        hand.press("Escape", "ArrowDown", "Control+Enter")
    else:
        hand.click(loaded)
        desk.run(hand, by_key=by_key)


def move_roi(desk: Desk) -> None:
    """Have an ROI, and move it."""
    hand = Hand(desk.page)
    desk.draw(hand, "roi", (100, 100), (200, 200), by_key=False)
    desk.wait(desk.link.rois)
    desk.wait(desk.view.locator(".dmlink-roi-body").count)
    first = desk.link.rois()["roi"]
    hand.drag(desk.at(150, 150), desk.at(180, 190))
    desk.wait(lambda: desk.link.rois()["roi"].top > first.top + 20)


def use(tool: str) -> Callable[[Desk, Hand, bool], None]:
    """Return what uses just one tool."""
    return lambda desk, hand, by_key: desk.use(hand, tool, by_key=by_key)


def point(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Point at a pixel."""
    hand.page.mouse.move(*desk.at(200, 210))
    hand.page.mouse.move(*desk.at(201, 211))


def look(desk: Desk, hand: Hand, by_key: bool) -> None:
    """Do nothing."""


def files(pattern: str) -> Callable[[Desk], object]:
    """Return what waits for a new file."""
    return lambda desk: desk.wait(lambda: list(desk.folder.glob(pattern)))


def stop_all(desk: Desk) -> None:
    """End the live cells."""
    browser.run_cell(desk.page, "%live stop --all\n'stopped'")


def show_rings(desk: Desk) -> None:
    """Have a live ring pattern."""
    browser.run_cell(
        desk.page, "import dmlink.data\nrings = dmlink.replay(dmlink.data.ring_pattern(), fps=20)\n'rings'"
    )
    desk.page.locator(".jp-OutputArea-output pre", has_text="'rings'").last.wait_for()


def end_rings(desk: Desk) -> None:
    """End it."""
    browser.run_cell(desk.page, "%live stop --all\nrings.close()\n'closed'")
    desk.page.locator(".jp-OutputArea-output pre", has_text="'closed'").last.wait_for()


COPIED = """async () => {
    const [item] = await navigator.clipboard.read();
    return item?.types.includes('image/png') && (await item.getType('image/png')).size > 10_000;
}"""
TASKS = (
    Task(
        "Tell whether the picture is live, and how old it is",
        look,
        lambda desk: desk.view.locator(
            ".dmlink-light", has_text=re.compile(r"live.*\d f/s.* old")
        ).wait_for(),
    ),
    Task(
        "Freeze the picture, and go on",
        freeze,
        lambda desk: desk.view.locator(".dmlink-light", has_text="live").wait_for(),
    ),
    Task(
        "Zoom in on a detail, and back",
        zoom,
        lambda desk: desk.view.locator(".dmlink-zoom").first.wait_for(state="hidden"),
    ),
    Task(
        "Read position and value of a pixel",
        point,
        lambda desk: desk.view.locator(".dmlink-reading", has_text=re.compile(r"nm.*value \d")).wait_for(),
    ),
    Task(
        "Make weak spots beside a bright centre visible",
        weak_spots,
        lambda desk: desk.view.locator(
            ".dmlink-histogram stop:last-of-type:not([stop-color='#ffffff'])"
        ).first.wait_for(state="attached"),
    ),
    Task(
        "Mark the brightest particle and read its distance to the edge",
        brightest,
        lambda desk: (desk.row("^distance$"), desk.wait(lambda: "roi" in desk.link.rois())),
    ),
    Task("Measure the angle between two edges", angle, lambda desk: desk.row(r"^(8[89]|9[012])(\.\d+)?$")),
    Task(
        "Show the profile across an interface, 5 px wide",
        wide_profile,
        lambda desk: (
            desk.view.locator(".dmlink-tool-band").wait_for(state="attached"),
            desk.view.locator(".dmlink-side path.dmlink-curve[d^=M]").wait_for(),
        ),
    ),
    Task(
        "Show the power spectrum of one grain",
        grain,
        lambda desk: desk.view.locator("canvas[aria-label='Power spectrum'][data-painted]").wait_for(),
    ),
    Task(
        "Read the lattice spacing of a spot in the spectrum",
        lattice,
        lambda desk: desk.view.locator(".dmlink-tool-spot text", has_text=re.compile(r"d \d.*nm")).wait_for(),
    ),
    Task(
        "Save mean and deviation of a region over time as CSV",
        roi_to_csv,
        files("*-statistics_*.csv"),
        after=lambda desk: [path.unlink() for path in desk.folder.glob("*-statistics_*.csv")],
    ),
    Task("Read the counts in a ring, live", annulus, lambda desk: desk.row("^ring1$")),
    Task(
        "Plot the mean of a region over time",
        mean_over_time,
        lambda desk: desk.curve("mean"),
        after=stop_all,
    ),
    Task(
        "Show the second ring's spacing over the last minute",
        second_ring,
        lambda desk: desk.curve("diffraction_profile"),
        show_rings,
        end_rings,
    ),
    Task(
        "Run a ready-made analysis on the live view",
        ready_made,
        lambda desk: desk.running("running_difference").locator("canvas").first.wait_for(),
        after=stop_all,
    ),
    Task(
        "Give a colleague this picture with a scale bar",
        use("copy"),
        lambda desk: desk.page.wait_for_function(COPIED),
        lambda desk: desk.page.evaluate("() => navigator.clipboard.writeText('')"),
    ),
    Task(
        "Save the picture for a paper, as SVG with editable text",
        use("picture"),
        files("*.svg"),
        after=lambda desk: [path.unlink() for path in desk.folder.glob("*.svg")],
    ),
    Task("Save what happened in the last 30 s", use("lookback"), lambda desk: desk.said("Saved .* frames")),
    Task(
        "Undo a wrong move of an ROI",
        use("undo"),
        lambda desk: desk.wait(lambda: abs(desk.link.rois()["roi"].top - 100) < 4),
        move_roi,
    ),
    Task(
        "Put the live view beside the notebook",
        use("dock"),
        lambda desk: desk.page.locator(".dmlink-pane canvas[data-painted]").first.wait_for(),
        after=lambda desk: (
            desk.page.locator(".dmlink-undock").click(),
            desk.page.locator(".dmlink-pane").wait_for(state="detached"),
        ),
    ),
)


def tried(desk: Desk, task: Task, *, by_key: bool) -> str:
    """Do a task in one way, and return what it took."""
    desk.tidy()
    task.before(desk)
    desk.view.scroll_into_view_if_needed()
    hand = Hand(desk.page)
    if by_key:
        desk.page.mouse.click(*desk.at(500, 8))  # an empty place: the image has the focus
    try:
        task.do(desk, hand, by_key)
        task.seen(desk)
    finally:
        task.after(desk)
    return str(hand)


def main() -> int:
    """Do the tasks, print the table, and return whether any failed."""
    numbers = [int(number) for number in sys.argv[1:]] or list(range(1, len(TASKS) + 1))
    end, failed = time.monotonic() + LIMIT_S, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        browser.write_notebook(folder / "tasks.ipynb", CELLS)
        with (
            microscope([], folder) as endpoint,
            browser.jupyterlab(folder, {"DMLINK_ENDPOINT": endpoint}) as address,
            browser.chromium(width=1500, height=1200) as page,
            dmlink.connect(endpoint) as link,
        ):
            browser.open_notebook(page, address, "tasks.ipynb")
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            browser.run_all(page)
            page.set_default_timeout(PATIENCE_S * 1e3)
            desk = Desk(page, link, folder)
            print("| | task | by mouse | by key |\n|---|---|---|---|", flush=True)
            for number in numbers:
                task, ways = TASKS[number - 1], []
                for by_key in (False, True):
                    if time.monotonic() > end:
                        print(f"stopped after {LIMIT_S / 60:.0f} minutes", file=sys.stderr)
                        return 1
                    try:
                        ways.append(tried(desk, task, by_key=by_key))
                    except Exception:  # noqa: BLE001 - the other tasks are tried, too
                        traceback.print_exc()
                        page.screenshot(path=folder.parent / f"task-{number}.png")
                        ways.append("FAILED")
                        failed += 1
                print(f"| {number} | {task.words} | {' | '.join(ways)} |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
