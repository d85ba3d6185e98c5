"""A session keeps the numbers, events, gaps and programs of all cells of a link."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from microscopes import PATIENCE, being_lost, linked, run_companion, until

import dmlink
from dmlink import Frame
from dmlink.indm.results import Event, Image, Scalar, Several
from dmlink.session.pictures import MOST_FRAMES, Pictures
from dmlink.session.session import (
    CELL,
    CLIP,
    EVENT,
    MOST_TRACKS,
    NO_FRAMES,
    NO_LINK,
    PARAMETER,
    SavedClip,
    Session,
)

CELL_TEXT = (
    "factor: (1, 9) = 2\n{'mean': frame.mean() * factor, 'happened': Event('bright', frame.mean() > 0)}"
)


def frame(index, time, data=None):
    return Frame(np.ones((8, 9)) if data is None else data, index, time)


def kinds(session):
    return [mark.kind for mark in session.marks]


def test_live_cells_write_into_the_session():
    with linked(fps=30) as (_, link):
        cell = dmlink.LiveCell(CELL_TEXT, "bright").start(link)
        until(link, lambda: cell.stats.processed > 5)
        cell.set(factor=3)
        until(link, lambda: PARAMETER in kinds(link.session))
        cell.stop()
        session = link.session
        (track,) = session.tracks
        assert len(track) >= 5
        assert track.name == "bright mean"
        mark = next(mark for mark in session.marks if mark.kind == EVENT)
        assert (mark.cell, mark.text) == ("bright", "bright")
        assert session.pictures.of_frame(mark.frame, mark.begin) is not None
        moved = next(mark for mark in session.marks if mark.kind == PARAMETER)
        assert moved.text == "factor = 3"
        ((name, programs),) = session.programs.items()
        assert (name, programs[-1].parameters) == ("bright", {"factor": 3})


def test_cells_on_an_roi_share_the_session():
    with linked(fps=30) as (_, link):
        link.set_roi("a", dmlink.Roi(4, 4, 20, 20))
        until(link, lambda: "a" in link.rois())
        cell = dmlink.LiveCell("frame.mean()", "part").start(link, "a")
        until(link, lambda: cell.latest)
        cell.stop()
        assert [track.name for track in link.session.tracks] == ["part"]


def test_lost_link_is_a_gap():
    with linked(fps=30) as (dm, link):
        link.next(PATIENCE)
        with being_lost(link):
            dm.companion.stop()
            dm.companion.join()
            run_companion(dm)
        link.next(PATIENCE)
        until(link, lambda: NO_LINK in kinds(link.session))


def test_an_hour_without_a_link_is_one_gap():
    session = Session()
    for i in range(10):
        session.see(frame(i, i * 0.1))
    session.lose("the companion has gone <b>")
    session.lose("still")
    assert [(m.kind, m.begin) for m in session.marks] == [(NO_LINK, 0.9)]
    session.see(frame(10, 3600.9))
    (gap,) = session.marks
    assert (gap.begin, gap.end, gap.text) == (0.9, 3600.9, "the companion has gone <b>")


def test_pause_of_the_camera_is_a_gap():
    session = Session()
    for i in range(20):
        session.see(frame(i, i * 0.1))
    session.see(frame(20, 30.0))
    (gap,) = session.marks
    assert (gap.kind, gap.begin, gap.end) == (NO_FRAMES, pytest.approx(1.9), 30.0)


def test_cells_of_one_name_have_separate_tracks():
    session = Session()
    cells = [session.enter("mean") for _ in range(3)]
    for i, cell in enumerate(cells):
        session.add(cell, frame(0, 0.0), Scalar(float(i)), [])
    assert [track.name for track in session.tracks] == ["mean", "mean'", "mean''"]
    session.leave(cells[0])
    session.add(session.enter("mean"), frame(1, 1.0), Scalar(9.0), [])
    assert [len(track) for track in session.tracks] == [2, 1, 1]


def test_time_never_runs_backwards():
    session = Session()
    cell = session.enter("a")
    for i, time in enumerate((5.0, 6.0, 1.0, 2.0, 7.0)):
        session.add(cell, frame(i, time), Scalar(float(i)), [])
    times, values = session.tracks[0].envelope(0.0, 10.0, 100)
    assert times.tolist() == [5.0, 6.0, 6.0, 6.0, 7.0]
    assert values.tolist() == [0, 1, 2, 3, 4]


def test_memory_is_bounded_and_no_peak_lost():
    session = Session(memory=2_000_000)
    cells = [session.enter(f"cell {i}") for i in range(3)]
    for i in range(60_000):
        for cell in cells:
            session.add(cell, frame_of(i), Scalar(1e6 if i == 100 else float(i % 5)), [])
    assert session.bytes <= 2_000_000 + 3 * 110_000
    for track in session.tracks:
        assert track.envelope(0.0, 1e9, 500)[1].max() == 1e6


def frame_of(i, pixels=np.ones((2, 2))):
    return Frame(pixels, i, i * 0.05)


def test_endless_new_names_do_not_fill_memory():
    session = Session()
    cell = session.enter("a")
    for i in range(2 * MOST_TRACKS):
        session.add(cell, frame(i, float(i)), Scalar({f"n{i}": 1.0}), [])
    assert len(session.tracks) == MOST_TRACKS


def test_changed_program_is_marked():
    session, program = Session(), dmlink.LiveCell("frame.mean()", "a").program
    other = dmlink.LiveCell("frame.max()", "a").program
    cell = session.enter("a")
    for one in (program, program, other):
        session.describe(cell, one)
    assert kinds(session) == [CELL]
    assert len(session.programs["a"]) == 3


def test_clips_of_every_start_are_there():
    session = Session()
    cell = session.enter("a")
    one, two = (SavedClip(Path(f"{i}.ome.zarr"), 10.0 * i, 10.0 * i + 3) for i in (1, 2))
    session.keep_clips(cell, [one])
    session.leave(cell)
    again = session.enter("a")
    session.keep_clips(again, [])
    session.keep_clips(again, [two])
    assert session.clips == [one.path, two.path]
    marks = [(mark.begin, mark.end, mark.cell, mark.text) for mark in session.marks if mark.kind == CLIP]
    assert marks == [(10, 13, "a", "1.ome.zarr"), (20, 23, "a", "2.ome.zarr")]


def test_images_are_kept_within_their_memory():
    session = Session()
    session.pictures = Pictures(memory=500_000)
    cell = session.enter("a")
    for i in range(50):
        result = Several(
            {"image": Image(np.full((64, 64), float(i))), "n": Scalar(1.0), "e": Event("x", False)}
        )
        session.add(cell, frame(i, float(i)), result, [])
    assert session.pictures.bytes <= 500_000
    (image,) = session.pictures.images_at(30.5 + 15)
    assert image.values[0, 0] == image.frame
    assert session.pictures.images_at(0.0) == []


def test_old_event_pictures_are_dropped_first():
    pictures = Pictures()
    for i in range(3 * MOST_FRAMES):
        pictures.keep_frame(frame(i, float(i), np.full((900, 800), i, np.uint16)))
    kept = [i for i in range(3 * MOST_FRAMES) if pictures.of_frame(i, float(i))]
    assert len(kept) <= MOST_FRAMES
    assert kept[-50:] == list(range(3 * MOST_FRAMES - 50, 3 * MOST_FRAMES))
    picture = pictures.of_frame(kept[-1], float(kept[-1]))
    assert picture.pixels.shape == (300, 266)
    assert picture.pixels[0, 0] == kept[-1]
    assert picture.x.scale == 3.0


def test_reader_that_lags_makes_no_gaps():
    session = Session()
    for i in range(100):
        session.see(frame(i, i * 0.05))
    for i in range(100, 200):
        session.see(frame(i, i * 0.05))
        session.see(frame(i - 80, (i - 80) * 0.05))
    assert NO_FRAMES not in kinds(session)
    assert session.newest == 199 * 0.05


def test_event_of_an_older_frame_has_its_time_and_picture():
    session = Session()
    cell = session.enter("a")
    session.add(cell, frame(9, 100.0), None, [])
    session.add(cell, frame(1, 10.0), None, ["late"])
    mark = session.marks[-1]
    assert (mark.begin, mark.text) == (10.0, "late")
    assert session.pictures.of_frame(mark.frame, mark.begin) is not None


@pytest.mark.parametrize("shape", [(1, 2048), (2048, 1), (2, 1000), (1, 1), (900, 800)])
def test_event_on_a_narrow_frame_has_a_picture(shape):
    session = Session()
    session.add(session.enter("a"), Frame(np.ones(shape), 1, 1.0), None, ["x"])
    picture = session.pictures.of_frame(1, 1.0)
    assert picture.pixels.size
    assert max(picture.pixels.shape) <= 384
    assert (picture.pixels == 1).all()
