"""Notebook: how often a browser paints the live view and the cells' panels, and how old the frames are."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import dmlink

from .link import note
from .of_link.tables import table, verdict
from .of_notebook.cells import BUSY, DASHBOARD, IMAGE_GL, LIVE, REMOTE_FRAME_BUFFER, VIEW
from .of_notebook.laboratory import LARGE_SCREEN, SCREEN, Laboratory, laboratory, summary

if TYPE_CHECKING:
    from collections.abc import Callable

VIEW_TITLE, OTHER = "numbered", "other"  # the live view; other packages
# rate: of the camera's for the live view alone, of the live view's for the others; p95: of the live view's
FPS, RATE, P95 = 30.0, {"live view": 0.8, "with two plots": 0.8, "seven panels": 0.65}, 1.6
PEER_RATE, PEER_AGE = 1.2, 0.8  # of jupyter_rfb's
OLDEST_MS, HEAP, BACK_SECONDS, BUSY_SECONDS, LATE_SECONDS = 250, 0.10, 0.5, 0.5, 0.5


def run(quick: bool) -> dict[str, Any]:
    """Measure everything: about seven minutes, or three if `quick`."""
    seconds = 5.0 if quick else 15.0
    return measured(
        {
            "page before": lambda lab: {"rate": lab.bare_page()},
            "panels": lambda lab: panels(lab, seconds),
            "peers": lambda lab: peers(lab, 2 / 3 * seconds, 1 if quick else 2),
            "long": lambda lab: long_run(lab, 10.0 if quick else 90.0),
            "hidden": lambda lab: hidden(lab, seconds),
            "busy": lambda lab: busy(lab, 5.0 if quick else 10.0),
            "unacknowledged": lambda lab: unacknowledged(lab, seconds),
            "page after": lambda lab: {"rate": lab.bare_page()},
        }
    )


def measured(parts: dict[str, Callable[[Laboratory], Any]]) -> dict[str, Any]:
    """Return the result of each part, measured in its own JupyterLab and browser."""
    found = {}
    for name, part in parts.items():
        try:
            with laboratory() as lab:
                found[name] = part(lab)
        except Exception as error:  # noqa: BLE001 - one part that fails must not take all the others along
            note(f"{name}: {error}")
            found[name] = {"failed": str(error).splitlines()[0]}
    return found


def panels(lab: Laboratory, seconds: float) -> dict[str, Any]:
    """Return what each panel painted: the live view alone, with two plots, with seven panels."""
    found = {}
    for name, names in {
        "live view": [],
        "with two plots": ["profile", "mean"],
        "seven panels": list(LIVE),
    }.items():
        note(name)
        cell = DASHBOARD.format(cells={n: LIVE[n] for n in names}, size=512 if len(names) < 3 else 256)
        screen = SCREEN if len(names) < 3 else LARGE_SCREEN
        with lab.notebook(1024, FPS, cell, len(names), screen):
            found[name] = lab.painted(seconds)
    return found


def peers(lab: Laboratory, seconds: float, runs: int) -> dict[str, list[dict[str, Any]]]:
    """Return what the live view and jupyter_rfb, in turn, paint at 100 frames/s."""
    found: dict[str, list[dict[str, Any]]] = {"dmlink": [], "jupyter_rfb": []}
    for _ in range(runs):
        for name, cell, title in (
            ("dmlink", VIEW, VIEW_TITLE),
            ("jupyter_rfb", REMOTE_FRAME_BUFFER, OTHER),
        ):
            note(f"{name} at 100 frames/s")
            with lab.notebook(1024, 100.0, cell):
                found[name].append(lab.painted(seconds).get(title) or summary([], seconds))
    return found


def long_run(lab: Laboratory, seconds: float) -> dict[str, Any]:
    """Return ages in the first minute, and the memory of page and kernel at the start and end."""
    note(f"2048 x 2048 at 200 frames/s for {seconds:g} s")
    with lab.notebook(2048, 200.0, VIEW):
        ages = lab.painted(2 / 3 * min(seconds, 90.0))
        memory = [lab.memory()]
        while len(memory) < 11:
            lab.wait((seconds - 2 / 3 * min(seconds, 90.0)) / 10)
            memory.append(lab.memory())
    heap, kernel = zip(*memory, strict=True)
    return {"seconds": seconds, "view": ages.get(VIEW_TITLE), "heap": heap, "kernel": kernel}


def hidden(lab: Laboratory, seconds: float) -> dict[str, Any]:
    """Return what a hidden page paints, and how long it takes to catch up when shown again."""
    note(f"hidden for {seconds:g} s")
    with lab.notebook(1024, 30.0, VIEW):
        lab.page.evaluate("() => window.bench.hide(true)")
        lab.wait(1.0)
        unseen = len(lab.paints(seconds).get(VIEW_TITLE, []))
        lab.begin()
        shown = lab.page.evaluate("() => window.bench.hide(false)")
        lab.wait(3.0)
        paints = lab.end().get(VIEW_TITLE, [])
    back = next((t - shown for t, age in paints if age < OLDEST_MS / 1e3), None)
    return {"seconds": seconds, "painted": unseen, "back": back}


def busy(lab: Laboratory, seconds: float) -> dict[str, Any]:
    """Return paints while the kernel computes, the age afterwards, and whether a dragged ROI moved."""
    note(f"kernel busy for {seconds:g} s")
    where = dmlink.Roi(256, 256, 512, 512)
    draw = f"link.set_roi('roi', dmlink.Roi{tuple(where)})\nprint(link.endpoint)\n{VIEW}"
    with lab.notebook(1024, 30.0, draw):
        endpoint = lab.page.locator(".jp-OutputArea-output", has_text="dmlink://").last.inner_text().strip()
        with dmlink.connect(endpoint) as link:
            lab.run_cell(BUSY.format(seconds=seconds))
            lab.page.locator(".jp-Notebook").first.evaluate("node => { node.scrollTop = 0; }")
            lab.page.locator(".dmlink-roi-body").scroll_into_view_if_needed()
            lab.wait(0.5)
            lab.begin()
            _drag(lab.page)
            lab.wait(seconds - 2.0)
            during = [t for t, _ in lab.end().get(VIEW_TITLE, [])]
            rate = len(during) / lab.seconds
            lab.wait(2.0)
            after = lab.painted(2.0).get(VIEW_TITLE) or summary([], 2.0)
            moved = link.rois().get("roi") != where
    return {"seconds": seconds, "rate": rate, "late": after["p95"], "moved": moved}


def _drag(page: Any) -> None:
    box = page.locator(".dmlink-roi-body").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 20, steps=4)
    page.mouse.up()


def unacknowledged(lab: Laboratory, seconds: float) -> dict[str, Any]:
    """Return what the live view and a plot without flow control paint, and their age in the last quarter."""
    found = {}
    for name, cell, title in (("dmlink", VIEW, VIEW_TITLE), ("bqplot-image-gl", IMAGE_GL, OTHER)):
        note(f"{name} at 30 frames/s")
        with lab.notebook(1024, 30.0, cell):
            paints = lab.paints(seconds).get(title, [])
        quarter = max(1, len(paints) // 4)
        found[name] = {
            "rate": len(paints) / lab.seconds,
            "first": median(age for _, age in paints[:quarter]) * 1e3 if paints else None,
            "last": median(age for _, age in paints[-quarter:]) * 1e3 if paints else None,
        }
    return found


def lines(result: dict[str, Any]) -> list[str]:
    """Return the tables."""
    drawn = {
        "page before": _page,
        "page after": _page,
        "panels": _panels,
        "peers": _peers,
        "long": _long,
        "hidden": _hidden,
        "busy": _busy,
        "unacknowledged": _unacknowledged,
    }
    return [
        line
        for name, found in result.items()
        for line in (
            [f"{name}: could not be measured: {found['failed']}", ""]
            if "failed" in found
            else drawn[name](found)
        )
    ]


def _panels(found: dict[str, Any]) -> list[str]:
    alone, rows = found["live view"].get(VIEW_TITLE) or summary([], 1.0), []
    for name, titles in found.items():
        whole, least = FPS if name == "live view" else alone["rate"], RATE[name]
        for title, painted in titles.items():
            rate = painted["rate"] / whole if whole else 0.0
            row = [f"{rate:.2f}", verdict(rate >= least, f">= {least}"), "", ""]
            if painted["p95"] and alone["p95"] and painted is not alone:
                older = painted["p95"] / alone["p95"]
                row[2:] = [f"{older:.2f}", verdict(older <= P95, f"<= {P95}")]
            rows.append([f"{name}: {title}", *_figures(painted), *row])
    title = (
        f"Painted, 1024² uint16 at {FPS:g} frames/s (curves carry no age); the live view compared with the "
        "camera, the others with the live view alone"
    )
    return table(title, ["", "f/s", "age p50 ms", "p95", "rate", "limit", "p95", "limit"], rows)


def _page(found: dict[str, Any]) -> list[str]:
    return [f"An empty page in this browser: {found['rate']:.1f} animation frames/s", ""]


def _peers(found: dict[str, Any]) -> list[str]:
    rows = [[name, *_figures(turn), ""] for name, turns in found.items() for turn in turns]
    ours, theirs = (_middle(found[name]) for name in ("dmlink", "jupyter_rfb"))
    if theirs["p50"] is None or ours["p50"] is None:
        rows.append(["nothing was painted", "", "", "", ""])
    else:
        rate, age = (ours[what] / theirs[what] for what in ("rate", "p50"))
        kept = rate >= PEER_RATE and age <= PEER_AGE
        limit = verdict(kept, f">= {PEER_RATE} of jupyter_rfb's rate, <= {PEER_AGE} of its age")
        rows.append(["ratio of medians", f"{rate:.2f}", f"{age:.2f}", "", limit])
    return table("Painted, 1024² at 100 frames/s as 512²", ["", "f/s", "age p50 ms", "p95", "limit"], rows)


def _long(found: dict[str, Any]) -> list[str]:
    view = found["view"] or summary([], 1.0)
    old = verdict(view["p95"] is not None and view["p95"] < OLDEST_MS, f"p95 < {OLDEST_MS} ms")
    rows = [["live view, f/s and age", *_figures(view), old]]
    for name in ("heap", "kernel"):
        first, last = found[name][1], found[name][-1]
        growth = last / first - 1
        limit = verdict(growth <= HEAP, f"within {HEAP:.0%}")
        rows.append([f"{name}, MB: first, last", f"{first:.1f}", f"{last:.1f}", f"{growth:+.1%}", limit])
    title = f"2048² at 200 frames/s for {found['seconds']:g} s"
    return table(title, ["", "", "p50", "p95", "limit"], rows)


def _hidden(found: dict[str, Any]) -> list[str]:
    back = found["back"]
    rows = [
        ["painted meanwhile", str(found["painted"]), verdict(not found["painted"], "0")],
        [
            "current after, s",
            "never" if back is None else f"{back:.2f}",
            verdict(back is not None and back <= BACK_SECONDS, f"<= {BACK_SECONDS}"),
        ],
    ]
    return table(f"Page hidden for {found['seconds']:g} s and shown again", ["", "", "limit"], rows)


def _busy(found: dict[str, Any]) -> list[str]:
    late = found["late"]
    kept = late is not None and late <= LATE_SECONDS * 1e3
    rows = [
        [
            "painted, f/s",
            f"{found['rate']:.1f}",
            verdict(found["rate"] >= 1 / BUSY_SECONDS, f"one every {BUSY_SECONDS} s"),
        ],
        ["age p95 afterwards, ms", _ms(late), verdict(kept, f"<= {LATE_SECONDS * 1e3:g}")],
        ["ROI dragged meanwhile has moved", str(found["moved"]), verdict(found["moved"], "not lost")],
    ]
    return table(f"Kernel's main thread busy for {found['seconds']:g} s", ["", "", "limit"], rows)


def _unacknowledged(found: dict[str, Any]) -> list[str]:
    rows = [[name, f"{f['rate']:.1f}", _ms(f["first"]), _ms(f["last"]), ""] for name, f in found.items()]
    ours, theirs = found["dmlink"], found["bqplot-image-gl"]
    kept = ours["rate"] > theirs["rate"] and (ours["last"] or 1e9) < OLDEST_MS
    rows[0][-1] = verdict(kept, f"more, and < {OLDEST_MS} ms to the end")
    heads = ["", "f/s", "age p50 ms, first quarter", "last quarter", "limit"]
    return table("Compared with a plot without flow control, 1024² at 30 frames/s", heads, rows)


def _middle(turns: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        key: median(values) if (values := [t[key] for t in turns if t[key] is not None]) else None
        for key in ("rate", "p50")
    }


def _figures(painted: dict[str, Any]) -> list[str]:
    return [f"{painted['rate']:.1f}", _ms(painted["p50"]), _ms(painted["p95"])]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
