"""On one computer, frames come through shared memory; where that is impossible, through the socket."""

import contextlib
import itertools
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from microscopes import (
    PATIENCE,
    Noise,
    Raw,
    being_lost,
    leaving_no_blocks,
    linked,
    microscope,
    staying,
    until,
)
from processes import SHARED_MEMORY, left

import dmlink
from dmlink import Roi
from dmlink.indm import protocol
from dmlink.link.offers import MAX_OFFERED, Offers
from dmlink.ring import Attachments, Ring

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="blocks are in /dev/shm")
SHAPE = 256, 256


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)
    monkeypatch.setattr("dmlink.link.link.RETRY_SECONDS", 0.1)
    with leaving_no_blocks(monkeypatch):
        yield


@pytest.fixture
def ways(monkeypatch):
    """Frames that came through memory and through the socket, by link."""
    counts, take = Counter(), Offers.take

    def counting(offers, header, size):
        found = take(offers, header, size)
        counts["memory" if found else "socket"] += 1
        return found

    monkeypatch.setattr(Offers, "take", counting)
    return counts


@pytest.mark.parametrize("mode", ["latest", "lossless"])
@pytest.mark.parametrize("roi", [None, "roi"])
def test_frames_come_through_memory(ways, mode, roi):
    recording = Noise(shape=(400, 400))
    with microscope(recording, patient=True) as dm:
        dm.draw_roi(20, 30, 300, 310)
        with dmlink.connect(dm.endpoint, mode=mode) as whole:
            until(whole, lambda: "roi" in whole.rois())
            with dmlink.connect(dm.endpoint, roi=roi, mode=mode) as link:
                frames = [link.next(PATIENCE) for _ in range(30)]
                numbers = [recording.number(frame) for frame in frames]
                if mode == "lossless":
                    assert [b - a for a, b in itertools.pairwise(frame.index for frame in frames)] == [1] * 29
                    assert all((b - a) % 11 == 1 for a, b in itertools.pairwise(numbers))
                assert link.stats.received >= 30
    assert ways["memory"] > 10


def test_workers_read_the_slot(ways):
    recording, attached = Noise(shape=SHAPE), Attachments()
    with linked(recording) as (_, link):
        while not ways["memory"]:
            frame = link.next(PATIENCE)
        frame = link.next(PATIENCE)
        pixels = attached.array(frame.block, frame.data.nbytes)
        np.testing.assert_array_equal(pixels.view(np.uint16).reshape(SHAPE), frame.data)
        assert not frame.data.flags.writeable


def test_links_share_a_view(ways):
    recording = Noise(shape=SHAPE)
    with linked(recording, patient=True) as (dm, link), dmlink.connect(dm.endpoint) as other:
        for _ in range(20):
            assert recording.has(link.next(PATIENCE))
            assert recording.has(other.next(PATIENCE))
    assert ways["memory"] > 10


def test_small_frames_are_sent(ways):
    with linked(Noise()) as (_, link):
        for _ in range(10):
            link.next(PATIENCE)
    assert set(ways) == {"socket"}


def test_offer_is_as_large_as_its_slot(monkeypatch):
    with contextlib.closing(Ring()) as ring:
        offers = Offers(ring)
        offers.restart(4)
        offers.expect(100_000)
        lend = ring.lend

        def lend_while_frames_grow(size):
            lent = lend(size)
            offers.expect(130_000)
            return lent

        monkeypatch.setattr(ring, "lend", lend_while_frames_grow)
        (offer,) = offers.make(1)
        assert offer[3] == 100_000


def test_roi_of_any_size(ways):
    recording = Noise(shape=(400, 400))
    with microscope(recording, patient=True) as dm:
        dm.draw_roi(0, 0, 200, 200)
        with dmlink.connect(dm.endpoint) as whole:
            until(whole, lambda: "roi" in whole.rois())
            with dmlink.connect(dm.endpoint, roi="roi") as link:
                for side in (390, 220, 40, 400, 399, 300):
                    whole.set_roi("roi", Roi(0, 0, side, side))
                    while (frame := link.next(PATIENCE)).data.shape != (side, side):
                        assert recording.has(frame)
                    before = ways["memory"]
                    for _ in range(5):
                        assert recording.has(link.next(PATIENCE))
                    while side != 40 and ways["memory"] == before:  # until the test times out
                        assert recording.has(link.next(PATIENCE))


SPOILED = {
    "gone": lambda offer, _: (SHARED_MEMORY / offer[0]).unlink(missing_ok=True),
    "on another computer": lambda offer, _: offer.__setitem__(0, "psm_00000000"),
    "another's": lambda _, memory: memory.fill(0),
    "readable by others": lambda offer, _: (SHARED_MEMORY / offer[0]).chmod(0o644),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_frames_are_sent_if_slots_are_useless(ways, fault, monkeypatch):
    make, made = Offers.make, []

    def spoiled(offers, n):
        found = make(offers, n)
        for offer in found:
            SPOILED[fault](offer, offers._given[offer[-1]][0])
        made.extend(found)
        return found

    monkeypatch.setattr(Offers, "make", spoiled)
    recording = Noise(shape=SHAPE)
    with linked(recording, patient=True) as (_, link):
        for _ in range(20):
            assert recording.has(link.next(PATIENCE))
        assert link.state == "live"
        assert not link.reason
    assert set(ways) == {"socket"}
    assert 0 < len(made) <= MAX_OFFERED  # it is not tried again


def test_earlier_companion_is_offered_nothing(monkeypatch):
    make = Offers.make
    made = []
    monkeypatch.setattr(Offers, "make", lambda *a: made.append(make(*a)) or made[-1])
    restart = Offers.restart
    monkeypatch.setattr(Offers, "restart", lambda offers, _: restart(offers, None))
    with linked(Noise(shape=SHAPE)) as (_, link):
        for _ in range(10):
            link.next(PATIENCE)
    assert made
    assert not any(made)


def test_no_frame_is_torn_by_a_fast_camera(ways):
    recording = Noise(n=5, shape=(700, 700))
    with linked(recording, fps=2000.0, patient=True) as (_, link):
        kept = []
        for _ in range(60):
            frame = link.next(PATIENCE)
            kept.append((frame, recording.number(frame)))
            if len(kept) > 5:
                frame, number = kept.pop(0)
                assert recording.number(frame) == number  # it has not changed meanwhile
    assert ways["memory"] > 30


def test_slots_of_a_lost_connection_are_not_used_again(ways):
    recording = Noise(shape=SHAPE)
    with linked(recording) as (_, link):
        until(link, lambda: link.next(PATIENCE) and ways["memory"] > 5)
        old = {name for _, name in link._frames.offers._given.values()}
        blocks = {name.partition("+")[0] for name in old}
        assert blocks
        with being_lost(link):
            link.reconnect()
        ways.clear()
        until(link, lambda: link.next(PATIENCE) and ways["memory"] > 5)
        assert link.newest.block.partition("+")[0] not in blocks
        assert not staying(lambda: [block for block in blocks if (SHARED_MEMORY / block).exists()])


def test_frame_in_a_slot_that_was_not_offered():
    ring = Ring()
    offers = Offers(ring)
    offers.restart(16)
    for header in ({"slot": "a" * 32}, {"slot": None}, {"slot": []}, {"returned": ["a"]}, {"returned": 5}):
        with pytest.raises(protocol.ProtocolError, match="not offered"):
            offers.take(header, 100)
    offers.expect(100_000)
    (offer,) = offers.make(1)
    with pytest.raises(protocol.ProtocolError, match="does not fit"):
        offers.take({"slot": offer[-1]}, 100_001)
    ring.close()


KERNEL = """
import sys, dmlink
link = dmlink.connect(sys.argv[1])
while "+" not in (frame := link.next(60)).block or link._frames.offers._given == {}:
    pass
for _ in range(10): frame = link.next(60)
print(*{slot.block.name for slot in link._frames._ring._lent}, flush=True)
for frame in link:
    pass
"""


def test_killed_kernel_leaves_nothing():
    with microscope(Noise(shape=SHAPE)) as dm:
        kernel = subprocess.Popen(
            [sys.executable, "-c", KERNEL, dm.endpoint], stdout=subprocess.PIPE, text=True
        )
        blocks = kernel.stdout.readline().split()
        assert blocks
        assert all((SHARED_MEMORY / block).exists() for block in blocks)
        assert _mapped(blocks)  # by the companion in this process
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
        assert not left(blocks)
        assert not staying(lambda: _mapped(blocks))
        with dmlink.connect(dm.endpoint) as link:  # the companion has taken no harm
            assert link.next(PATIENCE)


def _mapped(blocks):
    maps = Path("/proc/self/maps").read_text()
    return [block for block in blocks if block in maps]


def test_killed_microscope_leaves_nothing(tmp_path, ways):
    recording = Noise(shape=SHAPE)
    np.save(tmp_path / "rec.npy", recording.stack)
    command = [sys.executable, "-m", "dmlink", "simulate", str(tmp_path / "rec.npy"), "--port", "0"]
    dm = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with dmlink.connect(dm.stdout.readline().strip()) as link:
        until(link, lambda: link.next(PATIENCE) and ways["memory"] > 5)
        blocks = {slot.block.name for slot in link._frames._ring._lent}
        dm.send_signal(signal.SIGKILL)
        dm.wait()
        dm.stdout.close()
        until(link, lambda: link.state == "lost")
    assert not left(blocks)


def test_offers_that_are_no_slots_change_nothing():
    with linked(Noise(shape=SHAPE)) as (dm, _), Raw(dm.endpoint) as raw:
        raw.send(protocol.CREDIT, n=1, slots=[["psm_0"]])
        assert raw.receive(protocol.ERROR).header["about"] == protocol.CREDIT
        name = f"psm_{threading.get_native_id():08x}"
        raw.send(protocol.CREDIT, n=1, slots=[[name, 1 << 20, 0, 1 << 20, "a" * 32]])
        header = raw.receive(protocol.FRAME).header
        assert header["returned"] == ["a" * 32]
        assert "slot" not in header
