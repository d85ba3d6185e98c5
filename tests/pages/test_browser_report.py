"""The report opens in an empty profile without network, on a large screen and on a phone, in both themes."""

from __future__ import annotations

from types import SimpleNamespace

import browser
import numpy as np
import pytest
from project import ROOT

import dmlink
from dmlink import Axis, Frame
from dmlink.data import nanoparticles
from dmlink.indm.results import Scalar, Several
from dmlink.link.logs import Logs
from dmlink.link.stats import LinkStats
from dmlink.session import Session

pytestmark = pytest.mark.browser

ARTEFACTS = ROOT / "artefacts"
START = 1_790_000_000.0


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of twenty minutes with a pause, events, a furnace and two cells."""
    session, logs = Session(), Logs()
    with dmlink.open(nanoparticles()) as recording:
        pixels = [recording[i].data for i in range(4)]
    programs = [dmlink.LiveCell(f"bins = {n}\nframe.mean()", "mean").program for n in (8, 9)]
    cells = [session.enter("mean"), session.enter("<b>spread</b>")]
    session.describe(cells[0], programs[0])
    noise = np.random.default_rng(1)
    frame = None
    for i in range(2400):
        time = START + i * 0.5 + 60 * (i > 1200)
        tags = {"exposure": 0.5, "high_tension": 200000.0}
        frame = Frame(
            pixels[i % 4], i, time, Axis(0, 0.1, "nm"), Axis(0, 0.1, "nm"), source="Gold", tags=tags
        )
        session.see(frame)
        value = 100 + 20 * np.sin(i / 150) + noise.normal() + 80 * (i == 900)
        events = ["it became <b>brighter</b>"] if i in {900, 1500, 2000} else []
        session.add(cells[0], frame, Several({"mean": Scalar(value, "e")}), events)
        session.add(cells[1], frame, Scalar(float(noise.normal())), [])
        logs.log("temperature", "C").add(time, 20 + i / 4)
        if i == 1800:
            session.describe(cells[0], programs[1])
    stats = LinkStats(2400, 12, 0, 2.0, None, 3, 0)
    link = SimpleNamespace(session=session, newest=frame, source=None, logs=logs, stats=stats)
    return dmlink.report(tmp_path_factory.mktemp("report") / "day.html", link)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1100, 900), (390, 844)], ids=["screen", "phone"])
def test_it_opens_without_network(jupyter, report, width, height, theme):
    context = jupyter.chromium.new_context(
        offline=True, color_scheme=theme, viewport={"width": width, "height": height}
    )
    try:
        page = context.new_page()
        page.set_default_timeout(browser.PATIENCE_MS)
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(report.as_uri())
        images = page.locator("figure img")
        assert images.count() == 3
        for i in range(3):
            assert images.nth(i).evaluate("(image) => image.complete && image.naturalWidth > 100")
        assert page.locator("svg path").count() == 3
        assert page.get_by_text("it became <b>brighter</b>").locator("visible=true").count()
        assert not [url for url in asked if not url.startswith(("file:", "data:"))]
        assert not complaints
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
        page.locator("summary").first.click()
        page.get_by_text("Nothing below needs to be changed").first.wait_for()
        page.locator("summary").first.click()
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"report-{width}-{theme}.png", full_page=True)
    finally:
        context.close()
