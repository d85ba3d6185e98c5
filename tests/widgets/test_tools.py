"""Line, rulers, masks, statistics, undo and pictures of a live view, without a browser."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import types
import xml.etree.ElementTree as ET

import PIL.Image
import pytest
from dmlink_widgets.controls.keys import KEYS
from dmlink_widgets.controls.undo import Undo
from dmlink_widgets.drawing.contrast import PRESETS
from dmlink_widgets.pacing.painter import painter
from dmlink_widgets.panels.live_view import LiveView
from dmlink_widgets.tools.shape_editor import MOST, ShapeEditor
from project import ROOT
from test_live_view import link, say, seen, until, view, wait_for  # noqa: F401 - fixtures of the live view

import dmlink
from dmlink.frame import Line


def draw(view, kind, *points):  # noqa: F811
    view.shapes.overlay.tool = kind
    view.shapes._take_action({"drawn": {"kind": kind, "points": [list(p) for p in points]}})


def test_line_is_in_the_microscope_and_in_cells(view, link):  # noqa: F811
    cell = dmlink.LiveCell("Text(str(info.line))", "cell").start(link)
    draw(view, "line", (10.5, 5.5), (30.5, 62.5))
    until(link, lambda: link.newest.line == (10, 5, 30, 62))
    wait_for(view, lambda: cell.latest and cell.latest[1].text == "(10.0, 5.0, 30.0, 62.0)")
    wait_for(view, lambda: view._line._plot._newest is not None)
    values = view._line._plot._newest.values
    assert len(values) == math.ceil(math.hypot(20, 57)) + 1
    assert view._line._plot._newest.x.unit == "nm"
    assert "nm" in view.shapes.line.label
    link.set_line(Line(1, 2, 3, 40))  # another notebook moves it
    wait_for(view, lambda: view.shapes.line.points == ((1.5, 2.5), (3.5, 40.5)))
    view.shapes.set_line(None)
    until(link, lambda: link.newest.line is None)
    cell.stop()


def test_line_does_not_jump_back_while_it_is_dragged(view, link):  # noqa: F811
    draw(view, "line", (10, 5), (30, 62))
    for column in range(6, 26):
        view.shapes.overlay.moved = {"id": 0, "points": [[10.0, float(column)], [30.0, 62.0]]}
        last = view._frame.index
        wait_for(view, lambda last=last: view._frame.index > last)
        assert view.shapes.line.points[0] == (10.0, float(column))
    until(link, lambda: link.newest.line and link.newest.line.x0 == 24.5)
    assert view.shapes.line.points[0] == (10.0, 25.0)


@pytest.mark.parametrize(
    "ends", [((3, 3), (3, 3)), ((-500, -500), (-400, -400)), ((0, 0), (64, 96)), ((-9, 50), (99, 50))]
)
def test_any_line_is_drawn(view, ends):  # noqa: F811
    draw(view, "line", *ends)
    last = view._frame.index
    wait_for(view, lambda: view._frame.index > last + 2)
    assert view._error.value == ""


def test_rulers_and_spacings_are_a_table(view, tmp_path):  # noqa: F811
    draw(view, "ruler", (10, 10), (10, 30))
    draw(view, "ruler", (10, 10), (30, 10))
    wait_for(view, lambda: len(view._measurements._rows) == 2)
    first, second = view._measurements._rows
    assert first[:6] == ("1", "distance", 10.0, "nm", 20.0, 0.0)
    assert second[-1] == 90.0
    assert view.shapes.of("ruler")[0].label == "10 nm"
    view._fft.value = True
    wait_for(view, lambda: view._spectrum._power is not None)
    view._spectrum.shapes._take_action({"drawn": {"kind": "spot", "points": [[20, 30]]}})
    wait_for(view, lambda: len(view._measurements._rows) == 3)
    assert view._measurements._rows[2][1] == "spacing"
    view._measurements.save()
    rows = list(csv.reader((tmp_path / "measurements_001.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 4
    view._measurements.clear()
    wait_for(view, lambda: not view._measurements._rows)
    assert not view._measurements.section.opened


def test_profile_along_the_line_is_saved(view, tmp_path):  # noqa: F811
    draw(view, "line", (10.5, 10.5), (10.5, 40.5))
    view._line._width.value = 3
    wait_for(view, lambda: view._line._plot._newest is not None and view.shapes.line.width == 3)
    view._line.save()
    (file,) = tmp_path.glob("*-profile_001.csv")
    rows = list(csv.reader(file.read_text("utf-8").splitlines()))
    assert len(rows) == 1 + 31
    assert [float(row[0]) for row in rows[1:3]] == [0.0, 0.5]  # nm


def test_next_line_has_the_width_that_is_shown(view, link):  # noqa: F811
    draw(view, "line", (10.5, 10.5), (10.5, 40.5))
    view._line._width.value = 5
    view.shapes.set_line(None)
    draw(view, "line", (20.5, 10.5), (20.5, 40.5))
    assert view.shapes.line.width == view._line._width.value == 5
    view.shapes.set_line(None)
    until(link, lambda: link.newest.line is None)
    link.set_line(Line(1, 2, 3, 40))  # drawn elsewhere
    wait_for(view, lambda: view.shapes.line is not None)
    assert view.shapes.line.width == 5


def test_redrawn_frame_adds_no_row_to_the_waterfall(view):  # noqa: F811
    draw(view, "line", (10.5, 10.5), (10.5, 40.5))
    wait_for(view, lambda: view._line._plot._newest is not None)
    view.paused = True
    wait_for(view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG"))
    kept = len(view._line._plot.waterfall.rows)
    for gamma in (0.5, 0.7, 2.0):
        drawn = view.fence.drawn
        view._contrast._gamma.value = gamma
        wait_for(view, lambda drawn=drawn: view.fence.drawn > drawn)
    assert len(view._line._plot.waterfall.rows) == kept


def test_measured_spacing_stays_when_the_view_is_zoomed(view):  # noqa: F811
    view._fft.value = True
    wait_for(view, lambda: view._spectrum._power is not None)
    view._spectrum.shapes._take_action({"drawn": {"kind": "spot", "points": [[20, 30]]}})
    wait_for(view, lambda: view._measurements._rows)
    (before,) = view._spectrum.spacings()
    shape = view._spectrum._power.shape
    view._overlay.viewport = [10.0, 20.0, 42.0, 52.0]
    wait_for(view, lambda: view._spectrum._power.shape != shape)
    (after,) = view._spectrum.spacings()
    assert after[1].d == pytest.approx(before[1].d)
    assert after[0].points != before[0].points
    view._figure.show_all()
    wait_for(view, lambda: view._spectrum._power.shape == shape)
    assert view._spectrum.spacings()[0][0].points[0] == pytest.approx(before[0].points[0])


def test_copied_picture_has_all_pixels(view):  # noqa: F811
    sent = []
    view._style.send = lambda *message: sent.append(message)
    view.paused = True
    wait_for(
        view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG") and view not in painter._changed
    )
    view._copy()
    ((_, (png,)),) = sent
    copied, whole = PIL.Image.open(io.BytesIO(png)), view.printed().image()
    assert copied.size == whole.size
    assert copied.tobytes() == whole.tobytes()


def test_measurements_are_copied_for_a_spreadsheet(view):  # noqa: F811
    sent = []
    view._style.send = lambda *message: sent.append(message)
    draw(view, "ruler", (10, 10), (10, 30))
    wait_for(view, lambda: view._measurements._rows)
    view._measurements.copy()
    head, row = sent[0][0]["copy"].split("\n")
    assert dict(zip(head.split("\t"), row.split("\t"), strict=True))["value"] == "10.0"


def test_statistics_of_image_rois_and_masks(view, link, tmp_path):  # noqa: F811
    link.set_roi("one pixel", dmlink.Roi(5, 6, 6, 7))
    until(link, lambda: "one pixel" in link.rois())
    draw(view, "ellipse", (0, 0), (20, 20))
    view._statistics.section.reveal(True)
    wait_for(
        view,
        lambda: all(name in view._statistics._table.value for name in ("image", "one pixel", "ellipse1")),
    )
    view._statistics.save()
    (file,) = tmp_path.glob("*-statistics_001.csv")
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert {row["ROI"] for row in rows} == {"image", "one pixel", "ellipse1"}
    (one, *_) = [row for row in rows if row["ROI"] == "one pixel"]
    assert one["pixels"] == "1"
    assert one["mean"] == one["minimum"] == one["maximum"]


def test_mask_is_an_roi_of_its_name(view, link):  # noqa: F811
    draw(view, "ring", (30, 30), (30, 50), (30, 40))
    until(link, lambda: "ring1" in link.rois())
    roi = link.rois()["ring1"]
    assert (roi, roi.outline.kind) == ((10, 10, 50, 50), "ring")
    wait_for(view, lambda: "ring1" in view._masks._seen)
    assert view._overlay.rois == {}
    moved = dmlink.Roi.around("ring", [(25, 35), (25, 45), (25, 40)])
    link.set_roi("ring1", moved)  # as another notebook does
    wait_for(view, lambda: view.shapes.of("ring")[0].points == ((25, 35), (25, 45), (25, 40)))
    view.shapes._take_action({"released": 1, "points": [[20, 35], [20, 45], [20, 40]]})
    until(link, lambda: link.rois()["ring1"].top == 10)
    link.set_roi("grain", dmlink.Roi.around("polygon", [(1, 1), (1, 9), (9, 9)]))
    wait_for(view, lambda: [shape.name for shape in view.shapes.of("polygon")] == ["grain"])
    view.shapes._take_action({"removed": 1})
    until(link, lambda: set(link.rois()) == {"grain"})
    link.remove_roi("grain")
    wait_for(view, lambda: not view.shapes.of("polygon", "ring"))
    view._take_back()
    until(link, lambda: set(link.rois()) == {"ring1"})


def test_mask_of_a_lost_link_stays_in_the_view(view, link):  # noqa: F811
    link.close()
    draw(view, "ellipse", (1, 1), (9, 9))
    assert "only in this view" in view._message.value
    assert view.shapes.of("ellipse")


def test_undo_reverts_changes_one_by_one(view, link):  # noqa: F811
    draw(view, "ruler", (1, 1), (9, 9))
    for column in (10, 20):  # a drag whose last position arrives after its end
        view.shapes.overlay.moved = {"id": 1, "points": [[1, 1], [9, column]]}
    view.shapes._take_action({"released": 1, "points": [[1, 1], [9, 30]]})
    view.shapes.overlay.moved = {"id": 1, "points": [[1, 1], [9, 30]]}
    view._contrast._gamma.value = 2.0
    view._contrast._gamma.value = 2.5
    link.set_roi("roi", dmlink.Roi(8, 8, 16, 16))
    until(link, lambda: "roi" in link.rois())
    view._overlay.moved = {"name": "roi", "roi": [9, 8, 17, 16]}
    view._take_action({"released": "roi", "roi": [10, 8, 18, 16]})  # as above
    view._overlay.moved = {"name": "roi", "roi": [10, 8, 18, 16]}
    until(link, lambda: link.rois()["roi"].top == 10)
    view._take_action({"removed": "roi"})
    until(link, lambda: link.rois() == {})
    view._take_back()
    until(link, lambda: link.rois() == {"roi": (10, 8, 18, 16)})
    view._take_back()
    until(link, lambda: link.rois() == {"roi": (8, 8, 16, 16)})
    view._take_back()
    assert view._contrast.contrast.gamma == 1.0
    view._take_back()
    assert view.shapes.of("ruler")[0].points == ((1.0, 1.0), (9.0, 9.0))
    view._take_back()
    assert view.shapes.of("ruler") == []
    view._take_back()
    assert "nothing to undo" in view._message.value


def test_closed_tool_is_opened_again(view):  # noqa: F811
    for tool in (view._fft, view._settings._tools["statistics"], view._settings._tools["contrast"]):
        tool.value = True
        view._take_back()
        assert "nothing to undo" in view._message.value  # opening is not a change
        tool.value = False
        view._take_back()
        assert tool.value
        assert "Undone: closed" in view._message.value


def test_roi_can_be_dragged_back(view, link):  # noqa: F811
    for top in (8, 20):
        link.set_roi("roi", dmlink.Roi(top, 8, top + 8, 16))  # in DigitalMicrograph
        until(link, lambda top=top: "roi" in link.rois() and link.rois()["roi"].top == top)
        view._overlay.moved = {"name": "roi", "roi": [2, 2, 10, 10]}
        view._take_action({"released": "roi", "roi": [2, 2, 10, 10]})
        until(link, lambda: link.rois()["roi"].top == 2)


def test_undo_without_a_link_says_why(view, link):  # noqa: F811
    view._rois.place("roi", dmlink.Roi(8, 8, 16, 16))
    link.close()
    view._take_back()
    assert "dmlink-error" in view._error.value


@pytest.mark.parametrize(
    ("kind", "points"),
    [("line", [(1, 1)]), ("ruler", []), ("polygon", [(1, 1), (2, 2)]), ("star", [(1, 1), (2, 2)])],
)
def test_impossible_shapes_are_refused(kind, points):
    editor = ShapeEditor(Undo(), lambda _: None)
    with pytest.raises(ValueError, match=f"do not form the shape '{kind}'"):
        editor.add(kind, points)


def test_shapes_are_bounded_and_have_unique_names():
    editor = ShapeEditor(Undo(), lambda _: None)
    for _ in range(MOST):
        editor.add("ruler", [(0, 0), (1, 1)])
    assert len({shape.name for shape in editor.of("ruler")}) == MOST
    with pytest.raises(ValueError, match="remove some first"):
        editor.add("ruler", [(0, 0), (1, 1)])


def test_saved_picture_has_scale_bar_and_marks(view, link, tmp_path):  # noqa: F811
    draw(view, "ruler", (10, 10), (10, 30))
    wait_for(view, lambda: view._measurements._rows)
    view._save_picture()
    (svg,) = tmp_path.glob("*.svg")
    texts = [node.text for node in ET.parse(svg).iter() if node.tag.endswith("text")]  # noqa: S314 - our own
    assert {"10 nm", "1: 10 nm"} <= set(texts)
    (png,) = tmp_path.glob("*.png")
    assert "Saved" in view._message.value
    colours = {colour for _, colour in PIL.Image.open(png).getcolors(1 << 20)}
    assert (0, 229, 255) in colours
    view._save_picture()
    assert len(list(tmp_path.glob("*.svg"))) == 2


def test_copied_picture_goes_to_the_page(view):  # noqa: F811
    sent = []
    view._style.send = lambda message, buffers=None: sent.append((message, buffers))
    view._copy()
    (message, (png,)) = sent[0]
    assert message == {"copy": ""}
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_one_step_to_undo(view, name):  # noqa: F811
    before = view._contrast.contrast
    view._contrast._preset.value = name
    assert view._contrast.contrast == PRESETS[name]
    assert len(PRESETS[name].steps(33)) == 33
    if PRESETS[name] != before:
        view._take_back()
    assert view._contrast.contrast == before


def test_spectrum_is_of_the_zoomed_part(view):  # noqa: F811
    view._fft.value = True
    view._overlay.viewport = [0.0, 0.0, 16.0, 16.0]
    wait_for(view, lambda: view._spectrum._power is not None and view._spectrum._power.shape == (16, 16))


def test_tools_survive_a_new_image_shape(view):  # noqa: F811
    draw(view, "line", (10, 5), (60, 90))
    draw(view, "ring", (30, 30), (30, 60), (30, 40))
    view._statistics.section.reveal(True)
    frame = view._frame
    small = dmlink.Frame(frame.data[:3, :2], frame.index + 1000, frame.time)
    view._reader = types.SimpleNamespace(poll=lambda: small)
    wait_for(view, lambda: view._frame is small)
    painter.draw_now(view)
    view._statistics._measure(small)
    assert "ring" in view._statistics._table.value


def masks_of(view):  # noqa: F811
    return {shape.name: shape.points for shape in view.shapes.of("ring", "ellipse")}


def test_two_views_that_measure_at_once_agree(view, link):  # noqa: F811
    other = LiveView(link)
    seen(other)
    wait_for(other, lambda: other._frame is not None)
    views = [view, other]
    for x in range(5, 9):
        draw(view, "line", (10.5, x), (30.5, 62.5))
        draw(other, "line", (20.5, x), (40.5, 62.5))
        draw(view, "ruler", (1, 1), (9, 9))
        views.reverse()
        draw(views[0], "ring", (30, 30), (30, 50), (30, 40))
        draw(views[1], "ellipse", (1, 1), (9, 9 + x))
        until(link, lambda x=x: link.newest.line and link.newest.line[:2] == (20, x - 0.5))
        for each in views:
            wait_for(each, lambda each=each, x=x: each.shapes.line.points == ((20.5, x), (40.5, 62.5)))
            wait_for(each, lambda each=each: masks_of(each).keys() == link.rois().keys())
        assert masks_of(view) == masks_of(other)
    assert (len(view.shapes.of("ruler")), len(other.shapes.of("ruler"))) == (4, 0)
    assert view._error.value == other._error.value == ""
    other.close()


def test_measurements_follow_a_changed_scale(view):  # noqa: F811
    draw(view, "ruler", (10, 10), (10, 30))
    draw(view, "line", (10, 10), (10, 30))
    wait_for(view, lambda: view._measurements._rows)
    frame, nm = view._frame, view._frame.x
    for x, value, unit, area in (
        (nm._replace(scale=2.0), 40.0, "nm", "nm\u00b2"),
        (nm._replace(unit="s"), 20.0, "px", "px"),  # rows and columns have different units
    ):
        changed = dataclasses.replace(frame, index=frame.index + 1000, x=x)
        view._reader = types.SimpleNamespace(poll=lambda changed=changed: changed)
        wait_for(view, lambda row=(value, unit): view._measurements._rows[0][2:4] == row)
        assert view.shapes.line.label == f"{value:.4g} {unit}"
        view._statistics._measure(changed)
        assert f"area ({area})" in view._statistics._table.value
    assert view._error.value == ""


def test_roi_of_one_pixel_has_a_spectrum(view, link):  # noqa: F811
    link.set_roi("dot", dmlink.Roi(5, 6, 6, 7))
    until(link, lambda: "dot" in link.rois())
    view._overlay.selected = "dot"
    view._fft.value = True
    wait_for(view, lambda: view._spectrum._power is not None and view._spectrum._power.shape == (1, 1))
    view._spectrum.shapes._take_action({"drawn": {"kind": "spot", "points": [[0.5, 0.5]]}})
    wait_for(view, lambda: view._measurements._rows)
    assert view._error.value == ""


def test_closed_view_leaves_no_widget(link):  # noqa: F811
    from ipywidgets.widgets.widget import _instances as open_widgets

    before = set(open_widgets)
    made = LiveView(link)
    seen(made)
    draw(made, "line", (10, 5), (30, 62))
    made._fft.value = True
    wait_for(made, lambda: made._line._plot._newest is not None)
    made.close()
    assert set(open_widgets) - before == set()


def test_docs_list_every_key():
    text = (ROOT / "docs" / "howto" / "measure-on-the-live-view.md").read_text("utf-8")
    for key in KEYS:
        assert f"| `{key.key}` | {key.does} |" in text
    assert len({key.key for key in KEYS}) == len(KEYS)
