"""The ring of shared memory: no copies, no torn frames, and nothing left behind."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from microscopes import SHM, Noise, leaving_no_blocks, linked
from processes import left

from dmlink import ring as rings
from dmlink.ring import KEPT, Attachments, Ring


def exists(name):
    return (SHM / name.partition("+")[0]).exists()


pytestmark = pytest.mark.skipif(not SHM.is_dir(), reason="looks into /dev/shm")


def test_unused_memory_is_used_again():
    ring = Ring()
    first, name = ring.take(1000)
    second, other = ring.take(1000)
    assert name != other
    part = first[10:20]
    del first
    third = ring.take(1000)[1]
    assert third not in {name, other}  # `part` still refers to it
    del part
    assert ring.take(1000)[1] in {name, third}
    del second
    ring.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="blocks are not reserved here")
def test_full_shared_memory_lends_none(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rings, "PLENTY", sys.maxsize)  # as if there were little
    monkeypatch.setattr("os.posix_fallocate", full)
    with contextlib.closing(Ring()) as ring:
        assert ring.lend(1000) is None


def test_kept_frame_is_never_overwritten():
    ring = Ring()
    kept, _ = ring.take(4096)
    kept[:] = 7
    for value in range(20):
        other, _ = ring.take(4096)
        other[:] = value
        del other
    assert (kept == 7).all()
    ring.close()
    assert (kept == 7).all()


def test_close_leaves_no_block():
    ring = Ring()
    arrays = [ring.take(n * 20_000_000) for n in (1, 2, 3)]
    names = [name for _, name in arrays]
    assert all(exists(name) for name in names)
    ring.close()
    assert not any(exists(name) for name in names)
    assert arrays[0][0][-1] == 0
    array, name = ring.take(100)
    assert (len(array), name) == (100, "")


def test_new_size_frees_old_blocks():
    ring = Ring()
    names = {ring.take(1 << 20)[1] for _ in range(3)}
    array, _ = ring.take(1 << 24)
    assert not any(exists(name) for name in names)
    del array
    ring.close()


def test_beyond_limit_memory_is_ordinary(monkeypatch):
    monkeypatch.setattr(rings, "MAX_BYTES", 10_000)
    monkeypatch.setattr(rings, "BLOCK_BYTES", 8192)
    ring = Ring()
    first, name = ring.take(8192)
    second, none = ring.take(8192)
    assert name
    assert none == ""
    second[:] = 1
    del first, second
    ring.close()


def test_small_frames_share_a_block():
    ring = Ring()
    kept = [ring.take(8192) for _ in range(1000)]
    assert len({name for _, name in kept}) == 1000
    assert len({name.partition("+")[0] for _, name in kept}) == 1
    for i, (array, _) in enumerate(kept):
        array[:] = i % 251
    assert all((array == i % 251).all() for i, (array, _) in enumerate(kept))
    ring.close()


def test_open_blocks_are_bounded(monkeypatch):
    monkeypatch.setattr(rings, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(rings, "MAX_BYTES", 1 << 20)
    ring = Ring()
    kept = [ring.take(1000) for _ in range(2000)]
    assert len({name.partition("+")[0] for _, name in kept if name}) <= 16
    assert not kept[-1][1]  # ordinary memory
    ring.close()


def test_process_attaches_without_owning():
    ring = Ring()
    array, name = ring.take(100_000)
    array[:] = np.arange(100_000, dtype=np.uint8)
    text = (
        "import sys; from dmlink.ring import Attachments;"
        "a = Attachments().array(sys.argv[1], 100_000);"
        "print(int(a.sum(dtype='i8'))); a[0] = 99"
    )
    done = subprocess.run([sys.executable, "-c", text, name], capture_output=True, text=True, check=True)
    assert int(done.stdout) == array[1:].sum(dtype="i8") + 0
    assert array[0] == 99
    assert done.stderr == ""
    assert exists(name)
    ring.close()


def test_worker_drops_missing_blocks():
    ring, attached = Ring(), Attachments()
    sizes = [500_000 * n * n for n in range(1, 6)]
    for size in sizes:
        array, name = ring.take(size)
        assert len(attached.array(name, size)) == size
        del array
    for _ in range(KEPT):
        attached.array(name, size)
    assert attached._blocks.keys() == {name.partition("+")[0]}
    ring.close()


def test_repeated_blocks_stay_open():
    ring, attached = Ring(), Attachments()
    arrays = [ring.take(20 << 20) for _ in range(4)]
    for _ in range(2 * KEPT):
        for _, name in arrays:
            attached.array(name, 5000)
    blocks = list(attached._blocks.values())
    assert len(blocks) == 4
    for block in blocks:
        block.unlink()  # as Python does if there is no memory to map it
    assert all(exists(name) for _, name in arrays)
    ring.close()


def test_frames_arrive_in_their_memory(monkeypatch):
    with leaving_no_blocks(monkeypatch) as names, linked(Noise(shape=(128, 128))) as (_, link):
        frames = [link.next(60) for _ in range(20)]
        attached = Attachments()
        for frame in frames:
            seen = attached.array(frame.block, frame.data.nbytes).view(frame.data.dtype)
            assert np.array_equal(seen.reshape(frame.data.shape), frame.data)
        assert {frame.block for frame in frames} <= names
        assert len({frame.block for frame in frames}) == len(frames)  # all blocks are in use
        seen = None
        attached._forget()
        copies = [frame.data.copy() for frame in frames]
    assert all(np.array_equal(frame.data, copy) for frame, copy in zip(frames, copies, strict=True))


def test_reader_needs_few_blocks(monkeypatch):
    with leaving_no_blocks(monkeypatch) as names, linked() as (_, link):
        for _ in range(60):
            link.next(60)
        assert len(names) <= 5


LEAVES_WITHOUT_CLOSING = """
import os, sys
from dmlink.ring import Ring
ring = Ring()
array, name = ring.take(100_000)
if sys.argv[1] == "fork" and not os.fork():
    sys.exit()
if sys.argv[1] == "fork":
    os.wait()
    assert os.path.exists("/dev/shm/" + name.partition("+")[0])
print(name)
"""


@pytest.mark.parametrize("how", ["end", "fork"])
def test_program_that_ends_leaves_no_memory(how):
    command = [sys.executable, "-c", LEAVES_WITHOUT_CLOSING, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not exists(done.stdout.strip())
    assert done.stderr == ""  # Python would warn of leaked memory


TRACKER = """
import os
from multiprocessing import resource_tracker
from dmlink.ring import Ring
array, name = Ring().take(100_000)
tracker = resource_tracker._resource_tracker._pid
assert os.getpgid(tracker) == tracker != os.getpgrp()
print(name)
os.kill(os.getpid(), 9)
"""


def test_tracker_is_not_in_the_kernels_group():
    done = subprocess.run([sys.executable, "-c", TRACKER], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not left([done.stdout.partition("+")[0].strip()])  # it has removed what the killed process left
