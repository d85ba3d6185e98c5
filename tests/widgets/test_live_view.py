"""The live view without a browser, with a simulated microscope and simulated answers of the page."""

from __future__ import annotations

import json
import shutil
import threading
import types

import numpy as np
import pytest
import simplejpeg
import tifffile
from dmlink_widgets.controls.histogram import BINS, count_values
from dmlink_widgets.controls.roi_controls import RoiControls
from dmlink_widgets.drawing.colour import colour_of
from dmlink_widgets.drawing.image_figure import ImageFigure
from dmlink_widgets.drawing.spectrum import power_spectrum
from dmlink_widgets.pacing.painter import painter
from dmlink_widgets.panels import snapshot
from dmlink_widgets.panels.live_view import LiveView
from microscopes import linked

import dmlink
from dmlink.frame import Axis, Frame
from dmlink.simulator import Microscope


@pytest.fixture
def link(tmp_path, monkeypatch):
    """Yield a link to a simulated microscope that shows 40 frames of 64 x 96 pixels, 0.5 nm each."""
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(1).poisson(50, (40, 64, 96)).astype(np.uint16)
    np.save(tmp_path / "view.npy", frames)
    recording = dmlink.open(tmp_path / "view.npy", scale=0.5, unit="nm")
    with Microscope(recording, fps=50) as microscope:
        with dmlink.connect(microscope.start_companion()) as link:
            yield link
        assert microscope.escaped == []


@pytest.fixture
def view(link):
    view = LiveView(link)
    seen(view)
    wait_for(view, lambda: view._frame is not None)
    yield view
    view.close()


def say(view, **message):
    view.fence._on_message(view.fence, {"view": "a", **message}, [])


def seen(view):
    """Acknowledge like a browser that shows the view and paints every drawing."""
    view.fence.send = lambda message, _: say(view, painted=message["drawn"])
    say(view, visible=True)


def wait_for(view, condition):
    """Wait until `condition()` is true after a turn of the painter."""
    done = threading.Event()
    draw_status = type(view).draw_status

    def look():
        draw_status(view)
        if condition():
            done.set()

    view.draw_status = look
    assert done.wait(60)


def until(link, condition):
    """Wait until `condition()` is true after something has arrived through the link."""
    done = threading.Event()
    unwatch = link.watch(lambda: condition() and done.set())
    assert done.wait(60), link.rois()
    unwatch()


def test_newest_frame_has_axes_in_nm(view):
    wait_for(view, lambda: "age" in view._status.value)
    assert [axis.label for axis in view._figure.bqplot_figure.axes] == ["nm", "nm"]
    assert view._overlay.x == [0, 0.5, "nm"]
    assert view._figure.canvas.extent == [0, 0, 64, 96]
    assert simplejpeg.decode_jpeg_header(view._figure.canvas.picture)[:2] == (64, 96)
    assert view._overlay.area[2:] == [341, 512]
    for word in ("camera", "received", "painted", "dropped"):
        assert word in view._status.value


def test_unseen_view_keeps_no_frame(view):
    def close_page():  # called by the painter, which draws nothing meanwhile
        say(view, gone=True)
        return True

    wait_for(view, close_page)
    assert view._frame is None
    say(view, visible=True)
    wait_for(view, lambda: view._frame is not None)


def test_refused_roi_name_keeps_the_old(view, link):
    link.set_roi("roi", dmlink.Roi(8, 8, 16, 16))
    until(link, lambda: "roi" in link.rois())
    view._rois.give_name("roi", "a" * 201)
    assert "1 to 200 characters" in view._error.value
    link.set_roi("other", dmlink.Roi(1, 1, 5, 5))  # when it has arrived, earlier requests are done
    until(link, lambda: "other" in link.rois())
    assert set(link.rois()) == {"roi", "other"}


def test_lost_recording_folder_is_reported(view, link, tmp_path):
    view._record.widget.value = True
    recorder = view._record.recorder
    until(link, lambda: recorder.frames > 3)
    view._record.widget.value = False
    shutil.rmtree(recorder.path)
    wait_for(view, lambda: "stopped" in view._message.value)
    assert "left on disk" not in view._message.value


def test_recording_continues_in_next_view(view, link, monkeypatch):
    def refuse(_):
        raise OSError("no room here")

    view._record.widget.value = True
    recorder = view._record.recorder
    view.close()
    other = LiveView(link)
    seen(other)
    assert other._record.widget.value
    assert other._record.recorder is recorder
    wait_for(other, lambda: "recording" in other._message.value)
    other._record.widget.value = False
    assert recorder.state == "stopped"
    other._save()  # its message comes after those about the recording
    wait_for(other, lambda: "Saved" in other._message.value)
    monkeypatch.setattr(link, "record", refuse)
    other._record.widget.value = True
    assert not other._record.widget.value
    wait_for(other, lambda: "no room here" in other._message.value)
    other.close()


def test_notebook_roi_is_in_microscope(view, link):
    view._take_action({"drawn": [8, 8, 16, 16]})
    until(link, lambda: link.rois().get("roi") == (8, 8, 16, 16))
    view._overlay.moved = {"name": "roi", "roi": [10, 12, 18, 20]}
    until(link, lambda: link.rois()["roi"] == (10, 12, 18, 20))
    wait_for(view, lambda: view._overlay.rois == {"roi": [10, 12, 18, 20]})
    wait_for(view, lambda: view._rois.controls._numbers["top"].value == 10)  # the newly drawn ROI is selected
    view._rois.controls._numbers["width"].value = 30
    until(link, lambda: link.rois()["roi"] == (10, 12, 18, 42))
    view._rois.controls._name.value = "particle"
    until(link, lambda: link.rois() == {"particle": (10, 12, 18, 42)})
    view._take_action({"removed": "particle"})
    until(link, lambda: link.rois() == {})


def test_microscope_line_is_in_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    with linked() as (microscope, link):
        view = LiveView(link)
        seen(view)
        line = microscope.draw_line(5, 20, 62, 30)
        middle = ((20.5, 5.5), (30.5, 62.5))  # of pixels
        wait_for(view, lambda: view.shapes.line and view.shapes.line.points == middle)
        microscope.delete_roi(line)
        wait_for(view, lambda: view.shapes.line is None)
        view.close()


def test_roi_names_are_unique(view, link):
    for corner in (0, 20):
        view._take_action({"drawn": [corner, corner, corner + 8, corner + 8]})
        until(link, lambda: view._overlay.selected in link.rois())
    assert set(link.rois()) == {"roi", "roi2"}
    view._rois.give_name("roi2", "roi")
    assert "already" in view._error.value


def test_lost_microscope_is_reported(view, link):
    link.close()
    view._take_action({"removed": "roi"})
    assert "dmlink-error" in view._error.value


def test_paused_view_is_lossless(view, link):
    view.paused = True
    wait_for(view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG"))
    number = view._frame.index
    wait_for(view, lambda: link.newest.index > number + 3)
    assert view._frame.index == view.snapshot().index == number
    assert "paused" in view._light.value


def test_zoomed_view_encodes_seen_part(view):
    view._overlay.viewport = [10.2, 20.5, 20.0, 40.0]
    wait_for(view, lambda: view._figure.canvas.extent == [10, 20, 20, 40])
    assert view._figure.shown_values.shape == (10, 20)
    view._figure.show_all()
    wait_for(view, lambda: view._figure.canvas.extent == [0, 0, 64, 96])


def test_zoomed_still_image_is_drawn_again(tmp_path):
    np.save(tmp_path / "still.npy", np.random.default_rng(1).poisson(50, (4, 64, 96)).astype(np.uint16))
    with (
        Microscope(dmlink.open(tmp_path / "still.npy"), fps=50) as microscope,
        dmlink.connect(microscope.start_companion()) as link,
    ):
        view = LiveView(link)
        seen(view)
        wait_for(view, lambda: view._frame is not None)
        microscope.camera.pause()
        microscope.settle()
        wait_for(view, lambda: view._frame.index == link.newest.index and view not in painter._changed)
        view._overlay.viewport = [10.2, 20.5, 20.0, 40.0]
        wait_for(view, lambda: view._figure.canvas.extent == [10, 20, 20, 40])
        view.close()


def test_fault_ends_with_the_next_success(view, link, monkeypatch):
    def refuse(_):
        raise OSError("the disk is read-only")

    with monkeypatch.context() as broken:
        broken.setattr("dmlink_widgets.panels.live_view.snapshot.save", refuse)
        view._save()
    assert "read-only" in view._error.value
    view._save()
    assert view._error.value == ""
    assert "Saved" in view._message.value
    view._show_fault("an old fault")
    monkeypatch.setattr(type(link), "state", "lost")
    wait_for(view, lambda: "lost: " in view._error.value)


def test_pointer_value_is_of_shown_frame(view):
    view.paused = True
    wait_for(view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG"))
    view._figure._take_action({"pointer": [3, 5]})
    assert view._overlay.value == [3, 5, str(view._frame.data[3, 5])]
    view._figure._take_action({"pointer": [64, 5]})  # the image has become smaller meanwhile
    view._figure._take_action({"pointer": None})
    assert view._overlay.value == []


def test_unseen_frames_are_not_dropped(view, link):
    say(view, visible=False)
    index = link.newest.index
    reader = link.reader()
    while reader.next(60).index < index + 20:
        pass
    dropped, newest = view._rates.dropped, link.newest
    shown = view._frame
    say(view, visible=True)
    wait_for(view, lambda: view._frame is not shown)
    assert view._rates.dropped - dropped <= link.newest.index - newest.index


def test_cleared_output_is_released(view, link):
    assert link._watchers
    say(view, gone=True)
    assert not link._watchers
    say(view, visible=True)
    wait_for(view, lambda: link._watchers)


def test_markers_have_place_and_colour(view, link):
    link.set_roi("part", dmlink.Roi(10, 20, 40, 60))
    until(link, lambda: "part" in link.rois())
    points = dmlink.LiveCell("Points([[1, 2]])", "found").start(link, "part")
    boxes = dmlink.LiveCell("Boxes([[1, 2, 3, 4]])", "framed").start(link)
    wait_for(view, lambda: len(view._overlay.marks) == 2)
    first, second = view._overlay.marks
    assert first["points"] == [[11.5, 22.5]]
    assert second["boxes"] == [[1, 2, 3, 4]]
    assert (first["colour"], second["colour"]) == (colour_of("found"), colour_of("framed"))
    processed = set()  # the cell goes on while the view is drawn
    boxes.watch(lambda: processed.add(boxes.frame.index))
    wait_for(view, lambda: view._frame.index - view._overlay.marks[1]["behind"] in processed)
    points.stop()
    boxes.stop()
    wait_for(view, lambda: view._overlay.marks == [])


def test_marks_of_later_frames_are_hidden(view, link):
    cell = dmlink.LiveCell("Points([[1, info.index]])", "found").start(link)
    wait_for(view, lambda: len(view._overlay.marks) == 1)
    view.paused = True
    wait_for(view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG"))
    number = view._frame.index
    wait_for(view, lambda: cell.frame.index > number + 3)
    drawn = view.fence.drawn
    view.changed()
    wait_for(view, lambda: view.fence.drawn > drawn)
    (mark,) = view._overlay.marks
    found_in = mark["points"][0][1] - 0.5
    assert found_in <= found_in + mark["behind"] == number
    cell.stop()


def test_still_picture_is_drawn_once(view, link):
    view.paused = True
    wait_for(
        view, lambda: view._figure.canvas.picture.startswith(b"\x89PNG") and view not in painter._changed
    )
    reader, drawn = link.reader(), view.fence.drawn
    for _ in range(10):
        reader.next(60)
    link.set_roi("part", dmlink.Roi(10, 20, 40, 60))
    wait_for(view, lambda: view._overlay.rois == {"part": [10, 20, 40, 60]})  # it still follows
    assert view.fence.drawn == drawn


def test_contrast_follows_its_controls(view):
    controls = view._contrast
    view._open_contrast(opened=True)
    wait_for(view, lambda: sum(controls.histogram.counts) == 64 * 96)
    controls._map.value = "viridis"
    controls._gamma.value = 0.5
    controls.histogram.chosen = [40.0, 60.0]
    wait_for(view, lambda: view._figure.limits == (40.0, 60.0))
    assert (controls.contrast.colours, controls.contrast.gamma) == ("viridis", 0.5)
    controls._map.value = "inferno"
    assert controls.contrast.fixed == (40.0, 60.0)  # another colour map keeps the limits
    controls.histogram.chosen = []
    wait_for(view, lambda: view._figure.limits != (40.0, 60.0))
    controls._low.value = 99.9  # above the upper limit: not applied until valid
    assert controls.contrast.percentiles == (1.0, 99.5)


def test_spectrum_has_inverse_units(view):
    view._fft.value = True
    figure = view._spectrum._figure
    wait_for(view, lambda: figure.shown_values is not None)
    assert [axis.label for axis in figure.bqplot_figure.axes] == ["1/nm", "1/nm"]
    origin, scale, unit = figure.overlay.x
    assert (origin, scale * 96, unit) == (pytest.approx(-1.0), pytest.approx(2.0), "1/nm")


def test_spectrum_peaks_at_lattice_period():
    columns = np.cos(2 * np.pi * np.arange(256) / 8)  # one in 8 pixels of 0.25 nm: 0.5 in 1/nm
    power, y, x = power_spectrum(np.tile(columns, (256, 1)), Axis(0, 0.25, "nm"), Axis(0, 0.25, "nm"))
    row, column = np.unravel_index(power.argmax(), power.shape)
    assert y.values(256)[row] == pytest.approx(0)
    assert abs(x.values(256)[column]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("axis", "unit"),
    [(Axis(0, 1, ""), "1/px"), (Axis(0, 0, "nm"), "1/px"), (Axis(0, 1, "1/nm"), "nm"), (Axis(), "1/px")],
)
@pytest.mark.parametrize("pixels", [np.zeros((1, 1)), np.full((9, 700), np.nan), np.eye(700) * 1j])
def test_anything_has_a_spectrum(pixels, axis, unit):
    power, y, _ = power_spectrum(pixels, axis, axis)
    assert np.isfinite(power).all()
    assert y.unit == unit


def test_colour_spectrum_is_of_the_mean():
    grey = np.random.default_rng(0).integers(0, 255, (32, 48)).astype(np.uint8)
    of_grey, *_ = power_spectrum(grey, Axis(), Axis())
    of_colours, *_ = power_spectrum(grey[..., None].repeat(3, axis=2), Axis(), Axis())
    np.testing.assert_allclose(of_colours, of_grey, atol=1e-3)


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 1), np.uint8),
        np.full((40, 40), np.nan),
        np.full((40, 40), np.inf),
        np.full((40, 40), -7),
        np.eye(40, dtype=bool),
        np.eye(40) * (1 + 2j),
        np.full((40, 40), 10**9) + np.eye(40, dtype=int),
        np.zeros((8192, 8192), np.uint8),
        np.zeros((40, 40, 3), np.uint8),
    ],
    ids=["1x1", "nan", "inf", "constant", "bool", "complex", "1e9", "8192", "colour"],
)
@pytest.mark.parametrize("axis", [Axis(), Axis(0, 0, "nm"), Axis(4, -0.5, "<b>"), Axis(0, 1, "1/nm")])
def test_any_image_is_drawn_over_any_axis(pixels, axis):
    figure = ImageFigure(256)
    figure.draw(pixels, axis, axis)
    h, w = simplejpeg.decode_jpeg_header(figure.canvas.picture)[:2]
    assert max(h, w) <= 256
    assert figure.overlay.x[1] != 0
    if figure.shown_values is not None:
        counts, (low, high) = count_values(figure.shown_values, figure.limits)
        assert len(counts) == BINS
        assert low < high


def test_image_is_upright():
    pixels = np.arange(100.0).reshape(10, 10)
    figure = ImageFigure(64)
    for scale, reverse in ((1.0, (True, False)), (-1.0, (False, True))):
        figure.draw(pixels, Axis(0, scale, "nm"), Axis(0, scale, "nm"))
        x, y = (axis.scale.reverse for axis in figure.bqplot_figure.axes)
        assert (y, x) == reverse
        assert np.array_equal(figure.shown_values, pixels)


def test_empty_frame_is_reported(view, monkeypatch):
    empty = Frame(np.zeros((0, 5), np.uint16), index=7, source="Gold")
    view.paused = True
    view._frame = empty
    view.draw(small=False)
    view.draw_status()
    assert "has no pixels: its shape is (0, 5)" in view._error.value


def test_snapshot_keeps_values_and_scale(tmp_path):
    frame = Frame(np.eye(4, dtype=np.float32), 3, 1.5, Axis(0, 0.5, "nm"), source="../a <b>'s")
    first, second = snapshot.save(frame, tmp_path), snapshot.save(frame, tmp_path)
    assert first != second
    assert first.parent == second.parent == tmp_path
    with tifffile.TiffFile(first) as file:
        assert np.array_equal(file.asarray(), frame.data)
        assert json.loads(file.pages[0].description)["y"] == {"origin": 0, "scale": 0.5, "unit": "nm"}


def test_shown_roi_is_not_sent_back():
    told = types.SimpleNamespace(placed=[], renamed=[])
    controls = RoiControls(
        lambda *a: told.placed.append(a), lambda *a: told.renamed.append(a), lambda _: None
    )
    controls.show("a", dmlink.Roi(1, 2, 5, 8))
    controls.show("b", dmlink.Roi(7, 2, 9, 4))
    controls.show("", None)
    assert (told.placed, told.renamed) == ([], [])
    assert controls._name.disabled
