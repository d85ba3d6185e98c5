"""Which events announce a frame, and when it is complete."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dmlink.indm.whole_frames import WholeFrames


class Events:
    """An image, and the frames that are taken from it after each event."""

    def __init__(self, shape=(64, 64), dtype=np.uint16):
        self.image = np.zeros(shape, dtype)
        self.frames = WholeFrames()
        self.taken = []
        self.passed = 0
        self.random = np.random.default_rng(0)
        self.event()

    def event(self, events=1):
        """Return how many frames are taken after this many events, or (0) without one."""
        seen = self.frames.see(self.image, events)
        before = len(self.taken)
        self.passed += seen.passed
        if seen.late is not None:
            self.taken.append(np.frombuffer(seen.late, self.image.dtype).reshape(self.image.shape))
        if seen.whole:
            self.taken.append(self.image.copy())
        return len(self.taken) - before

    def scan(self, parts):
        """Fill the image part by part with new numbers; return how many frames are taken at each part."""
        edges = np.linspace(0, len(self.image), parts + 1).astype(int)
        taken = []
        for top, bottom in itertools.pairwise(edges):
            part = self.image[top:bottom]
            part[:] = self.random.integers(1, 255, part.shape)
            taken.append(self.event())
        return taken


def expose(image, electrons, random):
    """Fill the image with this many electrons per pixel."""
    image[:] = random.random(image.shape) < electrons


def equal(taken, frames):
    return len(taken) == len(frames) and all((a == b).all() for a, b in zip(taken, frames, strict=True))


def counting_camera(n=60, size=1024):
    """A disc of 2 electrons per pixel with three radii in turn, on an empty background."""
    random = np.random.default_rng(3)
    y, x = np.ogrid[:size, :size]
    for i in range(n):
        disc = (y - size // 2 - 3) ** 2 + (x - size // 2 + 5) ** 2 < (20, 30, 55)[i % 3] ** 2
        yield (disc * random.poisson(2, (size, size))).astype(np.uint8)


def test_every_event_of_a_counting_camera_counts():
    events, frames = Events((1024, 1024), np.uint8), list(counting_camera())
    events.taken.clear()
    for frame in frames:
        events.image[:] = frame
        events.event()
    assert equal(events.taken, frames)


@pytest.mark.parametrize("electrons", [0.0002, 0.001, 0.02])
@pytest.mark.parametrize("shape", [(512, 512), (1024, 1024)])
def test_few_electrons_lose_no_frame(electrons, shape):
    random, events = np.random.default_rng(1), Events(shape, np.uint8)
    frames = []
    events.taken.clear()
    for _ in range(100):
        expose(events.image, electrons, random)
        frames.append(events.image.copy())
        events.event()
    assert equal(events.taken, frames)


@pytest.mark.parametrize("dark", [slice(40, 64), slice(0, 20), slice(20, 40), slice(1, 63)])
def test_rows_that_never_change_lose_no_frame(dark):
    events = Events()
    for value in range(1, 32):  # the last one may be held back until the next
        events.image[:] = value
        events.image[dark] = 0
        events.event()
    values = [int(frame.max()) for frame in events.taken]
    assert values[:31] == list(range(31))


def test_equal_frames_of_a_camera_are_frames():
    events = Events()
    for value in range(1, 20):
        events.image[:] = value
        events.event()
    for _ in range(20):
        events.event()
    assert len(events.taken) == 40


def test_dark_camera_is_a_camera():
    events = Events()
    for _ in range(30):
        events.event()
    assert len(events.taken) + events.frames.unsure == 31
    assert events.frames.unsure < WholeFrames.SURE


def test_repeated_events_are_one_frame():
    events = Events()
    for value in range(1, 31):
        events.image[:] = value
        events.event()
        events.event()
    assert [int(frame.max()) for frame in events.taken] == list(range(31))
    assert events.frames.unsure == 0


@pytest.mark.parametrize("known", [0, 30])  # earlier frames of a camera
def test_late_events_are_all_counted(known):
    events, random = Events(), np.random.default_rng(5)
    for value in range(known):
        events.image[:] = value + 1
        events.event()
    number, came, last = known, known, known
    while number < 300:
        number += int(random.integers(0, 3))  # frames written before an event is handled
        events.image[:] = number + 1
        came += 1
        events.event()
        last = number
    while came < last:
        came += 1
        events.event()
    assert events.event(0) == 0  # no more events arrive
    assert len(events.taken) + events.frames.unsure == 1 + came


@pytest.mark.parametrize("written", [0, 1, 9])  # frames written while the events are handled
def test_frames_seen_while_dm_is_busy_are_counted_once(written):
    events = Events()
    for value in range(1, 30):
        events.image[:] = value
        events.event()
    for value in range(30, 330):
        events.image[:] = value
        if value > 200:
            events.event(0)
    for value in range(written):
        events.image[:] = 330 + value
        for _ in range(20):
            events.event()
    for _ in range(300 + written - 20 * written):
        events.event()
    assert events.event(0) == 0
    assert len(events.taken) + events.frames.unsure == 330 + written


def test_end_of_repeated_events_is_noticed():
    events = Events()
    for value in range(1, 20):
        events.image[:] = value
        events.event()
        events.event()
    taken = len(events.taken)
    for value in range(20, 40):
        events.image[:] = value
        events.event()
    for _ in range(10):
        events.event()
    assert len(events.taken) - taken == 30


@pytest.mark.parametrize("parts", [2, 3, 4, 8, 32, 64])
@pytest.mark.parametrize("height", [64, 100])
def test_scan_is_whole_with_its_last_row(parts, height):
    events = Events((height, 64))
    for _ in range(12):
        assert events.scan(parts) == [0] * (parts - 1) + [1]
        assert (events.taken[-1] == events.image).all()


@pytest.mark.parametrize("repeats", [2, 7])
def test_late_events_of_a_scan_are_one_frame(repeats):
    events = Events()
    for value in range(1, 31):
        events.image[:] = value  # all parts are there when the first event arrives
        for _ in range(repeats):
            events.event()
    assert [int(frame.max()) for frame in events.taken] == list(range(31))
    assert [events.scan(4) for _ in range(3)][-1] == [0, 0, 0, 1]


def test_running_scan_is_waited_for():
    events = Events()
    events.image[32:48] = 1
    assert events.event() == 0
    events.image[48:] = 2
    assert events.event() == 1
    assert events.scan(4) == [0, 0, 0, 1]


def test_parts_of_two_scans_are_no_frame():
    events = Events()
    events.scan(4)
    events.image[:48] = 1
    assert events.event() == 0
    events.image[48:] = 1
    events.image[:16] = 2  # before we looked
    assert events.event() == 0
    assert events.frames.unsure == 1
    events.image[16:] = 2
    assert events.event() == 1


def test_scan_with_a_masked_edge_is_taken_late():
    events = Events()
    for value in range(1, 6):
        for top in range(0, 48, 16):
            events.image[top : top + 16] = value
            events.event()
    whole = [frame for frame in events.taken if len(np.unique(frame[:48])) == 1]
    assert [int(frame.max()) for frame in whole] == [0, 1, 2, 3, 4, 5]
    assert len(whole) == len(events.taken)


def test_scan_with_few_electrons_is_waited_for():
    random, events = np.random.default_rng(1), Events((512, 512), np.uint8)
    for _ in range(10):
        taken = []
        for top in range(0, 512, 128):
            expose(events.image[top : top + 128], 0.01, random)
            taken.append(events.event())
        assert taken == [0, 0, 0, 1]


def test_view_that_begins_to_scan_is_noticed():
    events = Events()
    for value in range(1, 40):
        events.image[:] = value
        events.event()
    taken = [events.scan(4) for _ in range(40)]
    assert taken[-20:] == [[0, 0, 0, 1]] * 20


def test_without_events_only_changes_count():
    events = Events()
    events.event(0)
    assert len(events.taken) == 1
    for value in range(1, 31):
        events.image[:] = value
        assert events.event(0) == 1
        assert events.event(0) == 0


def test_events_that_stop_are_noticed_in_time():
    events = Events()
    for value in range(1, 31):
        events.image[:] = value
        events.event()
    events.image[:] = 77
    assert events.event(0) == 1
    assert events.event(0) == 0


@pytest.mark.parametrize("before", [1, 29])  # the latter shows that it is a camera's view
def test_late_event_belongs_to_the_frame_seen(before):
    events = Events((128, 512))
    for value in range(1, before + 1):
        events.image[:] = value
        events.event()
    for value in (77, 78, 79):
        events.image[-1, 33] = value  # outside the sampled rows
        events.event(0)  # no event has arrived, so it is polled
        events.event(0)
    for _ in range(3):
        events.event()  # of these three
    assert len(events.taken) == 1 + before + 3
    events.image[-1, 33] = 80
    assert events.event() == 1
    assert events.passed == events.frames.unsure == 0


def test_late_event_covers_no_other_frame():
    events = Events((128, 64))
    for value in range(1, 30):
        events.image[:] = value
        events.event()
    events.image[:] = 77
    assert events.event(0) == 1
    events.image[70, 33] = 78
    assert events.event() == 1  # this frame's event or a late one, followed by this frame's
    assert events.event() == 0
    for value in range(79, 90):
        events.image[:] = value
        assert events.event() == 1
    assert events.event() == 1  # an identical frame: no event is late any more


def test_events_that_stay_late_count_once():
    events = Events((128, 64))
    for value in range(1, 30):
        events.image[:] = value
        events.event()
    events.image[:] = 77
    assert events.event(0) == 1  # its event comes when the next frame is there, and so on
    for value in range(78, 100):
        events.image[:] = value
        assert events.event() == 1
    assert events.event() == 0  # the event of the last frame
    assert events.event() == 1  # an identical frame


def test_held_back_frame_counts_once():
    events = Events()
    for value in range(1, 30):
        events.image[:] = value
        events.event()
    events.event(0)
    taken = len(events.taken)
    events.image[:40] = 77  # it may be a part
    assert events.event(0) == 0
    assert events.event() == 1  # its event
    events.image[:40] = 78
    assert events.event(0) == 0
    events.image[:40] = 79
    assert events.event(2) == 2  # the frame held back, and the next
    assert events.event(0) == 0
    assert [int(frame[0, 0]) for frame in events.taken[taken:]] == [77, 78, 79]


@pytest.mark.parametrize("rows", [slice(0, 64), slice(20, 40)])
@pytest.mark.parametrize(
    "frames", [*range(1, 24), 59]
)  # sometimes known as a camera's view, sometimes watched closely
def test_stopped_camera_gives_no_more_frames(rows, frames):
    events = Events()
    for value in range(1, frames + 1):
        events.image[rows] = value
        events.event()
    for _ in range(5):
        events.event(0)  # a frame held back is taken with the first of these
    assert len(events.taken) == 1 + frames


@pytest.mark.parametrize("frames", [1, 5, 40])
@pytest.mark.parametrize("late", [2, 3])
def test_simultaneous_events_are_counted(frames, late):
    events = Events()
    for value in range(1, frames + 1):
        events.image[:] = value
        events.event(late)
    assert len(events.taken) + events.passed + events.frames.unsure == 1 + late * frames
    events.image = np.zeros((8, 8), np.uint16)
    events.event(late)
    assert len(events.taken) + events.passed + events.frames.unsure == 1 + late * (frames + 1)


def test_dark_camera_accounts_for_the_first_frame():
    events = Events()
    events.image[20:40] = 1
    for _ in range(30):
        events.event()
    assert len(events.taken) + events.frames.unsure == 31


def test_held_back_frame_is_taken_in_the_end():
    events = Events()
    events.image[20:40] = 1
    assert events.event() == 0
    assert events.event(0) == 1
    assert events.event(0) == 0


def test_new_shape_is_a_new_image():
    frames = WholeFrames()
    for array in (np.zeros((8, 8)), np.zeros((8, 9)), np.zeros((8, 9), np.uint8), np.zeros((1, 9))):
        assert frames.see(array).whole


@pytest.mark.parametrize("shape", [(64, 64), (3, 5)])
def test_image_that_changes_while_compared_is_seen(shape, monkeypatch):
    """The camera writes on: a block that differed a moment ago is as it was."""
    events = Events(shape)
    monkeypatch.setattr(events.frames, "_changed_blocks", lambda _: [1, 2])
    for _ in range(20):
        events.event()
    assert events.frames.see(events.image).passed == 0


@pytest.mark.parametrize("dtype", ["c8", "c16", "f4", "u4", "b1"])
def test_every_type_can_be_watched(dtype):
    events = Events(dtype=dtype)
    for value in range(1, 31):
        events.image[:] = value % 2
        events.event()
    assert len(events.taken) == 31
