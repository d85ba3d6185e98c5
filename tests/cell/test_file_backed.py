"""A cell on the live view and on the file being recorded: which results it shows, and when."""

import numpy as np
import pytest
from growing_writer import until

import dmlink
from dmlink import recordings
from dmlink.cell.file_backed import FileBackedCell
from dmlink.cell.live_cell import live_cells
from dmlink.simulator import Microscope
from dmlink.simulator.in_situ import InSitu

N = 40
STACK = np.arange(N * 24 * 20, dtype=np.uint16).reshape(N, 24, 20)
NUMBERED = "state['n'] = state.get('n', 0) + 1\n{'mean': frame.mean(), 'n': state['n']}"


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Return what the camera records."""
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    np.save(tmp_path / "seen.npy", STACK)
    with recordings.open(tmp_path / "seen.npy") as recording:
        yield recording


@pytest.fixture
def link(seen):
    """Return a link to a microscope whose live view shows some of the frames, over and over."""
    with (
        Microscope(seen, fps=20) as microscope,
        dmlink.connect(microscope.start_companion()) as link,
    ):
        yield link


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def started(folder, link, text=NUMBERED, roi=None, **options):
    return FileBackedCell(text, "cell", file=folder, **options).start(link, roi)


def write(seen, folder):
    """Record everything that is seen."""
    with InSitu(seen, folder, 200) as writer:
        assert writer.ended.wait(60)


def test_file_results_replace_live_ones(seen, link, folder):
    cell = started(folder, link)
    until(lambda: cell.latest)  # before there is a file
    assert cell.provisional
    assert cell.following.state == "waiting"
    assert live_cells() == [cell]
    with InSitu(seen, folder, 200) as writer:
        until(lambda: cell.written.latest)
        assert cell.provisional
        assert cell.link is link
        assert writer.ended.wait(60)
    until(lambda: not cell.provisional)
    assert (cell.stats.received, cell.stats.processed, cell.stats.dropped) == (N, N, 0)
    assert cell.latest[0] == cell.frame.index == N - 1
    assert cell.running
    assert live_cells() == [cell]
    assert [r.value["n"] for _, r in cell.history] == list(range(1, N + 1))  # a state of its own
    cell.stop()
    assert not cell.running
    with recordings.open(folder) as finished:
        cell.reset()
        assert [(i, r.value) for i, r in cell.results()] == [(f.index, cell.run(f).value) for f in finished]
    assert live_cells() == []


def test_idle_says_when_a_pause_is_the_end(seen, link, folder):
    cell = started(folder, link, idle=300.0)
    assert cell.following.idle == 300
    cell.stop()
    with pytest.raises(ValueError, match="idle=-1"):
        started(folder, link, idle=-1)
    assert live_cells() == []


def test_parameters_reach_both(seen, link, folder):
    cell = started(folder, link, "gain: (0, 9) = 1\ngain * (frame.mean() >= 0)")
    until(lambda: cell.latest)
    cell.set(gain=3)
    until(lambda: cell.latest[1].value == 3)
    write(seen, folder)
    until(lambda: not cell.provisional)
    assert [r.value for _, r in cell.history] == [3] * N
    cell.set(gain=5)
    until(lambda: cell.latest[1].value == 5)
    cell.stop()


def test_roi_applies_to_the_file_too(seen, link, folder):
    link.set_roi("spot", dmlink.Roi(2, 3, 12, 9))
    until(lambda: "spot" in link.rois())
    cell = started(folder, link, "frame[0, 0], frame.size", roi="spot")
    until(lambda: cell.latest)
    link.set_roi("spot", dmlink.Roi(4, 5, 14, 11))
    until(lambda: cell.following.link.rois()["spot"] == dmlink.Roi(4, 5, 14, 11))
    write(seen, folder)
    until(lambda: not cell.provisional)
    assert cell.latest[1].results["1"].value == STACK[-1, 4, 5]
    assert cell.latest[1].results["2"].value == 60
    cell.stop()


def test_file_of_another_shape_is_named(link, folder, tmp_path):
    np.save(tmp_path / "binned.npy", STACK[:, ::2, ::2].astype(np.float32))
    cell = started(folder, link, "frame.mean()")
    until(lambda: cell.latest)
    with recordings.open(tmp_path / "binned.npy") as binned:
        write(binned, folder)
    until(lambda: cell.difference)
    assert cell.difference == "The live view's frames are (24, 20) uint16, the file's (12, 10) float32."
    until(lambda: not cell.provisional)
    assert cell.latest[1].value == pytest.approx(STACK[-1, ::2, ::2].mean())
    cell.stop()


def test_closed_link_leaves_the_file(seen, link, folder):
    cell = started(folder, link)
    until(lambda: cell.latest)
    link.close()
    until(lambda: not cell.provisional)
    assert "was closed" in cell.live_ended
    write(seen, folder)
    until(lambda: cell.latest and cell.latest[0] == N - 1)
    assert cell.stats.processed == N
    cell.stop()


def test_missing_file_changes_nothing(link, folder):
    cell = started(folder, link, every=2, max_rate=50)
    until(lambda: cell.latest)
    cell.following.idle = 0.1
    until(lambda: cell.following.finished)
    before = cell.latest[0]
    until(lambda: cell.latest[0] != before)
    assert cell.provisional
    cell.stop()
    assert cell.latest
    with pytest.raises(RuntimeError, match=r"no result of .*set\. There is nothing at"):
        cell.results()


def test_restart_is_live_again(seen, link, folder):
    cell = started(folder, link)
    write(seen, folder)
    until(lambda: not cell.provisional)
    cell.stop()
    cell.start(cell.link)  # as the panel's button does
    assert cell.live_link is link
    until(lambda: not cell.provisional)  # of the existing file
    assert cell.stats.processed == N
    cell.stop()


def test_stopped_before_the_end_stays_provisional(seen, link, folder):
    cell = started(folder, link)
    with InSitu(seen, folder, 200, loop=True) as writer:
        until(lambda: cell.latest and cell.written.latest)
        cell.stop()
        assert writer.written > 0
    assert cell.provisional
    assert not cell.written.running
    assert cell.following.state == "closed"


def test_file_option_needs_a_live_view(link, folder, tmp_path):
    folder.mkdir()
    with dmlink.follow(tmp_path / "other") as source, pytest.raises(ValueError, match="besides the file"):
        started(folder, source.link)
    cell = FileBackedCell(NUMBERED, "cell", file=folder)
    with pytest.raises(ValueError, match="no ROI named 'nowhere'"):
        cell.start(link, "nowhere")
    assert not cell.running
