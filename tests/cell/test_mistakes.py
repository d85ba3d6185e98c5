"""Whatever a cell does to its own process, kernel, link and other cells go on, and nothing is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from processes import gone, left

import dmlink
from dmlink.comparison.script_check import InMemoryRecording
from dmlink.engine.pool import engine
from dmlink.frame import Frame
from dmlink.ring import POSIX_SHARED_MEMORY as SHARED_MEMORY
from dmlink.simulator import Microscope

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


@pytest.fixture(scope="module")
def endpoint():
    """Run a microscope with a companion."""
    frames = [Frame(np.full((16, 32), i, np.uint16), i, source="Gold") for i in range(50)]
    with Microscope(InMemoryRecording(frames), fps=50) as microscope:
        yield microscope.start_companion(0)
    engine.close()


@pytest.fixture
def link(endpoint):
    with dmlink.connect(endpoint) as link:
        yield link


@pytest.fixture
def start(link):
    """Return a function that starts a bad cell next to a good one, which must go on, as must the link."""
    good = dmlink.LiveCell("frame.mean()", "good").start(link)
    bad = []

    def start(text, **options):
        bad.append(dmlink.LiveCell(text, "bad", **options).start(link))
        return bad[0]

    yield start
    processed = good.stats.processed
    until(good, lambda: good.stats.processed > processed + 5)
    assert (good.error, good.stats.errors) == ("", 0)
    assert link.next(60).data.shape == (16, 32)
    bad[0].stop()
    good.stop()


def until(cell, condition, timeout=60.0):
    changed = cell._outcomes.changed
    with changed:
        assert changed.wait_for(condition, timeout), (cell, cell.stats, cell.error, cell.log[-5:])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("while True:\n    pass", "longer than 0.5 s"),
        ("import os\nos._exit(3)", "code 3"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("frame[0, 0] = 1\nframe", "copy it first (frame = frame.copy())"),
        pytest.param("import ctypes\nctypes.string_at(0)", "SIGSEGV", marks=posix),
        ("import sys\nsys.exit('enough')", "SystemExit: enough"),
    ],
    ids=["endless loop", "os._exit", "recursion", "changes the frame", "segmentation fault", "sys.exit"],
)
def test_mistake_shows_in_its_own_cell(start, text, said):
    cell = start(text, timeout=0.5 if "longer" in said else 60.0)
    until(cell, lambda: said in cell.error)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kept by Linux")
def test_memory_limit_keeps_process_alive(start):
    cell = start(
        "import numpy as np\n"
        "state.setdefault('kept', []).append(np.ones(50_000_000, np.uint8))\n"
        "len(state['kept'])",
        memory=300_000_000,
    )
    until(cell, lambda: cell.error)
    worker = cell._runner._worker
    assert "MemoryError" in cell.error
    assert "The cell may use 300 MB (memory=)." in cell.error
    assert 3 <= cell.latest[1].value <= 7
    errors = []
    cell.watch(lambda: errors.append(cell.error))
    cell.reset()
    until(cell, lambda: "" in errors)  # soon the memory is used up again
    assert cell._runner._worker is worker


def test_huge_output_is_bounded(start):
    cell = start(
        "import os\n"
        "for _ in range(50):\n"
        "    print('x' * 1_000_000)\n"
        "    os.write(1, b'x' * 1_000_000)\n"
        "info.index"
    )
    until(cell, lambda: cell.stats.processed > 3)
    assert cell.error == ""
    assert sum(map(len, cell.log)) < 1_000_000


def test_oversized_result_is_refused(start):
    cell = start(
        "import numpy as np\n"
        "state['n'] = min(state.get('n', 0) + 1, 3)\n"
        "part = np.broadcast_to(np.uint8(1), (state['n'] * 130_000, 1000))\n"
        "part, part",
        timeout=600,
    )
    until(cell, lambda: cell.error)
    assert "The result is 780 MB, more than the limit of 537 MB. Bin or crop it." in cell.error
    assert cell.latest[1].results["2"].values.nbytes == 260_000_000


def test_leftover_threads_end_with_the_cell(start):
    cell = start(
        "import threading\nimport time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "threading.active_count()"
    )
    until(cell, lambda: cell.latest and cell.latest[1].value > 10)
    process, thread = cell._runner._worker._process, cell._runner._thread
    cell.stop()
    thread.join(60)
    assert process.poll() is not None
    assert cell.error == ""


@posix
def test_interrupts_do_not_reach_cells(start):
    cell = start("float(sum(range(1000)))")
    until(cell, lambda: cell.latest)
    pid = cell._runner._worker.pid
    for _ in range(20):
        for _ in range(20):
            os.kill(pid, signal.SIGINT)
        processed = cell.stats.processed
        until(cell, lambda processed=processed: cell.stats.processed > processed)
    assert cell.stats.errors == 0
    assert cell._runner._worker.pid == pid


@posix
def test_killed_worker_is_replaced(start):
    cell = start("frame * 2")
    until(cell, lambda: cell.stats.processed > 5)
    worker = cell._runner._worker
    os.kill(worker.pid, signal.SIGKILL)
    until(cell, lambda: cell.stats.errors == 1)
    until(cell, lambda: not cell.error and cell._runner._worker is not worker)
    assert gone(worker.pid)
    assert worker._process.poll() is not None


KERNEL = """
import signal, sys, time
import numpy as np
import dmlink
from dmlink.engine import engine

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests with nohup has it ignored here too
with dmlink.connect(sys.argv[1]) as link:
    names = "mean", "image", "loop"
    texts = "frame.mean()", "import numpy as np\\nnp.zeros((400, 400))", "while info.index >= 0:\\n    pass"
    cells = [dmlink.LiveCell(*pair).start(link) for pair in zip(texts, names)]
    while not all(cell.latest for cell in cells[:2]) or not cells[2].stats.received: time.sleep(0.01)
    while cells[1].stats.processed < 5: time.sleep(0.01)
    pids = [cell._runner._worker.pid for cell in cells] + [engine._spare.pid]
    blocks = [slot.block.name for slot in (*link._frames._ring._lent, *cells[1]._runner._worker._ring._lent)]
    interrupts, armed = 0, False

    def interrupt(*_):
        global interrupts, armed
        interrupts += 1
        if armed:  # not while the last one is dealt with
            armed = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    print(*pids, *blocks, flush=True)
    while True:
        try:
            armed = True
            line = sys.stdin.readline()
            if line == "exit\\n":
                sys.exit()
            before = cells[0].stats.processed
            while cells[0].stats.processed < before + 5: time.sleep(0.01)
            print(cells[0].stats.errors, interrupts, flush=True)
        except KeyboardInterrupt:
            pass
"""


@contextlib.contextmanager
def kernel(endpoint):
    """Run a separate kernel with two good cells and an endless one; yield it, its workers and its blocks."""
    command = [sys.executable, "-c", KERNEL, endpoint]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            words = process.stdout.readline().split()
            assert len(words) >= 4
            yield process, [int(word) for word in words[:4]], words[4:]
        finally:
            process.kill()


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="looks into /dev/shm")
@pytest.mark.parametrize("how", ["exit", "SIGTERM", "SIGKILL", "SIGHUP"])
def test_ended_kernel_leaves_nothing(endpoint, how):
    with kernel(endpoint) as (process, pids, blocks):
        assert all((SHARED_MEMORY / block).exists() for block in blocks)
        if how == "exit":
            process.stdin.write("exit\n")
            process.stdin.flush()
            assert process.wait() == 0
        else:
            process.send_signal(getattr(signal, how))
            process.wait()
        assert all(gone(pid) for pid in pids)
        assert not left(blocks)


NOTEBOOK = (
    "import dmlink\n%load_ext dmlink\nlink = dmlink.connect({endpoint!r})",
    "%%live image\nimport numpy as np\nnp.zeros((400, 400)) + frame[0, 0]",
    """
from dmlink.engine import engine
live = %live image
results = live.results()
for _ in range(5): next(results)
worker = live._runner._worker
blocks = [slot.block.name for slot in (*link._frames._ring._lent, *worker._ring._lent)]
print(worker.pid, engine._spare.pid, *blocks)
""",
)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="looks into /dev/shm")
def test_restarted_kernel_leaves_nothing(endpoint):
    manager, client = start_new_kernel(startup_timeout=300)
    said = []

    def hear(message):
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    try:
        for text in NOTEBOOK:
            client.execute_interactive(text.format(endpoint=endpoint), timeout=300, output_hook=hear)
        words = said[-1].split()
        pids, blocks = [int(word) for word in words[:2]], words[2:]
        assert blocks
        assert all((SHARED_MEMORY / block).exists() for block in blocks)
        manager.restart_kernel()
        assert all(gone(pid) for pid in pids)
        assert not left(blocks)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@posix
def test_interrupted_kernel_keeps_its_cells(endpoint):
    with kernel(endpoint) as (process, _, _):
        for _ in range(50):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)  # interrupts that arrive together count as one
        process.stdin.write("go on\n")
        process.stdin.flush()
        errors, interrupts = process.stdout.readline().split()
        assert errors == "0"
        assert int(interrupts) > 0
