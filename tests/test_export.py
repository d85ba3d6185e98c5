"""An exported script does in DigitalMicrograph what the cell does in the notebook, and disturbs nobody."""

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

import numpy as np
import pytest

import dmlink
from dmlink import gallery, needs
from dmlink.check import Played, check
from dmlink.cli import main
from dmlink.export import BELOW, export, script
from dmlink.frame import Axis, Frame
from dmlink.program import Instance, Program
from dmlink.simulator import Microscope

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
SHAPE = (24, 40)

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


def recording(n=10, unit="nm", shape=SHAPE, dtype=np.uint16, name="Gold"):
    numbers = np.random.default_rng(5).integers(0, 400, (n, *shape)).astype(dtype)
    x, y = Axis(-8.0, 0.5, unit), Axis(-4.0, 0.5, unit)
    return Played([Frame(data, i, float(i), y, x, source=name) for i, data in enumerate(numbers)])


def program(text, name="test", **namespace):
    return Program.from_cell(textwrap.dedent(text).strip("\n"), name, namespace)


def defined(text):
    """Return what a notebook cell with this text defines."""
    names = {"np": np, "__name__": "__main__"}
    filename = f"<definitions {hash(text)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), names)  # noqa: S102
    return names


class Dm:
    """A simulated DigitalMicrograph whose user executes scripts and steps the camera."""

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
        running.join(30)
        self.microscope.settle()
        return running

    def step(self, rest=None):
        """Bring the next frame to the screen, after the scripts have rested as long as they have worked."""
        time.sleep(time.perf_counter() - self._began if rest is None else rest)
        self._began = time.perf_counter()
        self.microscope.camera.step()
        self.microscope.settle()

    def shows(self, column, frame):
        """Wait until the strip chart shows a third of the mean of this frame."""
        value = np.float32(self.played[frame].data.mean() / 3)
        self.microscope.wait_until(
            lambda: self.results() and self.result.data[0, column] == value, 10, f"frame {frame}"
        )

    def results(self):
        """Return the windows of results by title."""
        windows = [w for w in self.microscope.windows() if w.name != self.played.name]
        assert len({w.name for w in windows}) == len(windows), "two windows of one script"
        return {w.name: w for w in windows}

    @property
    def result(self):
        """The one result's window, without that of its history."""
        (window,) = [w for w in self.results().values() if " in time of " not in w.name]
        return window


# The same as the cell


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_the_script_shows_what_the_cell_gives_frame_by_frame(tmp_path, text):
    cell = program(text)
    comparison = check(export(cell, tmp_path / "script.py"), recording(), cell)
    assert len({c.frame for c in comparison}) == 10
    assert comparison.equal, comparison
    assert max(c.difference for c in comparison) == 0


def test_the_window_has_the_values_the_axes_and_the_units():
    cell = program(PROFILE)
    with Dm(recording(unit="\u00b5m")) as dm:
        dm.execute(cell)
        frame = dm.played[0].data
        assert dm.result.name == "test of Gold"
        assert np.array_equal(dm.result.data, frame.mean(axis=0).astype(np.float32))
        assert dm.result.axes == (Axis(-8.0, 0.5, "um"),)
        assert dm.result.intensity.unit == "e-"
        assert dm.result.kind == 3


def test_a_script_gets_the_line_that_is_drawn_in_pixels_of_its_frame():
    cell = program("{k: v for k, v in zip('abcd', info.line)} if info.line else dict.fromkeys('abcd', -1)")
    with Dm() as dm:
        running = dm.execute(cell)
        dm.microscope.draw_roi(4, 6, 20, 30)
        line = dm.microscope.draw_line(5, 20, 8.5, 21)
        dm.step()
        dm.microscope.delete_roi(line)
        dm.step()
        assert dm.result.data[:, :3].T.tolist() == [[-1] * 4, [16, -1, 17, 2.5], [-1] * 4], running.output


def test_a_script_without_a_line_does_not_look_for_one():
    assert "GetLine" in script(program("info.line[0]"))
    assert "GetLine" not in script(program("frame.mean()"))


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


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("text", [SERIES, IMAGE, COLOUR], ids=["series", "image", "colour"])
def test_it_does_so_however_this_gms_behaves(text, switches):
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
                assert np.allclose(dm.result.data[:, i], values, rtol=1e-6), i
                assert (dm.result.data[:, i + 1 :] == dm.result.data[:, :1]).all()  # each frame once
            else:
                assert np.array_equal(dm.result.data, wanted.values), i
        assert len(running.output) == 1, running.output
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "stopped, the live view was closed. 10 frames processed, 0 skipped." in running.output[-1]


def test_an_image_that_dm_cannot_make_is_said_once():
    with Dm(create_image="none") as dm:
        module = dm.microscope._module
        create, module.CreateImage = module.CreateImage, lambda _array: None
        running = dm.execute(program(PROFILE))
        dm.step()
        assert [line for line in running.output if "cannot make an image of shape (40,)" in line]
        assert sum("cannot make" in line for line in running.output) == 1
        module.CreateImage = create
        dm.step()
        assert dm.result.data.shape == (40,)


def test_the_frame_is_read_only_there_too():
    with Dm() as dm:
        running = dm.execute(program("frame[0] = 1\nframe"))
        assert "read-only" in running.output[0]
        assert not dm.results()


# What the user does at the microscope


def test_a_rectangle_limits_what_is_processed_and_without_it_the_whole_image_is():
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


def test_a_cell_is_told_the_exposure_and_the_binning_there_too():
    with Dm() as dm:
        dm.microscope.restart_view(binning=2, exposure=0.125)
        dm.step()
        running = dm.execute(program("info.tags"))
        assert dm.result.data[:, 0].tolist() == [0.125, 2.0], running.output


def test_another_binning_begins_a_new_window_and_a_new_state():
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


def test_a_view_that_is_started_anew_in_another_window_ends_the_script():
    with Dm() as dm:
        running = dm.execute(program(SCALAR))
        dm.microscope.restart_view(binning=2, new_image=True)
        assert "stopped, the live view was closed" in running.output[-1]
        before = dm.result.updates
        dm.step()
        assert dm.result.updates == before
        assert "running on Gold" in dm.execute(program(SCALAR)).output[-1]


def test_closing_the_result_ends_the_script_and_frees_its_image():
    with Dm() as dm:
        running = dm.execute(program(IMAGE))
        dm.microscope.close_window("test of Gold")
        dm.step()
        assert "stopped, its window was closed. 1 frames processed" in running.output[-1]
        dm.step()
        assert not dm.results()
        assert len(running.output) == 2


def test_an_end_that_dm_does_not_want_is_one_all_the_same():
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


def test_a_click_while_colours_are_shown_leaves_the_live_view_alone():
    with Dm() as dm:
        execute = dm.microscope._module.ExecuteScriptString

        def clicked(text):
            execute(text)
            if "ShowImage" in text:
                dm.microscope.click_view()

        dm.microscope._module.ExecuteScriptString = clicked
        running = dm.execute(program(COLOUR))
        assert "cannot make an image of shape (24, 40, 3)" in running.output[0]
        dm.microscope._module.ExecuteScriptString = execute
        dm.step()
        shown = {window.name: window.data.shape for window in dm.microscope.windows()}
        assert (shown["Gold"], shown["test of Gold"]) == ((24, 40), (24, 40, 3))


def test_executed_again_it_takes_the_place_of_the_instance_before():
    with Dm() as dm:
        first = dm.execute(program(SERIES))
        dm.step()
        second = dm.execute(program(SERIES).with_values(gain=5))  # now a result is in front, not the view
        assert second.output == [
            "test: stopped, it is executed anew. 2 frames processed, 0 skipped.",
            "test: running on Gold. Close the live view or the result to stop it.",
        ]
        for i in (2, 3):
            dm.step()
            assert dm.result.data[0, i - 1] == np.float32(5 * dm.played[i].data.mean())
        assert len(first.output) == 1
        assert len(second.output) == 2


def test_two_scripts_do_not_disturb_each_other():
    """All scripts of DM have the same global names; these two agree on none of their meanings."""

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
        one, two = (dm.results()[f"{name} of Gold"].data[:, 3].tolist() for name in ("one", "two"))
        assert one == [1, 1, 1, 2, 1]
        assert two == [20, 400, 20, 40, 400]


def test_a_parameter_may_have_the_name_of_what_the_mechanics_import():
    names = ("time", "zlib", "traceback", "math", "Window", "start", "name", "version", "axis")
    text = "".join(f"{name}: float = {i}.0\n" for i, name in enumerate(names))
    with Dm() as dm:
        running = dm.execute(program(text + "[" + ", ".join(names) + "]"))
        assert dm.result.data.tolist() == [float(i) for i in range(len(names))], running.output


def test_an_error_is_printed_once_with_the_line_of_the_script():
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


def test_an_error_within_a_library_is_told_by_the_line_that_calls_it():
    text = script(program("import numpy as np\n\nnp.linalg.inv(frame)"))
    with Dm() as dm:
        running = dm.execute(text)
        line = text.splitlines().index("    return np.linalg.inv(frame)") + 1
        assert f"line {line} of the script: numpy.linalg.LinAlgError: " in running.output[0]


def test_leaving_the_program_does_not_leave_dm():
    with Dm() as dm:
        running = dm.execute(program("import sys\nsys.exit(1)"))
        assert "SystemExit" in running.output[0]


def test_the_script_goes_on_after_an_error():
    with Dm() as dm:
        dm.execute(program("state['n'] = state.get('n', 0) + 1\n1 / (state['n'] - 2)"))
        for _ in range(3):
            dm.step()
        assert dm.result.data[0, :4].tolist() == [-1.0, 1.0, 0.5, -1.0]  # and an empty one


def test_a_strip_chart_grows():
    with Dm(recording(20)) as dm:
        dm.execute(program("state['n'] = state.get('n', 0) + 1\nstate['n']"))
        assert dm.result.data.shape == (1, 256)
        for _ in range(299):
            dm.step()
        shown = dm.result.data[0]
        assert shown.shape == (512,)
        assert shown[:300].tolist() == list(range(1, 301))
        assert dm.result.axes[0].unit == "frames"


@pytest.mark.parametrize("first", ["1000", "float('nan')"])
def test_columns_that_are_still_empty_do_not_spoil_the_contrast(first):
    with Dm() as dm:
        dm.execute(program(f"{first} if info.index == 0 else 1000 + info.index"))
        for _ in range(3):
            dm.step()
        shown = dm.result.data[0]
        assert shown[1:4].tolist() == [1001, 1002, 1003]
        assert (shown[4:] == (1000 if first == "1000" else 0)).all()


def test_a_slow_script_rests_and_counts_what_it_skips():
    with Dm() as dm:
        running = dm.execute(program("import time\ntime.sleep(0.6)\nframe.mean()"))
        dm.step(rest=0)  # it rests now, as long as it has worked
        dm.step(rest=0)
        assert (dm.result.data[0, 1:] == dm.result.data[0, 0]).all()
        dm.step(rest=1.0)
        assert dm.result.data[0, 1] == np.float32(dm.played[3].data.mean())
        dm.microscope.close_view()
        dm.microscope.settle()
        assert "2 frames processed, 2 skipped" in running.output[-1]


@pytest.mark.parametrize("version", [(3, 50, 1), (3, 51, 2)])
def test_gms_that_crashes_with_listeners_is_refused_with_the_reason(version):
    with Dm(version=version) as dm:
        running = dm.execute(program(SCALAR))
        assert running.output == [
            "test: GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
        ]
        dm.step()
        assert not dm.results()


def test_without_a_live_view_it_says_so():
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
def test_words_and_tables_are_printed_but_not_for_every_frame(text, printed):
    with Dm() as dm:
        running = dm.execute(program(text))
        for _ in range(5):
            dm.step(rest=0.002)
        first = printed.format(dm.played[0].data[0, 0]).split("\n")
        assert running.output[:-1] == ["test, frame 0:", *first]
        assert not dm.results()
        dm.step(rest=1.0)
        last = printed.format(dm.played[6].data[0, 0]).split("\n")
        assert running.output[-1 - len(last) :] == ["test, frame 6:", *last]


def test_in_the_background_it_does_the_same():
    with Dm() as dm:
        running = dm.microscope.run_script(script(program(SCALAR)), background=True)
        running.wait_for("running on Gold")
        dm.shows(0, 0)
        dm.step()
        dm.shows(1, 1)
        dm.microscope.close_view()
        running.join(20)
        assert "stopped, the live view was closed. 2 frames processed" in running.output[-1]


def test_where_no_events_come_it_looks_for_new_frames_in_the_background():
    with Dm(events="none") as dm:
        running = dm.microscope.run_script(script(program(SCALAR)), background=True)
        running.wait_for("running on Gold")
        dm.shows(0, 0)
        for i in (1, 2, 3):
            dm.step()
            dm.shows(i, i)
        running.stop()
        running.join(20)
        assert "stopped, its script was stopped. 4 frames processed, 0 skipped" in running.output[-1]


def test_a_name_that_is_not_ascii_gives_a_title_that_is():
    with Dm(recording(name="Gr\u00f6\u00dfe")) as dm:
        dm.execute(program(SCALAR, "\u00b5-phase"))
        assert "u-phase of Gr??e" in [window.name for window in dm.microscope.windows()]


# The text


@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_the_script_is_python_3_7(text):
    made = script(program(text))
    ast.parse(made, feature_version=(3, 7))
    assert made.isascii()
    assert needs.versions(made) == []


def test_what_is_newer_is_named_with_its_lines():
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


def test_what_is_newer_is_found_beside_bytes_that_are_decoded():
    (said,) = needs.versions("x = b'3'.decode()\ny = 'x'.encode().decode()\nz = (w := 3)")
    assert said.endswith("named expressions (line 3)")


def test_what_has_to_be_installed_is_named():
    made = script(program("import scipy.fft, skimage\nfrom PIL import Image\nscipy.fft.fft(frame)"))
    assert "GMS_VENV_PYTHON: pip install pillow scikit-image scipy.\n" in made
    assert "Needs: NumPy, which comes with GMS.\n" in script(program("import math\nmath.pi"))


def test_a_name_of_the_cell_goes_before_that_of_a_result():
    with Dm() as dm:
        running = dm.execute(program("from math import pi as Image\nImage"))
        assert dm.result.data[0, 0] == np.float32(np.pi), running.output


def test_results_may_be_imported_from_dmlink_and_nothing_else():
    made = script(program("from dmlink import Profile\nProfile(frame[0])"))
    assert "import Profile" not in made
    with Dm() as dm:
        dm.execute(made)
        assert np.array_equal(dm.result.data, dm.played[0].data[0])
    for text in ("import dmlink\ndmlink.Profile(frame[0])", "x = 1\nfrom dmlink import connect\nconnect()"):
        with pytest.raises(ValueError, match=r"^line \d: '.*' cannot be exported: dmlink is not there"):
            script(program(text))


def test_a_definition_that_needs_a_result_before_there_is_one_is_refused():
    inside = defined("def f(values):\n    return Profile(values)\n")
    with Dm() as dm:
        running = dm.execute(program("f(frame[0])", **inside))
        assert dm.result.data.tolist() == dm.played[0].data[0].tolist(), running.output
    default = defined(
        "from dmlink import Axis\ndef f(values, axis=Axis(0, 2)):\n    return values * axis.scale\n"
    )
    with pytest.raises(ValueError, match=r"need Axis while they are made, which cannot be exported"):
        script(program("f(frame[0])", **default))


def test_a_reader_finds_the_cell_as_it_was_written():
    above, below = script(program(RADIAL_PROFILE, "radial_profile", **defined(RINGS))).split(BELOW)
    assert above.startswith('"""radial_profile: processes every frame of the live view')
    assert "n_bins = 32  # 16 to 256 in steps of 16: points of the profile\n" in above
    assert '"""Average `power` (half of a spectrum)' in above
    assert "noqa" not in below
    assert "Parameters\n" not in below  # docstrings are one line there
    assert "suits" not in below  # it gives no bare value
    assert max(map(len, (above + below).splitlines())) <= 120


def test_below_the_line_are_as_many_lines_as_the_decision_says():
    page = (ROOT / "docs" / "decisions" / "08-mechanics-longer-than-200-lines.md").read_text("utf-8")
    rows = re.findall(r"^\| .+? \| `(.+?)` \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) > 10
    for text, said in rows:
        cell = gallery.text(text.removeprefix("gallery/")) if text.startswith("gallery/") else text
        below = script(program(cell, np=np)).partition(BELOW)[2].strip()
        assert len(below.splitlines()) == int(said), text


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
def test_the_golden_scripts_are_what_is_exported_today(name, tmp_path):
    """Write them anew with DMLINK_WRITE_GOLDEN=1 python -m pytest tests/test_export.py -k golden."""
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


CONSTRUCTS = {
    "several": "{'a': frame.mean(), 'b': frame[0], 'c': Image(frame[:3])}",
    "tuple": "frame.mean(), frame[0] * 2",
    "nothing now and then": "frame[0] if info.index % 2 else None",
    "overlay": "Overlay(Image(frame[::2]), Points([[1, 2]], labels=['a']), Boxes([[1, 2, 5, 6]]))",
    "memory": "average = state.setdefault('average', RunningAverage(4))\nImage(average.add(frame))",
    "list": "[1.5, 2, frame[0, 0]]",
    "with nan": "row = frame[0] * 1.0\nrow[3] = float('nan')\nrow",
    "integers": "frame.astype('int64') - 300",
    "booleans": "frame > 200",
    "tabs": "if frame.any():\n\tvalue = 3\nvalue + frame[0, 0]",
    "Windows line ends": "value = 3\r\n\r\nvalue + frame[0, 0]\r\n",
    "ends in a comment": "frame.mean()  # it is\n# the mean",
    "unicode": "gr\u00f6\u00dfe = frame.mean()  # in \u00b5m\n{'\u00b5': gr\u00f6\u00dfe}",
    "names of the mechanics": "Live = Window = start = 2\nlive_view = Live * Window + frame[0]\nlive_view",
    "function": "def double(x):\n    return 2 * x\n\ndouble(frame[0])",
    "words": "'frame ' + str(info.index)",
    "of one name": "Scalar(1, name='a'), Scalar(2, name='a'), Scalar(frame.mean(), name='a')",
    "a number more": "{'a': 1, 'b': frame.mean()} if info.index % 2 else {'a': frame.mean()}",
    "figure": (
        "from matplotlib.figure import Figure\nfigure = Figure((2, 1), dpi=20)\n"
        "figure.add_axes([0, 0, 1, 1]).plot(frame[0])\nfigure"
    ),
    "structured array": "import numpy as np\nnp.array([(1, 2.5)] * 3, dtype=[('a', int), ('b', float)])",
    "data frame": "import pandas\npandas.DataFrame({'a': frame[0, :3], 'b': 'x'})",
}


@pytest.mark.parametrize("text", CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_every_construct_shows_there_what_it_shows_here(tmp_path, text):
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
        ("x = 1\ndata = np.load('dark.npy')\nframe - data", "line 2: 'dark.npy' is looked for in"),
        ("x = 1\nwith open('a/b.txt') as f: x = f.read()\nx", "line 2: 'a/b.txt' is looked for in"),
        ("x = 1\nimport ipywidgets as w\nw.IntSlider().value", "line 2: 'import ipywidgets as w' belongs to"),
        ("x = isinstance(frame, Image)\nx", "line 1: Image is called in a script, and nothing else"),
    ],
)
def test_what_cannot_be_in_dm_is_refused_with_the_line(tmp_path, text, said):
    with (tmp_path / "open").open("w") as file, pytest.raises(ValueError, match=re.escape(said)):
        export(
            Program.from_cell(text, "test", {"np": np, "file": file, "slider": Unknown()}), tmp_path / "x.py"
        )
    assert not (tmp_path / "x.py").exists()


class Unknown:
    value = 3


# The file, and the command


def test_a_file_that_exists_is_left_alone_unless_it_may_be_replaced(tmp_path):
    path = export(program(SCALAR), tmp_path / "script.py")
    with pytest.raises(FileExistsError, match=r"script\.py exists\. .*overwrite=True"):
        export(program(PROFILE), path)
    assert "frame.mean() / 3" in path.read_text()
    export(program(PROFILE), path, overwrite=True)
    assert "frame.mean() / 3" not in path.read_text()


def test_arrays_of_another_are_left_alone_also_where_the_script_may_be_replaced(tmp_path):
    cell = program("frame - dark[:24, :40]", dark=np.random.default_rng(3).random((700, 700)))
    path, theirs = tmp_path / "script.py", tmp_path / "script.npz"
    theirs.write_bytes(b"theirs")
    for exists in (False, True):
        if exists:
            path.write_text("theirs")
        with pytest.raises(FileExistsError, match=r"script\.npz exists, .*Move it, or choose another name"):
            export(cell, path, overwrite=True)
        assert theirs.read_bytes() == b"theirs"
        assert path.exists() == exists
    theirs.unlink()
    export(cell, path, overwrite=True)
    before = theirs.stat().st_mtime_ns
    export(cell, path, overwrite=True)  # now they are the script's own
    assert theirs.stat().st_mtime_ns > before


def test_an_export_that_is_refused_leaves_no_file(tmp_path):
    dark = np.random.default_rng(3).random((700, 700))
    cell = program("import ipywidgets\nframe - dark[:24, :40]", dark=dark)
    with pytest.raises(ValueError, match="belongs to notebooks"):
        export(cell, tmp_path / "script.py")
    (tmp_path / "theirs.py").write_text("theirs")
    with pytest.raises(FileExistsError, match=r"theirs\.py exists"):
        export(program("frame - dark[:24, :40]", dark=dark), tmp_path / "theirs.py")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.py"]


def test_a_text_is_taken_for_a_cell_of_its_own(tmp_path):
    path = export("frame.mean()", tmp_path / "mean.py")
    assert "process_live_view('mean', " in path.read_text()
    with pytest.raises(ValueError, match="'np' is not defined"):
        export("np.mean(frame)", tmp_path / "other.py")
    with pytest.raises(ValueError, match="'other' is not a target"):
        export("frame.mean()", tmp_path / "other.py", "other")
    assert not (tmp_path / "other.py").exists()


def test_the_command_exports_a_cell_from_a_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mean.py").write_text("gain: (0, 9) = 2\ngain * frame.mean()\n")
    assert main(["export", "mean.py"]) == 0
    assert "mean_dm.py is written" in capsys.readouterr().out
    cell = program(Path("mean.py").read_text(), "mean")
    assert check("mean_dm.py", recording(), cell).equal
    assert main(["export", "mean.py"]) == 1
    assert "mean_dm.py exists" in capsys.readouterr().err
    assert main(["export", "mean.py", "--overwrite", "-o", "mean_dm.py"]) == 0
    Path("nothing.py").write_text("x = frame.mean()\n")
    assert main(["export", "nothing.py"]) == 0
    assert "Note: The cell's last line is not an expression: it gives no result." in capsys.readouterr().out


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text("frame.mean(\n")
    Path("bytes.py").write_bytes(b"\xff\xfe")
    Path("undefined.py").write_text("x = 1\nsigma * frame.mean()\n")
    for arguments, said in (
        (["missing.py"], "missing.py"),
        (["wrong.py"], "line 1"),
        (["undefined.py"], "line 2: name 'sigma' is not defined"),
        (["bytes.py"], "bytes.py is not the text of a cell in UTF-8: invalid start byte at byte 0"),
    ):
        assert main(["export", *arguments]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.startswith("dmlink: ")
        assert len(error.splitlines()) == 1


def test_a_check_beside_another_microscope_is_refused_with_what_to_do(tmp_path):
    path = export(program(SCALAR), tmp_path / "script.py")
    with Dm(), pytest.raises(RuntimeError, match="close the other Microscope first"):
        check(path, recording(), program(SCALAR))
    assert not [t for t in threading.enumerate() if t.name.startswith("dm-")]


# Several kinds of result


def test_a_profile_is_also_shown_over_time_in_an_image_that_widens():
    with Dm(recording(20, shape=(4, 6))) as dm:
        dm.execute(program("Profile(frame[0], scale=0.5, unit='nm')"))
        for _ in range(299):
            dm.step()
        history = dm.results()["test in time of Gold"]
        assert history.data.shape == (6, 512)
        assert all(np.array_equal(history.data[:, i], dm.played[i % 20].data[0]) for i in range(300))
        assert (history.data[:, 300:] == dm.played[256 % 20].data[0].min()).all()
        assert history.axes == (Axis(0.0, 1.0, "frames"), Axis(0.0, 0.5, "nm"))


def test_marks_are_drawn_on_the_live_view_and_take_the_place_of_those_before():
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
        assert marks() == ((5, (4.0, 9.0, 10.0, 15.0)), (13, (10.0, 9.0, 22.0, 15.0)))


def test_annotations_of_the_user_stay():
    with Dm() as dm:
        dm.microscope.run_script(
            "DM.GetFrontImage().GetImageDisplay(0).AddNewComponent(5, 1, 1, 2, 2)", background=False
        ).join(5)
        dm.execute(program("Points([[info.index + 5, 8]])"))
        for _ in range(3):
            dm.step()
        view = next(w for w in dm.microscope.windows() if w.name == "Gold")
        assert [place for _, place in view.marks] == [(1, 1, 2, 2), (5, 5, 11, 11)]


@pytest.mark.parametrize("annotations", ["refused", "kept"])
@pytest.mark.parametrize(
    "marks", ["Points([[3, 4], [7, 8]], labels='ab')", "Overlay(frame, Boxes([[1, 2, 3, 4]]))"]
)
def test_where_annotations_cannot_be_removed_they_do_not_pile_up(annotations, marks):
    with Dm(annotations=annotations) as dm:
        running = dm.execute(program(f"{{'marks': {marks}, 'mean': frame.mean() / 3}}"))
        drawn = [window.marks for window in dm.microscope.windows()]
        for _ in range(4):
            dm.step()
        assert [window.marks for window in dm.microscope.windows()] == drawn
        assert sum("annotations cannot be removed here" in line for line in running.output) == 1
        assert not [line for line in running.output if "Error" in line]
        means = dm.results()["test mean of Gold"].data[0]
        assert np.array_equal(means[:5], [np.float32(dm.played[i].data.mean() / 3) for i in range(5)])


def test_what_the_user_does_with_annotations_is_no_fault():
    with Dm() as dm:
        running = dm.execute(program("Points([[3, 4 + info.index], [7, 8]])"))
        display = next(i for i in dm.microscope._workspace.living_images() if i.live).display
        del display.components[0]
        dm.step()
        dm.microscope.run_script(
            "DM.GetFrontImage().GetImageDisplay(0).AddNewComponent(5, 1, 1, 2, 2)", background=False
        ).join(5)
        dm.step()
        view = next(w for w in dm.microscope.windows() if w.name == "Gold")
        assert sorted(place for _, place in view.marks) == [(0, 3, 6, 9), (1, 1, 2, 2), (4, 5, 10, 11)]
        assert len(running.output) == 1


def test_memory_does_not_grow_with_the_frames():
    with Dm(recording(7, shape=(4, 4))) as dm:
        dm.execute(program("Profile(frame[0])"))
        for _ in range(10_000):
            dm.microscope.camera.step()
            dm.microscope.settle()
        history = dm.results()["test in time of Gold"]
        assert history.data.shape == (4, 2048)
        assert len(dm.microscope._workspace.living_images()) == 3
        assert history.axes[0].origin > 0


@pytest.mark.parametrize("switches", [{}, {"partial_frames": 4}])
@pytest.mark.parametrize("below", [0, np.arange(SHAPE[1])], ids=["masked", "of an earlier scan"])
def test_rows_that_never_change_are_not_waited_for(switches, below):
    frames = recording(8)
    scanned = [
        dataclasses.replace(f, data=np.where(np.arange(24)[:, None] < 17, f.data, below)) for f in frames
    ]
    with Dm(Played(scanned), **switches) as dm:
        dm.execute(program("Image(frame)"))
        for _ in range(6):
            dm.step()
        shown = dm.result.data
        assert any(np.array_equal(shown, frame.data) for frame in scanned[4:7])


def test_a_script_that_draws_marks_ends_with_its_windows():
    with Dm() as dm:
        running = dm.execute(program('{"mean": frame.mean(), "spot": Points([[3, 4]])}'))
        dm.step()
        for title in dm.results():
            dm.microscope.close_window(title)
        dm.step()
        assert "stopped, its window was closed" in running.output[-1]


# Arrays of the notebook, and the version of GMS


def test_arrays_of_the_notebook_are_part_of_the_text_or_beside_it(tmp_path):
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


def test_a_cell_that_the_version_of_gms_cannot_run_is_refused_with_its_line(tmp_path):
    cell = program("a = 1\nif (n := int(frame.mean())) > 3:\n    n = 0\nn")
    for gms, python in (("3.4", "3.7"), ("3.5", "3.7")):
        with pytest.raises(
            ValueError, match=rf"^line 2: named expressions needs Python 3\.8; GMS {gms} has Python {python}"
        ):
            export(cell, tmp_path / "script.py", gms=gms)
    assert not (tmp_path / "script.py").exists()
    export(cell, tmp_path / "script.py", gms="3.6")
    with pytest.raises(ValueError, match=r"GMS '2\.3' is not known; there is: 3\.4, 3\.5, 3\.6"):
        export(cell, tmp_path / "other.py", gms="2.3")


def test_a_kind_of_result_that_the_script_does_not_know_is_said_once():
    text = script(program("Profile(frame[0])")).replace("return Profile(frame[0])", "return frame.mean()")
    with Dm() as dm:
        running = dm.execute(text)
        dm.step()
        assert (
            sum("1-D numbers are shown here, not float64 of shape ()." in line for line in running.output)
            == 1
        )
    text = script(program("Profile(frame[0]), frame.mean()")).replace("frame.mean()", "'words'")
    with Dm() as dm:
        running = dm.execute(text)
        dm.step()
        assert sum("cannot show a str: export the cell again." in line for line in running.output) == 1
