"""The report: one HTML file with everything, without external content or scripts."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path

import numpy as np
import pytest
from microscopes import linked, until

import dmlink
from dmlink import Frame
from dmlink.indm.results import Scalar
from dmlink.link.logs import Logs
from dmlink.logbook import report_page
from dmlink.session import Session
from dmlink.session.session import SavedClip

CELL = """
limit: (0, 99) = 3
mean = frame.mean()
{'mean': Scalar(mean, 'e'), 'x': Event('bright <b>', mean > limit)}
"""
EVIL = "<script>alert(1)</script>"
HTML_NAME = "<script src=x>"  # no path contains a /


class Page(html.parser.HTMLParser):
    """The content of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.said = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in {"src", "href", "srcset", "data"}]
        assert not [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data):
        self.said.append(data)


class FakeLink:
    """The parts of a link that a report needs, without a microscope."""

    def __init__(self, session, newest=None):
        self.session, self.newest, self.source, self.logs = session, newest, None, Logs()
        self.stats = dmlink.link.stats.LinkStats(10, 2, 0, 1.0, None, 3, 0)


def test_report_of_a_session(tmp_path):
    with linked(fps=30) as (_, link):
        link.log("temperature", 300.0, "C")
        cell = dmlink.LiveCell(CELL, "bright").start(link)
        until(link, lambda: len(cell.events) > 3)
        cell.set(limit=99)
        until(link, lambda: "parameter" in [mark.kind for mark in link.session.marks])
        cell.stop()
        path = dmlink.report(tmp_path / "day.html", link)
        text = path.read_text("utf-8")
        page = Page(text)
        said = " ".join(page.said)
    assert {"svg", "img", "path"} <= set(page.tags)
    assert "script" not in page.tags
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert not re.search(r"https?://", text)
    for expected in (
        "bright <b>",
        "bright mean (e)",
        "temperature (C)",
        "limit = 99",
        "dmlink 0.",
        "received",
    ):
        assert expected in said
    assert "Nothing below needs to be changed" in said, "the exported script"
    assert "limit = 99" in said
    assert len(text) < 5_000_000


def test_report_is_never_overwritten_unasked(tmp_path):
    path = tmp_path / "day.html"
    path.write_text("mine")
    link = FakeLink(Session())
    with pytest.raises(FileExistsError):
        dmlink.report(path, link)
    assert path.read_text() == "mine"
    assert dmlink.report(path, link, overwrite=True).read_text().startswith("<!DOCTYPE html>")


def test_report_of_an_empty_session():
    said = " ".join(Page(report_page.page(FakeLink(Session()))).said)
    assert "No cell has noticed an event." in said
    assert "No cell has run." in said
    assert "Nothing was recorded" in said


def test_everything_is_escaped():
    session = Session()
    frame = Frame(np.ones((8, 9)), 1, 1.0, source=EVIL, tags={EVIL: 1.0})
    session.see(frame)
    cell = session.enter(EVIL)
    session.describe(cell, dmlink.LiveCell(f"# {EVIL}\nname = {EVIL!r}\nframe.mean()", "a").program)
    session.add(cell, frame, Scalar({EVIL: 1.0}, EVIL), [EVIL])
    session.lose(EVIL)
    session.note_recording(EVIL)
    session.keep_clips(cell, [SavedClip(Path(HTML_NAME), 0.5, 1.5)])
    link = FakeLink(session, frame)
    link.logs.log(EVIL, EVIL).add(0.5, 1.0)
    page = Page(report_page.page(link, EVIL))
    assert "script" not in page.tags
    assert " ".join(page.said).count(EVIL) >= 9
    assert f"clip {HTML_NAME}" in page.said
    assert any(f"{EVIL} ({EVIL})" in said for said in page.said), "the log's curve"


def test_cells_of_one_name_and_a_lost_hour_are_told():
    session = Session()
    program = dmlink.LiveCell("frame.mean()", "mean").program
    cells = [session.enter("mean") for _ in range(3)]
    for cell in cells:
        session.describe(cell, program)
    session.see(Frame(np.ones((8, 9)), 0, 100.0))
    session.lose("the companion has gone")
    session.see(Frame(np.ones((8, 9)), 1, 3700.0))
    for number, cell in enumerate(cells):
        session.add(cell, Frame(np.ones((8, 9)), 1, 3700.0), Scalar(float(number)), [])
    page = Page(report_page.page(FakeLink(session)))
    assert page.tags.count("h3") == 3
    said = " ".join(page.said)
    for expected in ("mean'", "mean''", "No link", "the companion has gone", "60 min"):
        assert expected in said


def test_large_session_stays_below_20_mb():
    session = Session()
    noise = np.random.default_rng(0).integers(0, 60_000, (384, 384)).astype(np.uint16)
    cell = session.enter("a")
    for i in range(3000):
        frame = Frame(noise, i, float(i))
        session.see(frame)
        session.add(cell, frame, Scalar(float(i)), ["e" * 1000])
    programs = [dmlink.LiveCell(f"n = {i}\n# {'x' * 150_000}\nframe.mean()", "a").program for i in range(2)]
    for i in range(200):
        session.describe(cell, programs[i % 2])
    text = report_page.page(FakeLink(session))
    assert len(text.encode()) <= report_page.MOST_BYTES
    assert "2000 more events are not listed" in text
    assert "The report was cut here" in text
    assert text.rstrip().endswith("</html>")


def test_cell_that_cannot_be_exported_is_shown():
    session, program = Session(), dmlink.LiveCell("import ipywidgets\nframe.mean()", "a").program
    session.describe(session.enter("a"), program)
    text = report_page.page(FakeLink(session))
    assert "there is no script, because" in text
    assert "import ipywidgets" in text
