"""A cell's own process: its input, what it may do, and how it ends without affecting anything else."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import numpy as np
import pytest
from processes import gone, left

from dmlink.cell.live_cell import LiveCell
from dmlink.engine import preload
from dmlink.engine.messages import SMALL
from dmlink.engine.pool import Engine, WorkerDied
from dmlink.engine.worker import MAX_LOG
from dmlink.frame import Axis, Frame
from dmlink.indm.results import Image, Scalar
from dmlink.program.program import Program
from dmlink.ring import POSIX_SHARED_MEMORY as SHARED_MEMORY
from dmlink.ring import Ring


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr("dmlink.engine.pool.LOAD_SECONDS", 300.0)


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def start(engine):
    """Return a function that starts a cell in its own worker."""
    workers = []

    def start(cell, timeout=60.0):
        worker = engine.worker(timeout)
        workers.append(worker)
        worker.error = worker.load(Program.from_cell(textwrap.dedent(cell), "test"))
        return worker

    yield start
    for worker in workers:
        engine.end(worker)


@pytest.fixture
def shared():
    """Return a function that creates a frame in shared memory, as a link does."""
    ring = Ring()

    def shared(values, index=0):
        values = np.asarray(values)
        memory, block = ring.take(values.nbytes)
        data = memory.view(values.dtype).reshape(values.shape)
        data[...] = values
        data.flags.writeable = False
        return Frame(data, index, x=Axis(0.0, 0.5, "nm"), block=block)

    shared.ring = ring
    yield shared
    ring.close()


def lent(ring):
    """Return how many blocks of a ring are in use by arrays now."""
    return sum(array() is not None for array in ring._lent.values())


def full(value, shape=(4, 6), index=0):
    return Frame(np.full(shape, value, np.uint16), index)


# Results


def test_result_keeps_axes(start, shared):
    worker = start("Profile(frame.mean(axis=0), scale=info.scale, unit=info.unit)")
    result = worker.process(shared(np.arange(12.0).reshape(3, 4)), {}).result
    assert result.values.tolist() == [4, 5, 6, 7]
    assert result.x == Axis(0.0, 0.5, "nm")
    assert result.name == "test"


@pytest.mark.parametrize("block", [True, False], ids=["in shared memory", "in ordinary memory"])
def test_any_memory_layout_is_accepted(start, shared, block):
    worker = start("str(frame.dtype) == 'float32' and float(frame[1, 2])")
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    frame = shared(values) if block else Frame(values)
    assert worker.process(frame, {}).result.value == 5.0


@pytest.mark.parametrize("side", [8, 400], ids=["small", "large"])
@pytest.mark.parametrize("how", ["frame * 2", "(frame * 2).T", "(frame * 2)[::2, ::-1]", "frame"])
def test_any_memory_layout_works(start, shared, side, how):
    worker = start(how)
    for n in range(4):
        frame = np.arange(side * side, dtype=np.float64).reshape(side, side) + n
        result = worker.process(shared(frame), {}).result
        assert np.array_equal(result.values, LiveCell(how).run(frame).values)


def test_large_images_use_shared_memory(start):
    worker = start("import numpy as np\nn: int = 8\nnp.full((n, n), frame.max(), np.uint8)")
    worker.process(full(1), {})
    assert worker.process(full(2), {}).result.values.max() == 2
    assert lent(worker._ring) == 0
    large = int(SMALL**0.5) * 2
    worker.process(full(3), {"n": large})  # through the pipe, because it was unexpected
    results = [worker.process(full(value), {}).result.values for value in (4, 5, 6)]
    assert lent(worker._ring) == 3
    assert [values.max() for values in results] == [4, 5, 6]  # none has overwritten another
    del results
    assert lent(worker._ring) == 0


def test_kernel_does_not_copy_results(start):
    worker = start("import numpy as np\nn: int = 8\nnp.full((n, n), frame.max(), np.float32)")
    worker.process(full(1), {})
    tracemalloc.start()
    try:
        result = worker.process(full(3), {"n": 2000}).result
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (result.values == 3).all()
    assert result.values.nbytes == 16_000_000
    assert peak < 1_000_000


def test_works_without_shared_memory(start, monkeypatch):
    monkeypatch.setattr("dmlink.ring._room_for", lambda _: False)
    worker = start("import numpy as np\nn: int = 400\nnp.full((n, n), frame.max()), frame.mean(axis=0) * 2")
    for value, n in ((1, 400), (2, 400), (3, 700), (4, 300)):
        image, profile = worker.process(full(value), {"n": n}).result.results.values()
        assert image.values.shape == (n, n)
        assert (image.values == value).all()
        assert (profile.values == 2 * value).all()
    assert lent(worker._ring) == 0


def test_death_while_sending_is_reported(start, monkeypatch):
    worker = start("import numpy as np\nnp.zeros((2000, 2000))")
    read = worker._read_into

    def killed_meanwhile(memory, late):
        worker.kill()
        read(memory, late)

    monkeypatch.setattr(worker, "_read_into", killed_meanwhile)
    with pytest.raises(WorkerDied, match=r"SIGKILL|was killed"):
        worker.process(full(1), {})


def test_dict_result_keeps_names(start):
    result = start("{'mean': frame.mean(), 'max': frame.max()}").process(full(3), {}).result
    assert isinstance(result, Scalar)
    assert result.value == {"mean": 3.0, "max": 3.0}


def test_text_tables_and_marks_come_back(start):
    assert start("'words'").process(full(3), {}).result.text == "words"
    table = start("[{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]").process(full(3), {}).result
    assert table.columns["a"].tolist() == [1, 2]
    assert table.columns["b"].tolist() == ["x", "y"]
    assert start("Points([[1, frame.max()]])").process(full(3), {}).result.yx.tolist() == [[1, 3]]


# Parameters and state


def test_parameters_change_without_restart(start):
    worker = start("""
        gain: float = 1.0
        state["n"] = state.get("n", 0) + 1
        {"value": gain * frame.mean(), "n": state["n"]}
    """)
    pid = worker.pid
    assert worker.process(full(2), {}).result.value == {"value": 2.0, "n": 1}
    assert worker.process(full(2), {"gain": 5.0}).result.value == {"value": 10.0, "n": 2}
    assert worker.process(full(2), {}).result.value == {"value": 10.0, "n": 3}
    assert worker.pid == pid


def test_reset_or_new_shape_empties_state(start):
    worker = start('state["n"] = state.get("n", 0) + 1\nstate["n"]')

    def count(frame, **options):
        return worker.process(frame, {}, **options).result.value

    assert [count(full(1)), count(full(1))] == [1, 2]
    assert [count(full(1), reset=True), count(full(1))] == [1, 2]
    assert [count(full(1, (3, 3))), count(full(1, (3, 3)))] == [1, 2]


def test_frame_kept_in_state_keeps_pixels(start, shared):
    worker = start("""
        before = state.get("before")
        state["before"] = frame[1:, 1:]
        None if before is None else float(before.max() - before.min()) + float(before[0, 0])
    """)
    for i in range(8):
        frame = shared(np.full((400, 400), i, np.uint16), i)
        result = worker.process(frame, {}).result
        del frame  # the link reuses its memory for the frame after next
        assert i == 0 or result.value == i - 1
    assert len(worker._leases) == 1
    assert len(shared.ring._lent) <= 3


def test_unused_frame_is_released(start, shared):
    worker = start("frame[::2].mean()")
    for i in range(4):
        worker.process(shared(np.full((100, 100), i, np.uint16)), {})
    assert not worker._leases
    assert lent(shared.ring) == 0


# Errors in the user's cell


def test_frame_is_read_only(start, shared):
    worker = start("frame[0, 0] = 5\nframe.mean()")
    error = worker.process(shared(np.ones((3, 3))), {}).error
    assert error.startswith("line 1: frame[0, 0] = 5\nValueError: ")
    assert "copy it first (frame = frame.copy())" in error
    assert "frame.copy()" in start("frame += 1\nframe").process(full(1), {}).error


def test_error_has_line_and_clears(start):
    worker = start("x = frame.mean()\n# a comment\n1 / (int(x) - 2)")
    assert worker.process(full(2), {}).error == (
        "line 3: 1 / (int(x) - 2)\nZeroDivisionError: division by zero\nframe (4, 6) uint16"
    )
    good = worker.process(full(3), {})
    assert (good.error, good.result.value) == ("", 1.0)


def test_endless_recursion_is_a_short_error(start):
    worker = start("def f(n):\n    return f(n + 1)\nf(frame)")
    error = worker.process(full(1), {}).error
    assert "RecursionError" in error
    assert error.startswith("line 3: f(frame)")
    assert len(error.splitlines()) < 15
    assert worker.process(full(1), {}).error == error


def test_sys_exit_is_an_error(start):
    worker = start("import sys\nsys.exit(3)")
    assert worker.process(full(1), {}).error == "line 2: sys.exit(3)\nSystemExit: 3\nframe (4, 6) uint16"
    assert "KeyboardInterrupt" in start("raise KeyboardInterrupt").process(full(1), {}).error


def test_error_text_is_bounded(start):
    worker = start("raise ValueError('x' * 10_000_000)")
    assert len(worker.process(full(1), {}).error) < 3000


def test_notebook_folder_is_searched(start, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "filters_of_mine.py").write_text("factor = 2")
    (tmp_path / "offset.txt").write_text("5")
    start("frame.mean()")  # one that is already warm
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    worker = start("import filters_of_mine\nfrom pathlib import Path\n"
                   "filters_of_mine.factor * frame.mean() + int(Path('offset.txt').read_text())")  # fmt: skip
    assert worker.error == ""
    assert worker.process(full(3), {}).result.value == 11


def test_local_files_do_not_shadow_modules(tmp_path, monkeypatch):
    for name in ("random", "queue", "types", "numpy", "marshal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)")
    (tmp_path / "own.py").write_text("n = 3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    engine = Engine()
    worker = engine.worker(60.0)
    text = "import random\nimport own\nfrom scipy import ndimage\nown.n + 0 * random.random()"
    assert worker.load(Program.from_cell(text, "test")) == ""
    assert worker.process(full(1), {}).result.value == 3
    engine.close()


def test_failed_start_has_its_reason(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise ImportError('a file called numpy.py')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    engine = Engine()
    with pytest.raises(WorkerDied, match=r"code 1.*ImportError: a file called numpy.py"):
        engine.worker(60.0).load(Program.from_cell("frame.mean()", "test"))
    engine.close()


@pytest.mark.skipif(sys.platform != "linux", reason="no limit elsewhere")
def test_memory_limit_grows_with_frames(engine, shared):
    worker = engine.worker(60.0, 10_000_000)
    assert worker.load(Program.from_cell("state[0] = frame * 1.0\nframe", "test")) == ""
    for side in (64, 4096, 64, 2048):
        outcome = worker.process(shared(np.zeros((side, side), np.uint8)), {})
        assert ("MemoryError" in outcome.error) == (side == 4096), outcome.error
        assert f"frame ({side}, {side})" in outcome.error or outcome.result.values.shape == (side, side)
    engine.end(worker)


def test_missing_package_is_an_error(start):
    worker = start("import numpy as np\nimport no_such_package\nframe.mean()")
    assert worker.error == (
        "line 2: import no_such_package\nModuleNotFoundError: No module named 'no_such_package'"
    )


def test_wrong_result_lists_valid_types(start):
    error = start("object()").process(full(1), {}).error
    assert "object" in error
    assert "a 1-D array (profile)" in error


def test_print_is_logged_and_bounded(start):
    worker = start("print('mean', frame.mean())\nframe.mean()")
    assert worker.process(full(2), {}).log == "mean 2.0\n"
    worker = start("for _ in range(100):\n    print('x' * 1_000_000)\nframe.mean()")
    outcome = worker.process(full(2), {})
    assert outcome.log == "x" * MAX_LOG
    assert outcome.result.value == 2.0


def test_raw_output_is_harmless(start):
    worker = start("import os\nfor fd in (1, 2):\n    os.write(fd, b'x' * 1_000_000)\nframe.mean()")
    assert worker.process(full(2), {}).result.value == 2.0


def test_input_is_empty(start):
    assert "EOFError" in start("input()").process(full(1), {}).error


def test_warning_is_logged_once(start):
    worker = start("import numpy as np\nnp.log(frame.mean() - 2)")
    logs = [worker.process(full(2), {}).log for _ in range(3)]
    assert "divide by zero" in logs[0]
    assert logs[1:] == ["", ""]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os\nos._exit(3)", "with code 3"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import os\nos.abort()", "SIGABRT"),
    ],
    ids=["os._exit", "segfault", "abort"],
)
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_crash_names_exit_code(start, cell, said):
    with pytest.raises(WorkerDied, match=said):
        start(cell).process(full(1), {})


def test_timeout_ends_the_process(start):
    worker = start("while True:\n    pass", timeout=0.3)
    with pytest.raises(WorkerDied, match=r"longer than 0\.3 s \(--timeout\)"):
        worker.process(full(1), {})


def test_import_may_exceed_timeout(start):
    worker = start("import scipy.ndimage\nfloat(scipy.ndimage.sum(frame))", timeout=0.01)
    assert worker.error == ""


def test_timeout_spares_other_workers(start):
    slow, good = start("while True:\n    pass", timeout=0.3), start("frame.mean()")

    died = []

    def wait():
        with pytest.raises(WorkerDied) as told:
            slow.process(full(1), {})
        died.append(told.value)

    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive():
        assert good.process(full(2), {}).result.value == 2.0
    thread.join()
    assert died
    assert good.process(full(2), {}).result.value == 2.0


# The spare


def test_spare_preloads_packages(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    source = (
        "import os\nimport own\nimport scipy.ndimage as nd\nfrom scipy import fft\nimport no_such_package\n"
    )
    program = Program.from_cell(f"{source}\nframe.mean()")
    assert preload.installed(program.modules) == {"scipy", "scipy.ndimage"}
    engine = Engine()
    engine.warm()
    spare = engine._spare
    engine.prepare(Program.from_cell(source.replace("import no_such_package\n", "frame.mean()")))
    worker = engine.worker(60.0)
    assert worker is spare
    cell = "import sys\n{name: int(name in sys.modules) for name in ('scipy.ndimage', 'own')}"
    assert worker.load(Program.from_cell(cell)) == ""
    assert worker.process(full(1), {}).result.value == {"scipy.ndimage": 1, "own": 0}
    engine.close()


def test_failing_import_does_not_break_spare(engine):
    engine.worker(60.0)
    engine._spare.prepare({"no_such_package"})
    worker = engine.worker(60.0)
    assert worker.load(Program.from_cell("frame.mean()")) == ""
    assert worker.process(full(3), {}).result.value == 3.0


def test_dead_spare_is_not_used():
    engine = Engine()
    engine.warm()
    dead = engine._spare
    dead.kill()
    dead._process.wait()
    worker = engine.worker(60.0)
    assert worker is not dead
    assert worker.load(Program.from_cell("frame.mean()")) == ""
    engine.close()


# The end


def test_close_leaves_nothing():
    threads = set(threading.enumerate())
    engine = Engine()
    worker = engine.worker(60.0)
    worker.load(Program.from_cell("import numpy as np\nnp.zeros((600, 600))"))
    images = [worker.process(full(1), {}).result for _ in range(3)]
    blocks = [slot.block.name for slot in worker._ring._lent]
    assert blocks
    processes = [worker._process, engine._spare._process]
    engine.close()
    assert all(process.poll() is not None for process in processes)
    assert set(threading.enumerate()) <= threads
    assert not [name for name in blocks if (SHARED_MEMORY / name).exists()]
    assert all(isinstance(image, Image) and image.values.max() == 0 for image in images)  # still there


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_subprocesses_end_with_worker(engine):
    worker = engine.worker(60.0)
    worker.load(Program.from_cell("import subprocess\nsubprocess.Popen(['sleep', '600']).pid"))
    pid = int(worker.process(full(1), {}).result.value)
    os.kill(pid, 0)
    engine.end(worker)
    assert gone(pid)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="a process that has ended cannot be looked at here")
@pytest.mark.parametrize("start", ["os.fork() or time.sleep(600)", "subprocess.Popen(['sleep', '600']).pid"])
def test_what_a_crashed_cell_started_ends(engine, tmp_path, start):
    worker, file = engine.worker(60.0), tmp_path / "pid"
    then = f"open({str(file)!r}, 'w').write(str(pid))\nos._exit(3)"
    worker.load(Program.from_cell(f"import os, subprocess, time\npid = {start}\n{then}"))
    with pytest.raises(WorkerDied, match="exited with code 3"):
        worker.process(full(1), {})
    assert gone(int(file.read_text()))
    engine.end(worker)


def test_closed_engine_can_start_again():
    engine = Engine()
    engine.worker(1.0)
    engine.close()
    worker = engine.worker(0.2)
    worker.load(Program.from_cell("while True:\n    pass"))
    with pytest.raises(WorkerDied, match="longer than"):
        worker.process(full(1), {})
    engine.close()


PARENT = """
import signal, sys, time
import numpy as np
from dmlink.engine import engine
from dmlink.frame import Frame
from dmlink.program import Program
from dmlink.ring import Ring

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
ring = Ring()
memory, block = ring.take(400 * 400)
memory[:] = 1
worker = engine.worker(60.0)
worker.load(Program.from_cell("frame.copy()"))
frame = Frame(memory.reshape(400, 400), block=block)
results = [worker.process(frame, {}).result for _ in range(3)]
blocks = [block, *(slot.block.name for slot in worker._ring._lent)]
loop = engine.worker(60.0)
loop.load(Program.from_cell("while True:\\n    pass"))
import threading
threading.Thread(target=loop.process, args=(frame, {}), daemon=True).start()
while loop._deadline is None: time.sleep(0.01)
try:
    print(worker.pid, loop.pid, engine._spare.pid, *blocks, flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print(worker.process(frame, {}).result.values.sum(), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def kernel():
    """Start a separate kernel with an idle, a busy and a spare worker; give process, pids and blocks."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    words = process.stdout.readline().split()
    yield process, [int(word) for word in words[:3]], words[3:]
    process.kill()
    process.wait()
    process.stdout.close()


def test_killed_kernel_leaves_nothing(kernel):
    process, pids, blocks = kernel
    assert len(blocks) >= 3
    blocks = [block.partition("+")[0] for block in blocks]
    if os.name == "posix" and SHARED_MEMORY.is_dir():
        assert all((SHARED_MEMORY / block).exists() for block in blocks)
    process.kill()
    assert all(gone(pid) for pid in pids)  # including the one in an endless loop
    assert not left(blocks)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_interrupted_kernel_keeps_workers(kernel):
    process, _, _ = kernel
    os.killpg(process.pid, signal.SIGINT)
    assert int(process.stdout.readline()) == 400 * 400
