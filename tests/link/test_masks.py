"""Ellipse, ring and polygon: the same pixels wherever a cell runs."""

import copy
import pickle

import numpy as np
import pytest
from microscopes import linked, microscope, until

import dmlink
from dmlink import Roi
from dmlink.indm.protocol import ROI

SHAPES = {
    "ellipse": [(10.5, 8), (30, 50.2)],
    "ring": [(20, 30), (20, 44), (26, 30)],
    "polygon": [(2, 3), (40, 20), (5.5, 60)],
}
CELL = "float(frame[info.roi.mask].sum()), int(info.roi.mask.sum())"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)


def inside(kind, points, shape):
    """Return the pixels of the whole image whose centres lie within a shape."""
    roi = Roi.around(kind, points).clamped(shape)
    whole = np.zeros(shape, bool)
    whole[roi.top : roi.bottom, roi.left : roi.right] = roi.mask
    return whole


@pytest.mark.parametrize("kind", SHAPES)
def test_cell_on_a_mask_sees_the_same_pixels_everywhere(kind, tmp_path):
    with linked(patient=True) as (_, link):
        shape = link.next(60).data.shape
        link.set_roi("mine", Roi.around(kind, SHAPES[kind]))
        until(link, lambda: "mine" in link.rois() and link.rois()["mine"].outline)
        expected = inside(kind, SHAPES[kind], shape)
        part = link.part("mine")
        frame = part.next(60)
        top, left, bottom, right = frame.roi
        assert np.array_equal(frame.info.roi.mask, expected[top:bottom, left:right])
        assert frame.info.roi.mask.shape == frame.data.shape
        for cell in (dmlink.LiveCell(CELL, mode="lossless"), dmlink.LiveCell(CELL)):
            cell.start(link, "mine")
            until(link, lambda cell=cell: cell.latest is not None or cell.error)
            assert cell.error == ""
            assert cell.latest[1].results["2"].value == expected.sum()
            cell.stop()
        path = tmp_path / "ring.ome.zarr"
        with part.record(path) as recorder:
            until(link, lambda: recorder.frames > 2)
    recording = dmlink.open(path)
    cell = dmlink.LiveCell(CELL)
    for recorded in recording:
        assert np.array_equal(recorded.info.roi.mask, expected[top:bottom, left:right])
        assert cell.run(recorded).results["1"].value == recorded.data[recorded.roi.mask].sum()
    dmlink.process(recording, cell, tmp_path / "out")
    (table,) = (tmp_path / "out").rglob("2.csv")
    assert {float(line.split(",")[-1]) for line in table.read_text().splitlines()[1:]} == {expected.sum()}


def test_masks_of_info_rois_are_live_and_recorded(tmp_path):
    text = "int(info.rois['mine'].mask.sum()), int(info.rois['box'].mask.sum())"
    expected = [int(Roi.around("ring", SHAPES["ring"]).mask.sum()), 4 * 5]
    with linked(patient=True) as (_, link):
        link.set_roi("mine", Roi.around("ring", SHAPES["ring"]))
        link.set_roi("box", Roi(3, 4, 7, 9))
        until(link, lambda: set(link.rois()) == {"mine", "box"})
        cell = dmlink.LiveCell(text).start(link)
        until(link, lambda: cell.latest is not None)
        live = [cell.latest[1].results[key].value for key in "12"]
        cell.stop()
        with link.record(tmp_path / "whole") as recorder:
            until(link, lambda: recorder.frames > 2)
    assert live == expected
    for recorded in dmlink.open(tmp_path / "whole.ome.zarr"):
        assert [dmlink.LiveCell(text).run(recorded).results[key].value for key in "12"] == expected


def test_mask_moves_along_in_dm():
    with microscope() as dm, dmlink.connect(dm.endpoint) as link, dmlink.connect(dm.endpoint) as other:
        link.set_roi("ring", Roi.around("ring", SHAPES["ring"]))
        until(link, lambda: "ring" in link.rois())
        (number,) = dm.user_rois()
        box = link.rois()["ring"]
        dm.move_roi(number, box.top + 3, box.left + 5, box.bottom + 3, box.right + 5)
        until(other, lambda: "ring" in other.rois() and other.rois()["ring"].top == box.top + 3)
        moved = other.rois()["ring"]
        assert moved.outline.kind == "ring"
        assert np.array_equal(moved.mask, box.mask)
        link.set_roi("ring", Roi(*box))  # a rectangle again
        until(other, lambda: other.rois()["ring"].outline is None)
        assert other.rois()["ring"].mask.all()
        link.remove_roi("ring")
        until(other, lambda: not other.rois())


def test_mask_across_the_edge_keeps_its_place():
    with linked() as (_, link):
        h = link.next(60).data.shape[0]
        link.set_roi("edge", Roi.around("ellipse", [(-10, -20), (10, 20)]))
        until(link, lambda: "edge" in link.rois())
        roi = link.rois()["edge"]
        assert roi == (0, 0, 10, 20)
        y, x = np.mgrid[0.5:10, 0.5:20]
        assert np.array_equal(roi.mask, (y / 10) ** 2 + (x / 20) ** 2 <= 1)
        link.set_roi("outside", Roi.around("polygon", [(h + 5, 3), (h + 9, 3), (h + 9, 9)]))
        until(link, lambda: "outside" in link.rois())
        assert not link.rois()["outside"].mask.any()


def pickled(roi):
    return pickle.loads(pickle.dumps(roi))  # noqa: S301 - our own


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_copied_mask_is_a_mask(again):
    roi = Roi.around("ring", SHAPES["ring"])
    assert (again(roi), again(roi).outline) == (roi, roi.outline)


@pytest.mark.parametrize(
    ("kind", "points", "said"),
    [
        ("star", [(0, 0), (1, 1)], "There is no outline 'star'"),
        ("ring", [(0, 0), (1, 1)], "The ring has 2 points; it needs 3\\."),
        ("polygon", [(0, 0)] * 301, "The polygon has 301 points; it needs 3 to 300"),
        ("ellipse", [(0, 0), (1, np.nan)], "finite numbers"),
    ],
)
def test_points_without_an_outline_are_refused(kind, points, said):
    with pytest.raises(ValueError, match=said):
        Roi.around(kind, points)


@pytest.mark.parametrize(
    "outline", [["star", []], ["ring", [[0, 0]]], 3, ["ellipse", [[0, "x"], [1, 1]]], []]
)
def test_refused_outline_changes_nothing(outline):
    with linked() as (_, link):
        link.set_roi("kept", Roi(1, 2, 9, 9))
        until(link, lambda: "kept" in link.rois())
        link._send(ROI, {"name": "kept", "rectangle": [0, 0, 4, 4], "outline": outline})
        until(link, lambda: "outline" in link.reason)
        assert link.rois() == {"kept": (1, 2, 9, 9)}


@pytest.mark.parametrize("points", [[(5, 5), (5, 5)], [(5, 5), (5.2, 9)]])
def test_tiny_mask_has_at_least_one_pixel(points):
    roi = Roi.around("ellipse", points)
    assert min(roi.shape) == 1
    assert roi.mask.shape == roi.shape
