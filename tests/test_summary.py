"""How a notebook displays frames, links, cells and recordings: briefly, escaped, and never with an error."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from microscopes import linked, until

import dmlink
from dmlink.frame import Axis, Frame
from dmlink.summary import THUMBNAIL, thumbnail

NASTY = "<img src=x onerror=alert(1)>\"'"
KILOBYTES_64 = 1 << 16


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1)),
        np.full((8, 8), np.nan),
        np.array([[np.inf, -np.inf, 1.0]]),
        np.full((300, 20), 7, np.uint16),
        np.array([[-5, 10**9]]),
        np.eye(9, dtype=bool),
        np.full((4, 4), 1e308 + 1e308j),
        np.zeros((8192, 8192), np.uint8),
    ],
    ids=["1x1", "nan", "inf", "constant", "1e9 counts", "bool", "complex", "8192"],
)
def test_any_pixels_have_a_thumbnail(pixels):
    picture = PIL.Image.open(io.BytesIO(thumbnail(pixels)))
    assert max(picture.size) <= THUMBNAIL
    html = Frame(pixels, source=NASTY, x=Axis(0.0, 0.5, NASTY))._repr_html_()
    assert len(html) < KILOBYTES_64
    assert "<img src=x" not in html


def test_empty_frame_has_no_thumbnail():
    assert "<img" not in Frame(np.zeros((0, 5)))._repr_html_()


def test_summary_hides_the_token(tmp_path):
    with linked() as (dm, link):
        until(link, lambda: link.newest)
        token = dm.endpoint.split("token=")[1]
        html = link._repr_html_()
        assert "live" in html
        assert "<img" in html
        assert token not in html
    assert "closed" in link._repr_html_()
    cell = dmlink.LiveCell("n: (0, 9) = 3\nframe.mean() * n", "cell")
    assert "n = 3" in cell._repr_html_()
    np.save(tmp_path / "a.npy", np.ones((3, 8, 8), np.uint16))
    recording = dmlink.open(tmp_path / "a.npy", scale=0.5, unit="nm", fps=10)
    assert "3 of 8 x 8 uint16" in recording._repr_html_()
    recording.close()
    assert "0.5 nm" in recording._repr_html_()


def test_dmlink_imports_no_widgets():
    code = "import sys, dmlink; print([m for m in ('ipywidgets', 'bqplot', 'anywidget') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
