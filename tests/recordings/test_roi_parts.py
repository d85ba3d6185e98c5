"""A recording cut to an ROI: a cell gets what it would have got live on that ROI."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import dmlink
from dmlink import Roi
from dmlink.cli import main
from dmlink.frame import Axis, Frame, Line
from dmlink.recordings.writing.frame_writer import FrameWriter

RING = Roi.around("ring", [(10, 12), (10, 18), (13, 12)])
PIXELS = np.random.default_rng(4).integers(0, 1000, (4, 24, 30)).astype(np.uint16)
NM = Axis(-1.0, 0.5, "nm")
CELL = "float(frame[info.roi.mask].sum())"


def written(folder, rois, roi=None):
    """Write a recording whose frame i has the ROIs rois[i]; return its path."""
    writer = FrameWriter(folder / "whole.ome.zarr")
    for i, of_frame in enumerate(rois):
        writer.write(
            Frame(PIXELS[i], i, i / 2, NM, NM, roi, "gold", line=Line(4, 5, 6, 7), rois=dict(of_frame))
        )
    writer.close()
    return writer.path


def test_named_roi_has_its_mask_in_each_frame(tmp_path):
    moved = RING.seen_from(Roi(-3, -2, 0, 0))
    places = [RING, RING, moved, moved]
    with dmlink.open(written(tmp_path, [{"ring": roi, "other": Roi(1, 2, 5, 9)} for roi in places])) as whole:
        part = whole.part("ring")
        assert part.shape == (4, *RING.shape)
        for i, (frame, roi) in enumerate(zip(part, places, strict=True)):
            top, left, bottom, right = roi
            assert (frame.roi, frame.index, frame.time) == (roi, i, i / 2)
            assert np.array_equal(frame.data, PIXELS[i, top:bottom, left:right])
            assert np.array_equal(frame.info.roi.mask, RING.mask)
            assert (frame.y, frame.x) == (NM.part(top), NM.part(left))
            assert frame.line == (4 - top, 5 - left, 6 - top, 7 - left)
            assert frame.info.rois["ring"] == (0, 0, *RING.shape)
            assert np.array_equal(frame.info.rois["ring"].mask, RING.mask)
            assert dmlink.LiveCell(CELL).run(frame).value == frame.data[RING.mask].sum()
        again = pickle.loads(pickle.dumps(part))  # noqa: S301 - our own
        assert np.array_equal(again[2].data, part[2].data)
        assert np.array_equal(again[1:][1].roi.mask, RING.mask)


def test_rectangle_and_mask_need_no_recorded_roi(tmp_path):
    np.save(tmp_path / "plain.npy", PIXELS)
    with dmlink.open(tmp_path / "plain.npy") as whole:
        assert np.array_equal(np.asarray(whole.part(Roi(2, 3, 9, 12))), PIXELS[:, 2:9, 3:12])
        across = whole.part(Roi.around("ellipse", [(-4, -6), (4, 6)]))[1]  # across the edge
        assert across.roi == (0, 0, 4, 6)
        y, x = np.mgrid[0.5:4, 0.5:6]
        assert np.array_equal(across.roi.mask, (y / 4) ** 2 + (x / 6) ** 2 <= 1)
        assert whole.part(Roi(90, 90, 99, 99)).shape == (4, 1, 1)  # outside: the pixel at the corner


def test_part_of_a_recorded_roi_is_in_pixels_of_the_source(tmp_path):
    path = written(tmp_path, [{"a": Roi(1, 2, 5, 9)}] * 2, roi=Roi(100, 200, 124, 230))
    with dmlink.open(path) as whole:
        assert whole.part("a")[0].roi == (101, 202, 105, 209)


def test_roi_that_is_not_there_is_refused(tmp_path):
    with dmlink.open(written(tmp_path, [{"ring": RING}, {}, {"ring": Roi(0, 0, 3, 3)}])) as whole:
        with pytest.raises(ValueError, match=r"no ROI 'gone'; available: 'ring'\. A rectangle"):
            whole.part("gone")
        part = whole.part("ring")
        with pytest.raises(ValueError, match="Frame 1 of gold has no ROI 'ring'; available: none"):
            part[1]
        with pytest.raises(ValueError, match="is 3 x 3 in frame 2 of"):
            part[2]


def test_command_processes_an_roi(tmp_path, capsys):
    path = written(tmp_path, [{"ring": RING}] * 4)
    (tmp_path / "cell.py").write_text(CELL)
    command = ["process", str(path), str(tmp_path / "cell.py"), "-o"]

    def sums(name, roi):
        assert main([*command, str(tmp_path / name), "--roi", roi]) == 0
        return pd.read_csv(tmp_path / name / "cell.csv")["value"].tolist()

    top, left, bottom, right = RING
    inside = PIXELS[:, top:bottom, left:right] * RING.mask
    assert sums("ring", "ring") == inside.sum((1, 2)).tolist()
    assert sums("rectangle", "2,3,9,12") == PIXELS[:, 2:9, 3:12].sum((1, 2)).tolist()
    for roi, said in (("gone", "available: 'ring'"), ("9,3,2,12", "top must be above bottom")):
        assert main([*command, str(tmp_path / "no"), "--roi", roi]) == 1
        assert said in capsys.readouterr().err
    assert main([*command, str(tmp_path / "whole")]) == 0
    (error,) = set(pd.read_csv(tmp_path / "whole" / "errors.csv")["error"])
    assert "info.roi is None: choose an ROI (--roi)" in error
    assert main([*command, str(tmp_path / "no"), "--follow", "--roi", "ring"]) == 1
    assert "leave --axis, --item and --roi out" in capsys.readouterr().err
