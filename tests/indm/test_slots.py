"""Slots of shared memory: only what the link has marked is written to, and no frame is torn."""

import gc
import os
import sys
import threading
import weakref
from collections import deque

import pytest
from processes import SHARED_MEMORY

from dmlink.indm.companion.region import Region
from dmlink.indm.companion.slots import MAPPED_OFFERS, MAX_SLOTS, Slots
from dmlink.indm.protocol import RefusedError, nonce
from dmlink.link.offers import Offers
from dmlink.ring import Ring

SIZE = 70_000
pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="blocks are in /dev/shm")


@pytest.fixture
def offers():
    ring = Ring()
    offers = Offers(ring)
    offers.restart(MAX_SLOTS)
    offers.expect(SIZE)
    yield offers
    ring.close()


def test_unwanted_region_frees_its_slot_at_once(offers):
    region, slots = Region(None), Slots()
    slots.offer(offers.make(1))
    region.slots = slots
    picture = region.picture(SIZE)
    assert picture.slot
    region.mailbox.append(picture)
    slot, there = weakref.ref(picture.pixels), weakref.ref(picture)
    gc.disable()  # in DigitalMicrograph nobody knows when it runs
    try:
        slots.close()  # its link was killed
        del region, picture
        assert (slot(), there()) == (None, None)
    finally:
        gc.enable()


def test_pixels_arrive_in_the_slot(offers):
    slots = Slots()
    slots.offer(offers.make(1))
    slot = slots.take(SIZE - 5)
    slot.memory[:] = b"\x07" * SIZE
    memory, name = offers.take(slots.named(slot), SIZE - 5)
    assert (memory == 7).all()
    assert len(memory) == SIZE - 5
    assert (SHARED_MEMORY / name.partition("+")[0]).exists()
    assert slots.take(1) is None


BAD = {
    "path": lambda offer, _: offer.__setitem__(0, "../shm/" + offer[0]),
    "slash": lambda offer, _: offer.__setitem__(0, "/" + offer[0]),
    "other name": lambda offer, _: offer.__setitem__(0, "passwd"),
    "no name": lambda offer, _: offer.__setitem__(0, 5),
    "gone": lambda _, path: path.unlink(),
    "larger": lambda offer, _: offer.__setitem__(1, offer[1] + 1),
    "smaller": lambda offer, _: offer.__setitem__(1, offer[1] - 4096),
    "huge": lambda offer, _: offer.__setitem__(1, 1 << 62),
    "outside": lambda offer, _: offer.__setitem__(2, offer[1] - SIZE + 1),
    "before": lambda offer, _: offer.__setitem__(2, -SIZE),
    "fraction": lambda offer, _: offer.__setitem__(2, 0.0),
    "bool": lambda offer, _: offer.__setitem__(2, False),
    "no room for the mark": lambda offer, _: offer.__setitem__(3, 8),
    "elsewhere": lambda offer, _: offer.__setitem__(2, offer[2] + 64),
    "readable by others": lambda _, path: path.chmod(0o604),
    "link": lambda _, path: path.symlink_to(path.rename(path.with_name("dmlink_test"))),
    "folder": lambda _, path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("fault", BAD)
def test_other_memory_is_not_used(offers, fault):
    slots = Slots()
    (offer,) = offers.make(1)
    path = SHARED_MEMORY / offer[0]
    try:
        BAD[fault](offer, path)
        slots.offer([offer])
        assert slots.take(1) is None
        assert slots.named(None) == {"returned": [offer[4]]}
        assert slots.named(None) == {}
    finally:
        path.with_name("dmlink_test").unlink(missing_ok=True)
        if path.is_dir():
            path.rmdir()


def test_memory_of_others_is_not_used(offers, monkeypatch):
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    slots = Slots()
    slots.offer(offers.make(1))
    assert slots.take(1) is None


def test_other_mark_is_not_used(offers):
    slots = Slots()
    (offer,) = offers.make(1)
    offer[4] = nonce()
    slots.offer([offer])
    assert slots.take(1) is None


def test_without_mmap_frames_are_sent(offers, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmap", None)
    slots = Slots()
    slots.offer(offers.make(1))
    assert slots.take(1) is None


@pytest.mark.parametrize(
    "value", [None, 5, "slots", {}, [None], [[]], [[1, 2, 3, 4, "short"]], [["psm_0", 1, 0, 1, ["a"]]]]
)
def test_malformed_offers_are_refused(value):
    with pytest.raises(RefusedError):
        Slots().offer(value)


def test_number_of_slots_is_bounded(offers):
    slots = Slots()
    offer = ["psm_00000000", 100, 0, 100, "a" * 32]
    slots.offer([offer] * MAX_SLOTS)
    with pytest.raises(RefusedError, match="At most"):
        slots.offer([offer])
    assert len(slots.named(None)["returned"]) == MAX_SLOTS
    slots.offer([offer])


def test_small_slot_is_given_back(offers):
    slots = Slots()
    made = offers.make(2)
    slots.offer(made)
    assert slots.take(SIZE + 1) is None
    header = slots.named(None)
    assert header == {"returned": [offer[4] for offer in made]}
    assert offers.take(header, SIZE + 1) is None
    offers.expect(SIZE + 1)
    slots.offer(offers.make(1))
    assert slots.take(SIZE + 1)


def test_slot_of_unsent_picture_is_kept(offers):
    region, slots = Region(None), Slots()
    region.slots = slots
    slots.offer(offers.make(1))
    region.mailbox.append(region.picture(SIZE))
    assert region.mailbox[0].slot
    assert region.picture(SIZE).slot  # the same picture, then dropped
    slot = slots.take(SIZE)
    assert slot
    slots.put_back(slot)
    region.mailbox.append(region.picture(SIZE))
    region.mailbox.clear()  # nobody waits for it
    assert slots.take(SIZE)


def test_unused_blocks_are_unmapped(offers):
    slots = Slots()
    for turn in range(1 + MAPPED_OFFERS):
        slots.offer(offers.make(1))
        offers.take(slots.named(slots.take(SIZE)), SIZE)
        if turn == 0:
            offers._ring.renew()
            (first,) = slots._blocks
    assert slots._blocks
    assert first not in slots._blocks


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("lossless", [False, True])
def test_listener_never_tears_a_slot(offers, lossless):
    region, slots, over, frames = Region(None, lossless), Slots(), threading.Event(), deque()
    region.slots = slots

    def listen():
        for i in range(3000):
            picture = region.picture(SIZE)
            for start in range(0, SIZE, 10_000):  # as rows of an ROI
                picture.pixels[start : start + 10_000] = bytes([i % 251]) * min(10_000, SIZE - start)
            picture.header = {"index": i}
            region.mailbox.append(picture)
            while lossless and len(region.mailbox) > 20:
                pass
        over.set()

    listener = threading.Thread(target=listen)
    listener.start()
    in_slots = 0
    while not over.is_set() or region.mailbox:
        slots.offer(offers.make(2))
        picture = region.take()
        if picture is None:
            continue
        fields = slots.named(picture.slot_among(slots))
        shared = offers.take(fields, SIZE)
        if shared:
            in_slots += 1
            frames.append((shared[0], picture.header["index"]))
        del picture, shared
        while len(frames) > 3:  # frames that are in use stay as they are
            memory, index = frames.popleft()
            assert (memory == index % 251).all()
    listener.join()
    assert in_slots


def test_slots_are_still_offered_after_one_was_used(offers):
    used, unused = offers.make(2)
    assert offers.take({"slot": used[-1]}, SIZE)
    assert offers.take({"returned": [unused[-1]]}, SIZE) is None  # returned for a larger frame
    (again,) = offers.make(1)
    offers.restart(MAX_SLOTS)
    (refused,) = offers.make(1)
    assert offers.take({"returned": [refused[-1]]}, SIZE) is None
    assert offers.make(1) == []
    assert again[-1] not in offers._given
