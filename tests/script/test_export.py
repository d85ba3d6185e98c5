"""An exported script does the same in DigitalMicrograph as the cell in the notebook, and disturbs nothing."""

import ast
import dataclasses
import linecache
import os
import py_compile
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from project import ROOT
from result_texts import RESULTS, SHAPE, recording

import dmlink
from dmlink import bundle
from dmlink.cli import main
from dmlink.comparison.script_check import InMemoryRecording, check
from dmlink.frame import Axis, Frame, Roi
from dmlink.indm.chart import Chart
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.script import mechanics, requirements
from dmlink.script.exporter import BELOW, export, script
from dmlink.simulator import Microscope

GOLDEN = ROOT / "tests" / "script" / "golden"

SCALAR = "frame.mean() / 3"
SERIES = """
gain: (0.0, 9.0) = 2.0
{"mean": gain * frame.mean(), "max": frame.max()}
"""
PROFILE = """
Profile(frame.mean(axis=0), scale=info.scale, origin=info.origin, unit=info.unit, value_unit="e-")
"""
IMAGE = """
Image(frame[::2, ::2] * 0.5, scale=2 * info.scale, origin=(info.y.origin, info.x.origin), unit=info.unit)
"""
COLOUR = """
import numpy as np
np.dstack([frame % 256, frame // 2, frame * 0]).astype("uint8")
"""
STATEFUL = """
state["n"] = state.get("n", 0) + 1
state["sum"] = state.get("sum", 0) + frame.astype(float)
Image(state["sum"] / state["n"], scale=info.scale, unit=info.unit)
"""
CELLS = {
    "scalar": SCALAR,
    "series": SERIES,
    "profile": PROFILE,
    "image": IMAGE,
    "colour": COLOUR,
    "state": STATEFUL,
}

RADIAL_PROFILE = """
n_bins: (16, 256, 16) = 32  # points of the profile
log: bool = True  # logarithmic scale

power = np.abs(np.fft.rfft2(frame - frame.mean())) ** 2
profile = rings(power, n_bins)
Profile(np.log10(profile + 1) if log else profile, scale=0.5 / n_bins / info.scale, unit="1/" + info.unit)
"""
RINGS = '''
def rings(power, n):
    """Average `power` (half of a spectrum) over `n` rings from the centre to the Nyquist frequency."""
    fy = np.fft.fftfreq(power.shape[0])[:, None]
    fx = np.linspace(0, 0.5, power.shape[1])[None, :]
    ring = (np.hypot(fy, fx) * 2 * n).astype(int).ravel()
    total = np.bincount(ring, power.ravel(), minlength=n)[:n]
    return total / np.maximum(np.bincount(ring, minlength=n)[:n], 1)
'''


def program(text, name="test", **namespace):
    return Program.from_cell(textwrap.dedent(text).strip("\n"), name, namespace)


def defined(text):
    """Return the names that a notebook cell with this text defines."""
    names = {"np": np, "__name__": "__main__"}
    filename = f"<definitions {hash(text)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), names)  # noqa: S102
    return names


@pytest.fixture
def clock(monkeypatch):
    """Yield the clock of `clocked` scripts, which stands still until its `now` is changed."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "stopped", clock, raising=False)
    return clock


def clocked(text):
    """Return a script that uses that clock instead of its own."""
    return re.sub(r"time\.(perf_counter|monotonic)\(\)", "time.stopped.now", text)


class Dm:
    """A simulated DigitalMicrograph in which tests execute scripts and step the camera."""

    def __init__(self, played=None, **switches):
        self.played = played or recording()
        self.microscope = Microscope(self.played, loop=True, **switches)
        self._began = time.perf_counter()

    def __enter__(self):
        self.microscope.start()
        self.microscope.camera.pause()
        self.microscope.camera.seek(0)
        self.step()
        return self

    def __exit__(self, *error):
        self.microscope.close()
        if not error[0]:
            assert not self.microscope.escaped
            assert not self.microscope.leaked_images

    def execute(self, program):
        text = program if isinstance(program, str) else script(program)
        self._began = time.perf_counter()
        running = self.microscope.run_script(text, background=False, name="script")
        running.join()
        self.microscope.settle()
        return running

    def step(self, rest=None):
        """Show the next frame, after the scripts have paused for as long as they have worked."""
        time.sleep(time.perf_counter() - self._began if rest is None else rest)
        self._began = time.perf_counter()
        self.microscope.camera.step()
        self.microscope.settle()

    def shows(self, column, frame):
        """Wait until the strip chart shows a third of the mean of this frame."""
        value = np.float32(self.played[frame].data.mean() / 3)
        self.microscope.wait_until(
            lambda: (
                self.results() and self.measured.shape[1] == column + 1 and self.measured[0, column] == value
            ),
            what=f"frame {frame}",
        )

    def results(self):
        """Return the result windows by title."""
        windows = [w for w in self.microscope.windows() if w.name != self.played.name]
        assert len({w.name for w in windows}) == len(windows), "two windows of one script"
        return {w.name: w for w in windows}

    @property
    def result(self):
        """The window of the only result, without its history."""
        (window,) = [w for w in self.results().values() if " in time of " not in w.name]
        return window

    @property
    def measured(self):
        """The numbers in the strip chart: one row per name, one column per frame."""
        return measured(self.result)


def measured(window):
    """Return the numbers of a strip chart; the frames so far share its columns."""
    width = window.data.shape[1]
    n = round(window.axes[0].scale * width)
    return window.data[:, -(-np.arange(n) * width // n)]


# The same as the cell


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_script_equals_cell_frame_by_frame(tmp_path, text):
    cell = program(text)
    comparison = check(export(cell, tmp_path / "script.py"), recording(), cell)
    assert len({c.frame for c in comparison}) == 10
    assert comparison.equal, comparison
    assert max(c.difference for c in comparison) == 0


def test_window_has_values_axes_and_units():
    cell = program(PROFILE)
    with Dm(recording(unit="\u00b5m")) as dm:
        dm.execute(cell)
        frame = dm.played[0].data
        assert dm.result.name == "test of Gold"
        assert np.array_equal(dm.result.data, frame.mean(axis=0).astype(np.float32))
        assert dm.result.axes == (Axis(-8.0, 0.5, "um"),)
        assert dm.result.intensity.unit == "e-"
        assert dm.result.kind == 3


def test_line_is_in_frame_pixels():
    cell = program("{k: v for k, v in zip('abcd', info.line)} if info.line else dict.fromkeys('abcd', -1)")
    with Dm() as dm:
        running = dm.execute(cell)
        dm.microscope.draw_roi(4, 6, 20, 30)
        line = dm.microscope.draw_line(5, 20, 8.5, 21)
        dm.step()
        dm.microscope.delete_roi(line)
        dm.step()
        assert dm.measured.T.tolist() == [[-1] * 4, [16, -1, 17, 2.5], [-1] * 4], running.output


def test_rectangles_are_in_frame_pixels():
    cell = program("{k: v for k, v in zip('abcd', info.rois.get('roi 2', [-1] * 4))}")
    with Dm() as dm:
        running = dm.execute(cell)
        dm.microscope.draw_roi(4, 6, 20, 30)
        dm.microscope.draw_roi(10, 2, 16, 12)
        dm.step()
        assert dm.measured.T.tolist() == [[-1] * 4, [6, -4, 12, 6]], running.output


@pytest.mark.parametrize("kind", ["ring", None])
def test_script_has_the_mask_of_its_roi(kind):
    cell = program("info.roi.mask.sum() if info.roi else -1.0")
    roi = Roi.around("ring", [(9, 10), (9, 16), (12, 10)])
    text = script(cell, outline=roi.outline if kind else None)
    assert ("It looks at the ring in the first rectangular ROI" in text) == (kind == "ring")
    with Dm() as dm:
        running = dm.execute(text)
        dm.microscope.draw_roi(*roi)
        dm.step()
        assert dm.measured.tolist() == [[-1, roi.mask.sum() if kind else 12 * 12]], running.output


def test_other_rectangles_of_a_script_have_full_masks():
    cell = program("{k: info.rois[k].mask.sum() if k in info.rois else -1.0 for k in ('roi', 'roi 2')}")
    roi = Roi.around("ring", [(9, 10), (9, 16), (12, 10)])
    with Dm() as dm:
        running = dm.execute(script(cell, outline=roi.outline))
        dm.microscope.draw_roi(*roi)
        dm.microscope.draw_roi(2, 3, 7, 9)
        dm.step()
        assert dm.measured.T.tolist() == [[-1, -1], [roi.mask.sum(), 5 * 6]], running.output


def test_mask_is_in_scripts_that_use_it():
    assert "Outline" not in script(program("mask = frame > 3\nmask.sum()"))


def test_warning_is_printed_once():
    cell = program("print('too', 'dark')\nprint(info.index)\nframe.mean()")
    with Dm() as dm:
        running = dm.execute(cell)
        for _ in range(3):
            dm.step()
        said = [line for line in running.output if "running on" not in line]
        assert said == ["too dark", "0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("text", "reads"),
    [("info.line[0]", '"line"'), ("info.rois", '"rois"'), ("info.tags", '"tags"'), ("frame", "")],
)
def test_circumstances_are_read_if_used(text, reads):
    assert f"reads=[{reads}])" in script(program(text))


SWITCHES = [
    {"events": "queue"},
    {"references": "strong"},
    {"twice_per_frame": True},
    {"partial_frames": 4},
    {"partial_frames": 3, "events": "queue", "twice_per_frame": True},
    {"unregister_all": False, "version": (3, 52, 1)},
    {"unit_bytes": False},
    {"create_image": "none"},
    {"stale_persistent": False, "version": (3, 43, 3213)},
    {"threads": "frozen"},
    {"scipy_in_background": False},
    {"argv": "empty"},
    {"argv": "missing"},
    {"writable_cwd": True},
]


@pytest.mark.exhaustive(cover=1)
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("text", [SERIES, IMAGE, COLOUR], ids=["series", "image", "colour"])
def test_works_in_every_kind_of_gms(text, switches):
    cell = program(text)
    here = Instance(cell)
    with Dm(recording(unit="\u00b5m"), **switches) as dm:
        running = dm.execute(cell)
        for i, frame in enumerate(dm.played):
            if i:
                dm.step()
            wanted = here.process(frame.data, frame.info)
            if wanted.kind == "scalar":
                values = list(wanted.series.values())
                assert dm.measured.shape[1] == i + 1  # each frame exactly once
                assert np.allclose(dm.measured[:, i], values, rtol=1e-6)
            else:
                assert np.array_equal(dm.result.data, wanted.values), i
        assert len(running.output) == 1, running.output
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "stopped, the live view was closed. 10 frames processed, 0 dropped." in running.output[-1]


def test_impossible_image_is_reported_once():
    with Dm(create_image="none") as dm:
        module = dm.microscope._module
        create, module.CreateImage = module.CreateImage, lambda _array: None
        running = dm.execute(program(PROFILE))
        dm.step()
        assert [line for line in running.output if "cannot create an image of shape (40,)" in line]
        assert sum("cannot create" in line for line in running.output) == 1
        module.CreateImage = create
        dm.step()
        assert dm.result.data.shape == (40,)


def test_frame_is_read_only():
    with Dm() as dm:
        running = dm.execute(program("frame[0] = 1\nframe"))
        assert "read-only" in running.output[0]
        assert not dm.results()


def test_every_frame_of_a_counting_camera_is_processed():
    """A disc of 2 electrons per pixel, and nothing around it."""
    random = np.random.default_rng(3)
    y, x = np.ogrid[:1024, :1024]
    disc = (y - 515) ** 2 + (x - 507) ** 2 < 20**2
    frames = [(disc * random.poisson(2, disc.shape)).astype(np.uint8) for _ in range(60)]
    played = InMemoryRecording([Frame(data, i, float(i), source="Gold") for i, data in enumerate(frames)])
    with Dm(played) as dm:
        running = dm.execute(program("int(frame.astype(int)[::7].sum() * 1000 + frame[515, 507])"))
        for _ in frames[1:]:
            dm.step()
        sums = [float(np.float32(f.astype(int)[::7].sum() * 1000 + f[515, 507])) for f in frames]
        assert dm.measured[0].tolist() == sums
        dm.microscope.close_view()
        dm.microscope.settle()
        assert running.output[-1].endswith("60 frames processed, 0 dropped.")


def test_unsure_events_are_counted():
    with Dm(recording(20, shape=(64, 64))) as dm:
        running = dm.execute(program(SCALAR))
        view = dm.microscope._scripts.value("dmlink: scripts that run")["test"]
        for _ in range(2):
            dm.step()
        view.look(announced=True)  # an event without a new frame
        dm.step()
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "0 dropped. Events that may have been incomplete frames: 1." in running.output[-1], (
            running.output
        )


# What the user does at the microscope


def test_roi_limits_what_is_processed():
    cell = program("Profile(frame.mean(axis=0), scale=info.scale, origin=info.origin, unit=info.unit)")
    with Dm() as dm:
        dm.microscope.draw_line(0, 0, 5, 5)
        roi = dm.microscope.draw_roi(4, 8, 12, 24)
        dm.execute(cell)
        assert np.array_equal(dm.result.data, dm.played[0].data[4:12, 8:24].mean(axis=0).astype("f4"))
        assert dm.result.axes == (Axis(-4.0, 0.5, "nm"),)
        dm.microscope.move_roi(roi, -5, 30, 12, 60)  # partly outside
        dm.step()
        assert np.array_equal(dm.result.data, dm.played[1].data[0:12, 30:40].mean(axis=0).astype("f4"))
        dm.microscope.delete_roi(roi)
        dm.step()
        assert np.array_equal(dm.result.data, dm.played[2].data.mean(axis=0).astype("f4"))
        assert dm.result.axes == (Axis(-8.0, 0.5, "nm"),)


def test_exposure_and_binning_are_known():
    with Dm() as dm:
        dm.microscope.restart_view(binning=2, exposure=0.125)
        dm.step()
        running = dm.execute(program("info.tags"))
        assert dm.result.data[:, 0].tolist() == [0.125, 2.0], running.output


def test_binning_opens_new_window_and_state():
    cell = program("state['n'] = state.get('n', 0) + 1\nImage(frame * 0 + state['n'], scale=info.scale)")
    with Dm() as dm:
        dm.execute(cell)
        dm.step()
        assert dm.result.data.max() == 2
        dm.microscope.restart_view(binning=2, new_image=False)
        dm.step()
        assert dm.result.data.shape == (12, 20)
        assert dm.result.data.max() == 1
        assert dm.result.axes[0].scale == 1.0


def test_new_view_ends_the_script():
    with Dm() as dm:
        running = dm.execute(program(SCALAR))
        dm.microscope.restart_view(binning=2, new_image=True)
        assert "stopped, the live view was closed" in running.output[-1]
        before = dm.result.updates
        dm.step()
        assert dm.result.updates == before
        assert "running on Gold" in dm.execute(program(SCALAR)).output[-1]


def test_closing_the_result_ends_the_script():
    with Dm() as dm:
        running = dm.execute(program(IMAGE))
        dm.microscope.close_window("test of Gold")
        dm.step()
        assert "stopped, its window was closed. 1 frames processed" in running.output[-1]
        dm.step()
        assert not dm.results()
        assert len(running.output) == 2


def test_failing_cleanup_still_ends():
    def fail(*_):
        raise RuntimeError("DM does not want to")

    with Dm() as dm:
        dm.microscope._module.Py_ScriptObject.UnregisterAllListeners = fail
        dm.execute(program(SERIES))
        delete, dm.microscope._module.DeleteImage = dm.microscope._module.DeleteImage, fail
        running = dm.execute(program(SERIES))
        dm.microscope._module.DeleteImage = delete
        assert "running on Gold" in running.output[-1]
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "stopped, the live view was closed" in running.output[-1]


def test_click_during_colours_is_harmless():
    with Dm() as dm:
        execute = dm.microscope._module.ExecuteScriptString

        def clicked(text):
            execute(text)
            if "ShowImage" in text:
                dm.microscope.click_view()

        dm.microscope._module.ExecuteScriptString = clicked
        dm.execute(program(COLOUR))
        dm.microscope._module.ExecuteScriptString = execute
        dm.step()
        shown = {window.name: window.data.shape for window in dm.microscope.windows()}
        assert (shown["Gold"], shown["test of Gold"]) == ((24, 40), (24, 40, 3))


THEIRS = """
import numpy as np
planes = [DM.CreateImage(np.full((24, 40), 9, np.uint8)) for _ in range(3)]
labels = ", ".join(plane.GetLabel() for plane in planes)
DM.ExecuteScriptString(f"rgb({labels}).ShowImage()")
DM.GetFrontImage().SetName("Theirs")
for plane in planes:
    DM.DeleteImage(plane)
del planes, plane
"""


def test_colour_image_in_front_stays_theirs():
    def theirs():
        return [(w.name, set(w.data.ravel())) for w in dm.microscope.windows() if w.data.max() == 9]

    with Dm() as dm:
        dm.microscope.run_script(THEIRS, background=False).join()
        dm.microscope.click_view()
        module = dm.microscope._module
        execute = module.ExecuteScriptString

        def clicked(text):
            execute(text)
            if "ShowImage" in text:
                module.FindImageByName("Theirs").ShowImage()

        module.ExecuteScriptString = clicked
        running = dm.execute(program(COLOUR))
        dm.step()
        assert dm.results()["test of Gold"].data.max() > 9
        assert theirs() == [("Theirs", {9})]
        dm.microscope.click_view()
        dm.execute(program(COLOUR))
        assert theirs() == [("Theirs", {9})]
        assert len(dm.results()) == 2, running.output


def test_refused_colours_leave_no_windows():
    with Dm() as dm:
        module = dm.microscope._module
        find, module.FindImageByID = module.FindImageByID, lambda _number: None
        running = dm.execute(program(COLOUR))
        for _ in range(3):
            dm.step()
        module.FindImageByID = find
        assert not dm.results()
        assert sum("cannot create an image of shape (24, 40, 3)" in line for line in running.output) == 1


def test_running_again_replaces_the_first():
    with Dm() as dm:
        first = dm.execute(program(SERIES))
        dm.step()
        second = dm.execute(program(SERIES).with_values(gain=5))  # now a result is in front, not the view
        assert second.output == [
            "test: stopped, it was executed again. 2 frames processed, 0 dropped.",
            "test: running on Gold. Close the live view or the result to stop it.",
        ]
        for i in (2, 3):
            dm.step()
            assert dm.measured[0, i - 1] == np.float32(5 * dm.played[i].data.mean())
        assert len(first.output) == 1
        assert len(second.output) == 2


def test_two_scripts_run_side_by_side():
    """All scripts in DM share their global names; these two use the same names differently."""

    def made(name, n):
        return script(
            program(
                """
                import functools
                from dataclasses import dataclass

                level: float = 1.0
                kernel = Kernel(level)
                {"plain": helper(frame), "property": kernel.area, "static": Kernel.unit(), "cached": cached(),
                 "default": kernel.scaled()}
                """,
                name,
                **definitions(n),
            ).with_values(level=float(n))
        )

    def definitions(n):
        text = textwrap.dedent(f"""
            import functools
            from dataclasses import dataclass
            OFFSET = {n}

            def helper(frame):
                return float(frame.min() * 0 + OFFSET)

            @dataclass
            class Kernel:
                size: float
                offset: int = OFFSET

                @property
                def area(self):
                    return helper_two() * self.size

                @staticmethod
                def unit():
                    return OFFSET

                def scaled(self):
                    return self.offset * OFFSET

            def helper_two():
                return OFFSET

            @functools.lru_cache(maxsize=None)
            def cached():
                return helper_two() + OFFSET
        """)
        return defined(text)

    with Dm() as dm:
        for name, n in (("one", 1), ("two", 20)):
            dm.execute(made(name, n))
        for _ in range(3):
            dm.step()
        one, two = (measured(dm.results()[f"{name} of Gold"])[:, 3].tolist() for name in ("one", "two"))
        assert one == [1, 1, 1, 2, 1]
        assert two == [20, 400, 20, 40, 400]


def test_parameter_may_shadow_an_import():
    names = ("time", "zlib", "traceback", "math", "ImageWindow", "start", "name", "version", "axis")
    text = "".join(f"{name}: float = {i}.0\n" for i, name in enumerate(names))
    with Dm() as dm:
        running = dm.execute(program(text + "[" + ", ".join(names) + "]"))
        assert dm.result.data.tolist() == [float(i) for i in range(len(names))], running.output


def test_error_is_printed_once_with_line():
    cell = program("values = frame.mean()\nif frame[0, 0] >= 0:\n    values[3]\nvalues")
    text = script(cell)
    with Dm() as dm:
        running = dm.execute(text)
        for _ in range(5):
            dm.step()
        line = text.splitlines().index("        values[3]") + 1
        errors = [said for said in running.output if "Error" in said]
        assert len(errors) == 1
        assert errors[0].startswith(f"test: frame 0, line {line} of the script: IndexError: ")
        dm.microscope.close_view()


def test_library_error_names_calling_line():
    text = script(program("import numpy as np\n\nnp.linalg.inv(frame)"))
    with Dm() as dm:
        running = dm.execute(text)
        line = text.splitlines().index("    return np.linalg.inv(frame)") + 1
        assert f"line {line} of the script: numpy.linalg.LinAlgError: " in running.output[0]


def test_sys_exit_does_not_leave_dm():
    with Dm() as dm:
        running = dm.execute(program("import sys\nsys.exit(1)"))
        assert "SystemExit" in running.output[0]


def test_script_continues_after_an_error():
    with Dm() as dm:
        dm.execute(program("state['n'] = state.get('n', 0) + 1\n1 / (state['n'] - 2)"))
        for _ in range(3):
            dm.step()
        assert dm.measured[0].tolist() == [-1.0, 1.0, 0.5]


def test_strip_chart_shows_what_was_measured():
    with Dm(recording(20)) as dm:
        dm.execute(program("state['n'] = state.get('n', 0) + 1\nstate['n']"))
        for n in range(1, 30):
            shown = dm.result.data[0]
            assert set(shown.tolist()) == set(range(1, n + 1))
            assert (np.diff(shown) >= 0).all()
            assert dm.measured[0].tolist() == list(range(1, n + 1))
            dm.step()
        assert dm.result.axes[0].unit == "frames"
        assert dm.result.updates == 31  # in one window


def test_full_strip_chart_scrolls():
    chart = Chart(2, 5)
    for i in range(8):
        chart.add([i, -i])
    assert chart.columns.tolist() == [[3, 4, 5, 6, 7], [-3, -4, -5, -6, -7]]
    assert chart.axis == Axis(3.0, 1.0, "frames")


def test_slow_script_counts_dropped_frames(clock):
    with Dm() as dm:
        text = script(program("import time\ntime.sleep(0.6)\nframe.mean()"))
        running = dm.execute(clocked(text.replace("time.sleep(0.6)", "time.stopped.now += 0.6")))
        dm.step(rest=0)  # now it pauses for as long as it has worked
        clock.now += 0.5
        dm.step(rest=0)
        assert dm.measured.shape == (1, 1)
        clock.now += 0.2
        dm.step(rest=0)
        assert dm.measured[0, 1] == np.float32(dm.played[3].data.mean())
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "2 frames processed, 2 dropped" in running.output[-1]


@pytest.mark.parametrize("version", [(3, 50, 1), (3, 51, 2)])
def test_crashing_gms_is_refused(version):
    with Dm(version=version) as dm:
        running = dm.execute(program(SCALAR))
        assert running.output == [
            "test: GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
        ]
        dm.step()
        assert not dm.results()


def test_missing_live_view_is_reported():
    with Dm() as dm:
        dm.microscope.close_view()
        assert "there is no live view" in dm.execute(program(SCALAR)).output[0]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("'mean ' + str(frame[0, 0])", "mean {}"),
        ("Table({'first': frame[0, :1]})", "first\n{:>5}"),
        ("[{'first': int(frame[0, 0])}]", "first\n{:>5}"),
    ],
    ids=["text", "table", "list of dicts"],
)
def test_text_is_printed_now_and_then(clock, text, printed):
    with Dm() as dm:
        running = dm.execute(clocked(script(program(text))))
        for _ in range(5):
            clock.now += 0.1
            dm.step(rest=0)
        first = printed.format(dm.played[0].data[0, 0]).split("\n")
        assert running.output[:-1] == ["test, frame 0:", *first]
        assert not dm.results()
        clock.now += 1.0
        dm.step(rest=0)
        last = printed.format(dm.played[6].data[0, 0]).split("\n")
        assert running.output[-1 - len(last) :] == ["test, frame 6:", *last]


def test_works_in_the_background():
    with Dm() as dm:
        running = dm.microscope.run_script(script(program(SCALAR)), background=True)
        running.wait_for("running on Gold")
        dm.shows(0, 0)
        dm.step()
        dm.shows(1, 1)
        dm.microscope.close_view()
        running.join()
        assert "stopped, the live view was closed. 2 frames processed" in running.output[-1]


def test_polls_when_no_events_come():
    with Dm(events="none") as dm:
        running = dm.microscope.run_script(script(program(SCALAR)), background=True)
        running.wait_for("running on Gold")
        dm.shows(0, 0)
        for i in (1, 2, 3):
            dm.step()
            dm.shows(i, i)
        running.stop()
        running.join()
        assert "stopped, its script was stopped. 4 frames processed, 0 dropped" in running.output[-1]


def test_title_of_a_name_is_ascii():
    with Dm(recording(name="Gr\u00f6\u00dfe")) as dm:
        dm.execute(program(SCALAR, "\u00b5-phase"))
        assert "u-phase of Gr??e" in [window.name for window in dm.microscope.windows()]


# The text


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_script_is_python_3_7(text):
    made = script(program(text))
    ast.parse(made, feature_version=(3, 7))
    assert made.isascii()
    assert requirements.versions(made) == []


def test_newer_syntax_is_named_with_lines():
    cell = program("""
        import math
        if (n := int(frame.mean())) > 3:
            n = math.prod([n])
        match n:
            case 3: n = np.trapezoid([1, 2])
        f"{n=}" and n
    """, np=np)  # fmt: skip
    lines = script(cell).splitlines()
    (python,) = [line for line in lines if line.startswith("Needs: Python 3.10 (GMS 3.6 or later): ")]
    (numpy,) = [line for line in lines if line.startswith("Needs: NumPy 2 (GMS 3.6 has 1.23): ")]
    named = re.findall(r"(?:, |later\): )([^,:]+) \(line (\d+)\)", python)
    found = {what: lines[int(number) - 1].strip() for what, number in named}
    assert found["named expressions"] == "if (n := int(frame.mean())) > 3:"
    assert found["'math.prod' member"] == "n = math.prod([n])"
    assert found["pattern matching"] == "match n:"
    assert found["self-documenting f-strings"] == 'return f"{n=}" and n'
    assert "np.trapezoid" in numpy
    assert "newer than GMS 3.6 has" in script(program("try:\n    n = 1\nexcept* ValueError:\n    n = 2\nn"))


def test_newer_call_is_found_beside_decode():
    (said,) = requirements.versions("x = b'3'.decode()\ny = 'x'.encode().decode()\nz = (w := 3)")
    assert said.endswith("named expressions (line 3)")


def test_packages_to_install_are_named():
    made = script(program("import scipy.fft, skimage\nfrom PIL import Image\nscipy.fft.fft(frame)"))
    assert "GMS_VENV_PYTHON: pip install pillow scikit-image scipy.\n" in made
    assert "Needs: NumPy, which comes with GMS.\n" in script(program("import math\nmath.pi"))


def test_cells_name_wins_over_result():
    with Dm() as dm:
        running = dm.execute(program("from math import pi as Image\nImage"))
        assert dm.result.data[0, 0] == np.float32(np.pi), running.output


def test_only_results_import_from_dmlink():
    made = script(program("from dmlink import Profile\nProfile(frame[0])"))
    assert "import Profile" not in made
    with Dm() as dm:
        dm.execute(made)
        assert np.array_equal(dm.result.data, dm.played[0].data[0])
    for text in ("import dmlink\ndmlink.Profile(frame[0])", "x = 1\nfrom dmlink import connect\nconnect()"):
        with pytest.raises(ValueError, match=r"^line \d: '.*' cannot be exported: there is no dmlink"):
            script(program(text))


def test_early_use_of_a_result_is_refused():
    inside = defined("def f(values):\n    return Profile(values)\n")
    with Dm() as dm:
        running = dm.execute(program("f(frame[0])", **inside))
        assert dm.result.data.tolist() == dm.played[0].data[0].tolist(), running.output
    default = defined(
        "from dmlink import Axis\ndef f(values, axis=Axis(0, 2)):\n    return values * axis.scale\n"
    )
    with pytest.raises(ValueError, match=r"need Axis when executed, which cannot be exported"):
        script(program("f(frame[0])", **default))


def test_cell_text_is_unchanged():
    above, below = script(program(RADIAL_PROFILE, "radial_profile", **defined(RINGS))).split(BELOW)
    assert above.startswith('"""radial_profile: processes every frame of the live view')
    assert "n_bins = 32  # 16 to 256 in steps of 16: points of the profile\n" in above
    assert '"""Average `power` (half of a spectrum)' in above
    assert "noqa" not in below
    assert "type: ignore" not in below
    assert "class Chart" not in below  # it returns no number
    assert max(map(len, (above + below).splitlines())) <= 120


def test_files_are_taken_whole():
    below = script(program("Points([[1, 2]]), frame.mean()")).split(BELOW)[1]
    for file in (
        "results",
        "gms",
        "whole_frames",
        "windows",
        "script.marks",
        "script.numbers",
        "script.live",
    ):
        assert textwrap.indent(bundle.part(file).body, "    ") in below
    for file in ("memory", "script.profiles", "script.words", "script.arrays", "script.batch"):
        assert bundle.part(file).doc.splitlines()[0] not in below


def test_files_share_no_name():
    shown = {file for files in mechanics.RESULT_FILES.values() for file in files}
    for target, first in mechanics.FIRST.items():
        files = [*first, *shown, "memory", "script.arrays", mechanics.LAST[target]]
        named = [
            name
            for file in files
            for node in ast.parse(bundle.part(file).body).body
            for name in [
                getattr(node, "name", None),
                *(getattr(t, "id", None) for t in getattr(node, "targets", [])),
            ]
            if name
        ]
        assert sorted(named) == sorted(set(named))


GOLDEN_CELLS = {
    "radial_profile": RADIAL_PROFILE,
    "mean": "scale: (0.5, 2.0) = 1.0  # of the mean\n\nscale * frame.mean()",
    "brightest": """
        n: (1, 50) = 5  # how many points

        order = np.argsort(frame, axis=None)[-n:]
        yx = np.column_stack(np.unravel_index(order, frame.shape))
        Points(yx)
    """,
}


@pytest.mark.parametrize("name", GOLDEN_CELLS)
def test_golden_scripts_are_current(name, tmp_path):
    """Renew them with DMLINK_WRITE_GOLDEN=1 python -m pytest tests/script/test_export.py -k golden."""
    cell = program(GOLDEN_CELLS[name], name, **defined(f"import numpy as np\n{RINGS}"))
    path = GOLDEN / f"{name}_dm.py"
    if os.environ.get("DMLINK_WRITE_GOLDEN"):
        path.write_text(script(cell), encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == script(cell)
    assert check(path, recording(), cell).equal
    py_compile.compile(str(path), cfile=str(tmp_path / "x.pyc"), doraise=True)
    vermin = [str(Path(sys.executable).with_name("vermin")), "-t=3.7", "--violations", "--no-tips", str(path)]
    done = subprocess.run(vermin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", RESULTS.values(), ids=RESULTS)
def test_every_result_is_equal_in_dm(tmp_path, text):
    cell = Program.from_cell(text, "test")
    path = export(cell, tmp_path / "script.py")
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    comparison = check(path, recording(4), cell)
    assert comparison.equal, comparison


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nlink.roi", "line 2: name 'link' is not defined"),
        ("x = 1\ndisplay(frame)", "line 2: 'display' belongs to the notebook"),
        ("x = 1\nslider.value", "line 2: 'slider' is an object"),
        ("x = 1\nfile.read()", "line 2: 'file' is an open file"),
        (
            "x = 1\ndata = np.load('dark.npy')\nframe - data",
            "line 2: DigitalMicrograph would look for 'dark.npy' in",
        ),
        (
            "x = 1\nwith open('a/b.txt') as f: x = f.read()\nx",
            "line 2: DigitalMicrograph would look for 'a/b.txt' in",
        ),
        ("x = 1\nimport ipywidgets as w\nw.IntSlider().value", "line 2: 'import ipywidgets as w' belongs to"),
        ("x = isinstance(frame, Image)\nx", "line 1: Image can only be called in a script"),
    ],
)
def test_unsupported_code_has_its_line(tmp_path, text, said):
    with (tmp_path / "open").open("w") as file, pytest.raises(ValueError, match=re.escape(said)):
        export(
            Program.from_cell(text, "test", {"np": np, "file": file, "slider": Unknown()}), tmp_path / "x.py"
        )
    assert not (tmp_path / "x.py").exists()


class Unknown:
    value = 3


# The file, and the command


def test_existing_file_is_kept(tmp_path):
    path = export(program(SCALAR), tmp_path / "script.py")
    with pytest.raises(FileExistsError, match=r"script\.py exists\. .*overwrite=True"):
        export(program(PROFILE), path)
    assert "frame.mean() / 3" in path.read_text()
    export(program(PROFILE), path, overwrite=True)
    assert "frame.mean() / 3" not in path.read_text()


def test_other_arrays_are_kept(tmp_path):
    cell = program("frame - dark[:24, :40]", dark=np.random.default_rng(3).random((700, 700)))
    path, theirs = tmp_path / "script.py", tmp_path / "script.npz"
    theirs.write_bytes(b"theirs")
    for exists in (False, True):
        if exists:
            path.write_text("theirs")
        with pytest.raises(
            FileExistsError, match=r"script\.npz exists and .*Move it, or choose another name"
        ):
            export(cell, path, overwrite=True)
        assert theirs.read_bytes() == b"theirs"
        assert path.exists() == exists
    theirs.unlink()
    export(cell, path, overwrite=True)
    before = theirs.stat().st_mtime_ns
    export(cell, path, overwrite=True)  # now they are the script's own
    assert theirs.stat().st_mtime_ns > before


def test_refused_export_leaves_no_file(tmp_path):
    dark = np.random.default_rng(3).random((700, 700))
    cell = program("import ipywidgets\nframe - dark[:24, :40]", dark=dark)
    with pytest.raises(ValueError, match="belongs to notebooks"):
        export(cell, tmp_path / "script.py")
    (tmp_path / "theirs.py").write_text("theirs")
    with pytest.raises(FileExistsError, match=r"theirs\.py exists"):
        export(program("frame - dark[:24, :40]", dark=dark), tmp_path / "theirs.py")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.py"]


def test_text_is_exported_as_a_cell(tmp_path):
    path = export("frame.mean()", tmp_path / "mean.py")
    assert 'process_live_view("mean", ' in path.read_text()
    with pytest.raises(ValueError, match="'np' is not defined"):
        export("np.mean(frame)", tmp_path / "other.py")
    with pytest.raises(ValueError, match="'other' is not a target"):
        export("frame.mean()", tmp_path / "other.py", "other")
    assert not (tmp_path / "other.py").exists()


def test_command_exports_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mean.py").write_text("gain: (0, 9) = 2\ngain * frame.mean()\n")
    assert main(["export", "mean.py"]) == 0
    assert "mean_dm.py. Open it in a script window" in capsys.readouterr().out
    cell = program(Path("mean.py").read_text(), "mean")
    assert check("mean_dm.py", recording(), cell).equal
    assert main(["export", "mean.py"]) == 1
    assert "mean_dm.py exists" in capsys.readouterr().err
    assert main(["export", "mean.py", "--overwrite", "-o", "mean_dm.py"]) == 0
    Path("nothing.py").write_text("x = frame.mean()\n")
    assert main(["export", "nothing.py"]) == 0
    assert (
        "Note: The cell's last line is not an expression, so there is no result." in capsys.readouterr().out
    )


def test_command_error_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text("frame.mean(\n")
    Path("bytes.py").write_bytes(b"\xff\xfe")
    Path("undefined.py").write_text("x = 1\nsigma * frame.mean()\n")
    for arguments, said in (
        (["missing.py"], "missing.py"),
        (["wrong.py"], "line 1"),
        (["undefined.py"], "line 2: name 'sigma' is not defined"),
        (["bytes.py"], "bytes.py is not a cell's text in UTF-8: invalid start byte at byte 0"),
    ):
        assert main(["export", *arguments]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.startswith("dmlink: ")
        assert len(error.splitlines()) == 1


def test_check_beside_a_microscope_is_refused(tmp_path):
    path = export(program(SCALAR), tmp_path / "script.py")
    with Dm(), pytest.raises(RuntimeError, match="close the other Microscope first"):
        check(path, recording(), program(SCALAR))
    assert not [t for t in threading.enumerate() if t.name.startswith("dm-")]


# Several kinds of result


def test_waterfall_widens_over_time():
    with Dm(recording(20, shape=(4, 6))) as dm:
        dm.execute(program("Profile(frame[0], scale=0.5, unit='nm')"))
        for _ in range(299):
            dm.step()
        history = dm.results()["test in time of Gold"]
        assert history.data.shape == (6, 512)
        assert all(np.array_equal(history.data[:, i], dm.played[i % 20].data[0]) for i in range(300))
        assert (history.data[:, 300:] == dm.played[256 % 20].data[0].min()).all()
        assert history.axes == (Axis(0.0, 1.0, "frames"), Axis(0.0, 0.5, "nm"))


def test_marks_replace_those_before():
    text = "Boxes([[info.index, 2, 3 + info.index, 9]] * (1 + info.index % 2), labels=None)"
    with Dm() as dm:
        dm.microscope.draw_roi(4, 8, 12, 24)
        running = dm.execute(program(text))

        def marks():
            return next(w for w in dm.microscope.windows() if w.name == "Gold").marks

        for i in range(5):
            assert marks() == ((5, (4.0 + i, 10.0, 7.0 + i, 17.0)),) * (1 + i % 2), running.output
            dm.step()
        assert not dm.results()
        running = dm.execute(program("Points([[3, 4]], labels=['\u00b5'])"))
        assert running.output[0].startswith("test: stopped")
        assert marks() == ((5, (4.5, 9.5, 10.5, 15.5)), (13, (10.5, 9.5, 22.5, 15.5)))


def test_user_annotations_stay():
    with Dm() as dm:
        dm.microscope.run_script(
            "DM.GetFrontImage().GetImageDisplay(0).AddNewComponent(5, 1, 1, 2, 2)", background=False
        ).join()
        dm.execute(program("Points([[info.index + 5, 8]])"))
        for _ in range(3):
            dm.step()
        view = next(w for w in dm.microscope.windows() if w.name == "Gold")
        assert [place for _, place in view.marks] == [(1, 1, 2, 2), (5.5, 5.5, 11.5, 11.5)]


@pytest.mark.parametrize("annotations", ["refused", "kept"])
@pytest.mark.parametrize(
    "marks", ["Points([[3, 4], [7, 8]], labels='ab')", "Overlay(frame, Boxes([[1, 2, 3, 4]]))"]
)
def test_unremovable_marks_do_not_pile_up(annotations, marks):
    with Dm(annotations=annotations) as dm:
        running = dm.execute(program(f"{{'marks': {marks}, 'mean': frame.mean() / 3}}"))
        drawn = [window.marks for window in dm.microscope.windows()]
        for _ in range(4):
            dm.step()
        assert [window.marks for window in dm.microscope.windows()] == drawn
        assert sum("annotations cannot be removed here" in line for line in running.output) == 1
        assert not [line for line in running.output if "Error" in line]
        means = measured(dm.results()["test mean of Gold"])[0]
        assert np.array_equal(means, [np.float32(dm.played[i].data.mean() / 3) for i in range(5)])


def test_user_may_edit_annotations():
    with Dm() as dm:
        running = dm.execute(program("Points([[3, 4 + info.index], [7, 8]])"))
        workspace = dm.microscope._workspace
        display = workspace.display_of(next(i for i in workspace.living_images() if i.live))
        del display.components[0]
        dm.step()
        dm.microscope.run_script(
            "DM.GetFrontImage().GetImageDisplay(0).AddNewComponent(5, 1, 1, 2, 2)", background=False
        ).join()
        dm.step()
        view = next(w for w in dm.microscope.windows() if w.name == "Gold")
        assert sorted(place for _, place in view.marks) == [
            (0.5, 3.5, 6.5, 9.5), (1, 1, 2, 2), (4.5, 5.5, 10.5, 11.5)
        ]  # fmt: skip
        assert len(running.output) == 1


@pytest.mark.usefixtures("clock")
def test_memory_does_not_grow():
    with Dm(recording(7, shape=(4, 4))) as dm:
        dm.execute(clocked(script(program("Profile(frame[0])"))))  # its clock stands: it takes all frames
        for i in range(1, 3100):
            dm.step(rest=0)
            if i in (2047, 2048, 3099):
                history = dm.results()["test in time of Gold"]
                assert history.data.shape == (4, 2048)
                assert len(dm.microscope._workspace.living_images()) == 3
                assert history.axes[0].origin == {2047: 0, 2048: 1024, 3099: 2048}[i]
                newest = int(i - history.axes[0].origin)
                assert np.array_equal(history.data[:, newest], dm.played[i % 7].data[0])


@pytest.mark.parametrize("switches", [{}, {"partial_frames": 4}])
@pytest.mark.parametrize("below", [0, np.arange(SHAPE[1])], ids=["masked", "of an earlier scan"])
def test_dead_rows_are_not_waited_for(switches, below):
    frames = recording(8)
    scanned = [
        dataclasses.replace(f, data=np.where(np.arange(24)[:, None] < 17, f.data, below)) for f in frames
    ]
    with Dm(InMemoryRecording(scanned), **switches) as dm:
        dm.execute(program("Image(frame)"))
        for _ in range(6):
            dm.step()
        shown = dm.result.data
        assert any(np.array_equal(shown, frame.data) for frame in scanned[4:7])


def test_script_with_marks_ends():
    with Dm() as dm:
        running = dm.execute(program('{"mean": frame.mean(), "spot": Points([[3, 4]])}'))
        dm.step()
        for title in dm.results():
            dm.microscope.close_window(title)
        dm.step()
        assert "stopped, its window was closed" in running.output[-1]


# Arrays of the notebook, and the version of GMS


def test_arrays_are_in_the_script_or_beside_it(tmp_path):
    random = np.random.default_rng(2)
    for n, beside in ((40, False), (800, True)):  # the larger one takes 5 MB
        weights = random.random((n, n))
        mask = random.random((24, 40)) > 0.5
        cell = program("Image(frame * mask + weights[:24, :1])", weights=weights, mask=mask)
        path = export(cell, tmp_path / f"script{n}.py")
        assert path.with_suffix(".npz").exists() == beside
        assert len(path.read_text()) < 200_000
        assert check(path, recording(4), cell).equal
        back = dmlink.read_script(path)
        assert back.source == cell.source
        assert np.array_equal(back.program.arrays["weights"], weights)
        assert script(back.program) == script(cell)
    with pytest.raises(FileExistsError, match=r"script800\.py exists"):
        export(cell, path)
    moved = path.with_suffix(".npz").rename(tmp_path / "moved.npz")
    assert f'DATA_FILE = r"{path.with_suffix(".npz")}"\n' in path.read_text()
    path.write_text(path.read_text().replace("script800.npz", moved.name))
    assert check(path, recording(4), cell).equal


def test_too_old_gms_is_refused_with_line(tmp_path):
    cell = program("a = 1\nif (n := int(frame.mean())) > 3:\n    n = 0\nn")
    for gms, python in (("3.4", "3.7"), ("3.5", "3.7")):
        with pytest.raises(
            ValueError, match=rf"^line 2: named expressions needs Python 3\.8; GMS {gms} has Python {python}"
        ):
            export(cell, tmp_path / "script.py", gms=gms)
    assert not (tmp_path / "script.py").exists()
    export(cell, tmp_path / "script.py", gms="3.6")
    with pytest.raises(ValueError, match=r"GMS '2\.3' is not known; choose one of 3\.4, 3\.5, 3\.6"):
        export(cell, tmp_path / "other.py", gms="2.3")


def test_unknown_result_is_reported_once():
    text = script(program("Profile(frame[0])")).replace("return Profile(frame[0])", "return frame.mean()")
    with Dm() as dm:
        running = dm.execute(text)
        dm.step()
        assert sum("cannot show a scalar: export the cell again." in line for line in running.output) == 1
    text = script(program("Profile(frame[0]), frame.mean()")).replace("frame.mean()", "'words'")
    with Dm() as dm:
        running = dm.execute(text)
        dm.step()
        assert sum("cannot show a text: export the cell again." in line for line in running.output) == 1
