"""Many cells at once, one cell run repeatedly, the largest frame: nothing is left behind, nothing grows."""

import gc
import itertools

import numpy as np
import psutil
import pytest
from microscopes import microscope
from processes import gone

import dmlink
from dmlink.engine.pool import Engine, engine
from dmlink.frame import Frame
from dmlink.program.program import Program
from dmlink.ring import POSIX_SHARED_MEMORY as SHARED_MEMORY
from dmlink.ring import Ring

KINDS = """
kinds = [frame.mean(), frame[0], frame * 1.5, "text", {"a": 1.0}, (frame[0], 3), Points([[1, 2]]), None,
         Table({"b": [1, 2]}), Overlay(frame, Points([[1, 2]])), frame.mean() > 0, [{"x": 1}]]
state["n"] = state.get("n", -1) + 1
kinds[state["n"] % len(kinds)]
"""


def used():
    """Return this process's counts of descriptors, threads, children and blocks of shared memory."""
    gc.collect()
    me = psutil.Process()
    blocks = [*SHARED_MEMORY.glob("psm_*")]
    return np.array([me.num_fds(), me.num_threads(), len(me.children()), len(blocks)])


def test_kind_may_change_with_every_frame():
    with microscope(fps=50) as dm, dmlink.connect(dm.endpoint) as link:
        cell = dmlink.LiveCell(KINDS, "kinds").start(link)
        seen = set()
        for _, result in cell.results():
            seen.add(result.kind)
            assert not cell.error
            if len(seen) == 8:
                break
        cell.stop()
    engine.close()
    assert seen == {"scalar", "profile", "image", "text", "several", "points", "table", "overlay"}


@pytest.mark.exhaustive
def test_sixty_four_cells_at_once():
    with microscope(fps=20) as dm, dmlink.connect(dm.endpoint) as link:
        cells = [dmlink.LiveCell(f"frame.mean() * 0 + {i}", f"cell{i}").start(link) for i in range(64)]
        for i, cell in enumerate(cells):
            assert next(iter(cell.results()))[1].value == i, cell.error
        assert all(cell.running and not cell.error for cell in cells)
        pids = [cell._runner._worker.pid for cell in cells]
        for cell in cells:
            cell.stop()
        engine.close()
    assert all(gone(pid) for pid in pids)


@pytest.mark.exhaustive
@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="looks into /dev/shm and /proc")
def test_cell_run_200_times_leaks_nothing():
    with microscope(fps=50) as dm, dmlink.connect(dm.endpoint) as link:

        def run():
            cell = dmlink.LiveCell("n: (1, 9) = None\nframe * 2.0, frame.mean()", "cell").start(link)
            list(itertools.islice(cell.results(), 2))
            cell.stop()

        for _ in range(10):
            run()
        before = used()
        for _ in range(190):
            run()
        assert (used() <= before + 1).all(), (before, used())
    engine.close()


@pytest.mark.exhaustive
def test_largest_frame_gives_an_image():
    ring, engine = Ring(), Engine()
    memory, block = ring.take(8192 * 8192 * 8)
    frame = memory.view(np.float64).reshape(8192, 8192)
    frame[...] = 3.0
    worker = engine.worker(120.0)
    assert worker.load(Program.from_cell("frame * 2", "test")) == ""
    for _ in range(3):
        outcome = worker.process(Frame(frame, 0, 0.0, block=block), {})
        assert outcome.error == ""
        assert outcome.result.values.dtype == np.float64
        assert (outcome.result.values[::100, ::100] == 6.0).all()
        del outcome
    engine.close()
    del memory, frame
    ring.close()
