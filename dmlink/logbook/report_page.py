"""Report: the experiment as one HTML file that needs no network and no script."""

from __future__ import annotations

import base64
import io
import platform
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from dmlink import __version__
from dmlink.link.logs import Logs
from dmlink.logbook.timeline_svg import BANDS, LINES, timeline_svg
from dmlink.logbook.times import clock, date, long_ago
from dmlink.recordings.writing.file_names import write_text
from dmlink.script.arrays import as_text
from dmlink.script.exporter import script
from dmlink.session.session import CELL, CLIP, EVENT, NO_FRAMES, NO_LINK, PARAMETER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

    from dmlink.growing.link import FollowedLink
    from dmlink.link.link import Link
    from dmlink.session.pictures import Picture
    from dmlink.session.session import Mark, Program, Session

MOST_BYTES = 20_000_000
PICTURES_BYTES = 12_000_000  # for all pictures
SCRIPT_BYTES = 200_000  # shown of a cell's script
MOST_EVENTS = 1000
STRETCH = 0.5, 99.7  # percentiles of the pixels that become black and white
QUALITY = 80  # of JPEG
TAG_UNITS = {"exposure": "s", "magnification": "x", "camera_length": "mm", "high_tension": "V"}
KINDS = {NO_LINK: "No link", NO_FRAMES: "No frames", CELL: "Cell changed", PARAMETER: "Parameter changed"}
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 12px 16px; max-width: 1040px; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 2px 12px 2px 0; }
td { overflow-wrap: anywhere; } .wide { overflow-x: auto; }
svg { width: 100%; min-width: 560px; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .row { stroke: currentColor; opacity: 0.25; }
figure { margin: 12px 0; display: inline-block; vertical-align: top; width: 320px; max-width: 100%; }
figure img { width: 100%; height: auto; } figcaption { font-size: 13px; overflow-wrap: anywhere; }
pre { font: 12px/1.4 ui-monospace, monospace; overflow: auto; max-height: 28em; padding: 8px; }
pre { border: 1px solid #8886; }
.key span { display: inline-block; margin-right: 12px; white-space: nowrap; }
.key i { display: inline-block; width: 12px; height: 12px; margin-right: 4px; vertical-align: -1px; }
.gaps td:nth-child(-n+3) { white-space: nowrap; }
"""
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head><body>
"""
KEY = {EVENT: "event", CELL: "cell changed", PARAMETER: "parameter changed"}
KEY |= {CLIP: "clip", NO_FRAMES: "no frames", NO_LINK: "no link"}


def report(
    path: str | PathLike[str], link: Link | FollowedLink, *, title: str = "", overwrite: bool = False
) -> Path:
    """Write a report of a link's session as one HTML file; return its path.

    It contains the timeline, a picture and the results of each event, every cell with its parameters and its
    script for DigitalMicrograph, versions, and the frames seen and lost. It needs no network, contains
    no scripts that run, and has at most 20 MB.

    Parameters
    ----------
    path : str or PathLike
        The file to write.
    link : Link or FollowedLink
        The link whose session is reported.
    title : str
        By default, the name of the view and the date.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError
        If it exists and may not be replaced.
    """
    path = Path(path).expanduser()
    write_text(path, page(link, title), overwrite=overwrite)
    return path


def page(link: Link | FollowedLink, title: str = "") -> str:
    """Return the report as HTML, with all text escaped."""
    session, newest = link.session, link.newest
    logs = getattr(link, "logs", None) or Logs()
    source = newest.source if newest else link.source or "live view"
    begin = session.began if session.began is not None else time.time()
    end = max(begin, session.newest if session.newest is not None else begin)
    title = title or f"{source}, {date(begin)}"
    parts = [
        HEAD.format(title=escape(title), style=STYLE),
        f"<h1>{escape(title)}</h1>",
        _table(_facts(link, session, begin, end)),
        "<h2>Timeline</h2>",
        f'<div class="wide">{timeline_svg(session, logs, begin, end)}</div>{_key()}',
        *_events(session, begin),
        *_gaps(session, begin),
        *_cells(session, begin),
        "<h2>Files</h2>",
        _table({"recordings": _lines(session.recordings), "clips": _lines(session.clips)})
        or "<p>Nothing was recorded, and no clip was saved.</p>",
    ]
    return _within("\n".join(parts)) + "\n</body></html>\n"


def _key() -> str:
    """Return the key to the colours of the timeline."""
    colours = LINES | BANDS
    entries = (f'<span><i style="background:{colours[kind]}"></i>{text}</span>' for kind, text in KEY.items())
    return f'<p class="key">{"".join(entries)}</p>'


def _facts(link: Link | FollowedLink, session: Session, begin: float, end: float) -> dict[str, str]:
    newest, stats = link.newest, link.stats
    facts = {
        "from": date(begin),
        "to": f"{date(end)} ({long_ago(end - begin)})",
        "view": newest.source if newest else "",
        "size": f"{newest.data.shape[0]} x {newest.data.shape[1]} {newest.data.dtype}" if newest else "",
        "pixel": f"{newest.x.scale:.5g} {newest.x.unit}" if newest and newest.x.unit else "",
    }
    facts |= {
        name.replace("_", " "): f"{value:.6g} {TAG_UNITS.get(name, '')}"
        for name, value in (newest.tags if newest else {}).items()
        if _plain(value)
    }
    facts["frames"] = (
        f"{stats.received} received, {stats.dropped} dropped, {stats.skipped} skipped, {stats.unsure} unsure"
    )
    facts["events"] = str(sum(mark.kind == EVENT for mark in session.marks))
    facts["versions"] = f"dmlink {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    return facts


def _events(session: Session, begin: float) -> list[str]:
    events = [mark for mark in session.marks if mark.kind == EVENT]
    if not events:
        return ["<h2>Events</h2>", "<p>No cell has noticed an event.</p>"]
    parts = ["<h2>Events</h2>"]
    clips = [mark for mark in session.marks if mark.kind == CLIP]
    room = PICTURES_BYTES
    without = 0
    for mark in events[:MOST_EVENTS]:
        picture = session.pictures.of_frame(mark.frame, mark.begin)
        image = _image(picture) if picture and room > 0 else ""
        room -= len(image)
        without += not image
        saved = next((clip.text for clip in clips if _includes(clip, mark)), "")
        parts.append(_event(session, mark, begin, image, saved))
    if len(events) > MOST_EVENTS:
        parts.append(f"<p>{len(events) - MOST_EVENTS} more events are not listed.</p>")
    if without:
        parts.append(f"<p>No picture was kept for {without} events.</p>")
    return parts


def _includes(clip: Mark, event: Mark) -> bool:
    return clip.cell == event.cell and clip.begin <= event.begin <= clip.end


def _event(session: Session, mark: Mark, begin: float, image: str, clip: str) -> str:
    moments = {name: m for name, m in session.at(mark.begin).items() if m.frame == mark.frame}
    numbers = ", ".join(f"{escape(name)} = {moment.value:.6g}" for name, moment in moments.items())
    said = f"<b>{escape(mark.text or 'event')}</b> ({escape(mark.cell)}), frame {mark.frame}, "
    said += f"{clock(mark.begin)}, after {long_ago(mark.begin - begin)}"
    lines = [said, numbers, f"clip {escape(clip)}" if clip else ""]
    return f"<figure>{image}<figcaption>{'<br>'.join(filter(None, lines))}</figcaption></figure>"


def _gaps(session: Session, begin: float) -> list[str]:
    marks = [mark for mark in session.marks if mark.kind in KINDS]
    if not marks:
        return []
    rows = "".join(
        f"<tr><td>{clock(mark.begin)}</td><td>{long_ago(max(0.0, mark.begin - begin))}</td>"
        f"<td>{KINDS[mark.kind]}</td><td>{escape(': '.join(filter(None, (mark.cell, mark.text))))}</td></tr>"
        for mark in marks[:MOST_EVENTS]
    )
    more = f"<p>{len(marks) - MOST_EVENTS} more are not listed.</p>" if len(marks) > MOST_EVENTS else ""
    head = "<tr><th>time</th><th>elapsed</th><th></th><th></th></tr>"
    return [
        "<h2>Gaps and changes</h2>",
        f'<div class="wide"><table class="gaps">{head}{rows}</table></div>{more}',
    ]


def _cells(session: Session, begin: float) -> list[str]:
    parts = ["<h2>Cells</h2>"]
    scripts: dict[tuple[str, str], tuple[str, str]] = {}  # each takes 0.1 s, and versions come back
    for name, programs in session.programs.items():
        parts.append(f"<h3>{escape(name)}</h3>")
        for i, program in enumerate(programs):
            if len(programs) > 1:
                since = f"after {long_ago(max(0.0, program.time - begin))}" if i else "from the start"
                parts.append(f"<p>Version {i + 1}, {since}:</p>")
            parts.append(_table({key: repr(value) for key, value in program.parameters.items()}))
            same = program.program.name, program.source
            text, about = scripts[same] = scripts.get(same) or _script(program)
            parts.append(f"<details><summary>{about}</summary><pre>{escape(text)}</pre></details>")
    return parts if len(parts) > 1 else [*parts, "<p>No cell has run.</p>"]


def _script(program: Program) -> tuple[str, str]:
    """Return a cell's script for DigitalMicrograph, or else its program, and a description of which it is."""
    try:
        if as_text(program.program.arrays) is None:
            raise ValueError("its arrays are too large for one file")  # noqa: TRY301 - the report says so
        text, about = script(program.program), "Its script for DigitalMicrograph"
    except (SyntaxError, ValueError) as error:
        text, about = program.source, escape(f"Its program; there is no script, because {error}")
    if len(text) > SCRIPT_BYTES:
        return text[:SCRIPT_BYTES], f"{about}: the first {SCRIPT_BYTES // 1000} kB of {len(text) // 1000}"
    return text, about


def _image(picture: Picture) -> str:
    finite = picture.pixels[np.isfinite(picture.pixels)]
    low, high = np.percentile(finite, STRETCH) if finite.size else (0.0, 1.0)
    level = np.nan_to_num((picture.pixels - low) / ((high - low) or 1.0) * 255.0)
    if picture.pixels.ndim == 3:
        level = np.nan_to_num(picture.pixels)
    file = io.BytesIO()
    PIL.Image.fromarray(np.clip(level, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="frame {picture.frame}" src="data:image/jpeg;base64,{data}">'


def _table(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(text)}</td></tr>"
        for name, text in facts.items()
        if text
    )
    return f"<table>{rows}</table>" if rows else ""


def _lines(paths: Iterable[Any]) -> str:
    return ", ".join(str(path) for path in paths)


def _within(text: str) -> str:
    """Return the page, or as much of it as the size limit allows."""
    if len(text.encode()) <= MOST_BYTES - 1000:
        return text
    cut = text.encode()[: MOST_BYTES - 1000].decode("utf-8", "ignore")
    return cut[: cut.rfind("\n")] + "<p>The report was cut here: it would exceed 20 MB.</p>"


def _plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
