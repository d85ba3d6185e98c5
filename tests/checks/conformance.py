"""Runs packages that people use in a real GMS in the simulator, and reports which of their functions work.

    python tests/checks/conformance.py [--write]

Installs them from PyPI into a temporary folder, without dependencies; --write stores the result in
docs/dm-conformance.tsv, from which `python docs/dm_api.py` generates a section of docs/dm-api.md.
"""

from __future__ import annotations

import argparse
import colorsys
import contextlib
import csv
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from dmlink import gallery
from dmlink.frame import Axis, Info
from dmlink.program.instance import Instance
from dmlink.program.program import Program
from dmlink.simulator import Microscope
from dmlink.simulator.dm.gatan_files import write_in_situ_raw

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "dm-conformance.tsv"
MILLER = ("BenMillerScripts==0.1.5", "BenMillerScripts==0.1.8", "BenMillerScripts==0.1.11")
EXECDMSCRIPT, LIBERTEM, PYLO = "execdmscript==1.1.9", "libertem==0.16.0", "PyLo==1.0.0"
MODULES = ("benmillerscripts", "execdmscript", "pylo", "devices", "libertem")
DIRECTION, SPACING = 30.0, 0.25  # degrees and cycles per pixel of the fringes that the camera sees


class Check(NamedTuple):
    """A script that fails if a function of a package does not work; `needs` lists additional packages."""

    package: str
    what: str
    text: str
    needs: tuple[str, ...] = ()
    background: bool = True


class Fringes:
    """A recording of lattice fringes."""

    name, shape, dtype = "Fringes", (2, 256, 256), np.dtype(np.float32)
    x = y = Axis(0.0, 0.05, "nm")
    tags: dict = {}  # noqa: RUF012 - never changed

    def __len__(self):
        return 2

    def __getitem__(self, index):
        y, x = np.mgrid[: self.shape[1], : self.shape[2]]
        along = x * np.cos(np.radians(DIRECTION)) - y * np.sin(np.radians(DIRECTION))
        noise = np.random.default_rng(index).normal(0, 0.1, self.shape[1:])
        return SimpleNamespace(data=(np.cos(2 * np.pi * SPACING * along) + noise).astype(np.float32))


@functools.cache
def gallery_direction() -> float:
    """Return the direction that the gallery's colour map finds on the same fringes, in degrees."""
    recording = Fringes()
    program = Program.from_cell(gallery.text("fft_colour_map"), "fft_colour_map", {})
    found = Instance(program).process(recording[0].data, Info(x=recording.x, y=recording.y))
    colours = found.results["map"].values.reshape(-1, 3)
    hue, _, _ = colorsys.rgb_to_hsv(*map(int, colours[colours.max(axis=1).argmax()]))
    return 180 * hue


COLOURS = "X = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)\n"
MAP = {
    "DrawColorScale": "F.DrawColorScale()\nassert DM.GetFrontImage().GetName().endswith('Map Scale')",
    "ShowRGB": COLOURS + "F.ShowRGB(X, 'x')\nassert DM.GetFrontImage().GetName() == 'FFT Final Result: x'",
    "UpdateRGB": COLOURS
    + "F.ShowRGB(X, 'x')\nimage = DM.GetFrontImage()\nF.UpdateRGB(image.GetID(), X[::-1])\n"
    "assert (F.Get_DM_RGB_Image_Data(image) == X[::-1]).all()",
    "Get_DM_RGB_Image_Data": COLOURS
    + "F.ShowRGB(X, 'x')\nassert (F.Get_DM_RGB_Image_Data(DM.GetFrontImage()) == X).all()",
    "CreateDM_RGB": COLOURS + "image = F.CreateDM_RGB(X)\nimage.SetDimensionCalibration(0, 0, 2.0, 'nm', 0)\n"
    "assert image.GetDimensionCalibration(0, 0) == (0, 2.0, 'nm')\n"
    "assert DM.GetFrontImage().GetName() == 'Fringes'",
    "processframe (theta), as the gallery": "found = F.processframe(DM.GetFrontImage(), 'theta', False)\n"
    "assert abs(np.median(found[1][2:-2, 2:-2]) - DIRECTION) < 3, np.median(found[1])\n"
    "assert abs(np.median(found[3][2:-2, 2:-2]) - SPACING) < 0.01, np.median(found[3])",
    "processframe (radius)": "found = F.processframe(DM.GetFrontImage(), 'radius', False)\n"
    "assert found[0].dtype == np.uint8",
    "processframe (match, overlay)": "F.processframe(DM.GetFrontImage(), 'theta', False, scale='match')",
    "FFT_Array_Analysis (show_cube)": "F.FFT_Array_Analysis(DM.GetFrontImage(), 128, 64, show_cube=True)\n"
    "assert DM.GetFrontImage().GetNumDimensions() == 4",
    "FFT_Result_Shape": "assert F.FFT_Result_Shape(DM.GetFrontImage()) == (9, 9)",
    "STEMx_Array_Analysis": "cube = np.random.default_rng(0).random((4, 5, 32, 32))\n"
    "cube = F.STEMx_Crop_to_Center_Square(cube, (16, 16))\n"
    "assert F.STEMx_Array_Analysis(cube)[0].shape == (4, 5)",
    "UpScaleRGB, Upscale_4D_STEM": COLOURS + "assert F.UpScaleRGB(X, 2).shape == (12, 16, 3)\n"
    "assert F.Upscale_4D_STEM(np.ones((2, 2, 4, 4)), 2).shape == (4, 4, 2, 2)",
}
SERIES = {
    "get_DM_version": "assert S.get_DM_version() == ['3', '61', '4719'], S.get_DM_version()",
    "find_ROI": "number, n = S.find_ROI(DM.GetFrontImage())\n"
    "assert DM.GetROIFromID(number).GetRectangle() == (0, 0, 256, 256) and n == 1",
    "display_DM_lineplot": "image = DM.CreateImage(np.zeros((1, 9)))\n"
    "S.display_DM_lineplot(image, name='line', scale_y=2.0, scale_x=0.5, scale_unit_x='s', legend=False)\n"
    "assert image.GetIntensityScale() == 2.0 and DM.GetFrontImage().GetName() == 'line'",
    "CListen": "listener = S.CListen(DM.GetFrontImage())\ndocument = DM.GetFrontImageDocument()\n"
    "listener.WindowHandleWindowClosedEvent(document.GetWindow(), 'pythonplugin')\n"
    "display = DM.GetFrontImage().GetImageDisplay(0)\n"
    "listener.ImageDisplayHandleROIRemovedEvent(display, 'pythonplugin')\n"
    "document.Close(False)\nDM.DoEvents()\nassert listener.stop == 1",
    "bin2D, FFT, MyExpMovingAvg": "data = DM.GetFrontImage().GetNumArray()\n"
    "assert S.bin2D(data, (2, 2)).shape == (128, 128) and S.FFT(data).shape == data.shape\n"
    "assert (S.MyExpMovingAvg(data, data, 3) == data).all()",
    "modify_calibrations": "assert S.modify_calibrations(0.5, 'nm', 0.25, 2)[2:] == ('nm', 'nm')",
    "GetFrontISDatasetInfo": "DM.NewImageDocumentFromFile(IN_SITU).Show()\n"
    "found = S.GetFrontISDatasetInfo()\nassert found[2] == 'Director-Raw' and found[12] == 5",
    "ProcessFrontISDataset (0-D)": "S.processimage = lambda data: (data.sum(), 0)\n"
    "DM.NewImageDocumentFromFile(IN_SITU).Show()\nS.ProcessFrontISDataset()\n"
    "assert (DM.GetFrontImage().GetNumArray()[0] == [0, 64, 128, 192, 256]).all()",
    "ProcessFrontISDataset (2-D)": "S.processimage = lambda data: (data.copy(), 2)\n"
    "DM.NewImageDocumentFromFile(IN_SITU).Show()\nS.ProcessFrontISDataset()\n"
    "assert DM.GetFrontImage().GetNumArray().shape == (8, 8)",
    "ProcessFrontISDataset (2-D, as it comes)": "DM.NewImageDocumentFromFile(IN_SITU).Show()\n"
    "S.ProcessFrontISDataset()",
}
AS_IN_37 = "import collections, collections.abc\ncollections.Sequence = collections.abc.Sequence\n"
TAGS = "tags = {'a': 1, 'b': 2.5, 'c': 'text', 'e': [1, 2, 'x', {'k': 3}], 'f': {'g': 'h/i', 'u': [1.5]}}\n"
EXEC = {
    "convert_to_taggroup": TAGS + "group = e.convert_to_taggroup(tags)\nassert group['e'][3]['k'] == 3 and "
    "group.GetTagAsFloat('f:u:0') == (True, 1.5)",
    "convert_from_taggroup (Python 3.10)": TAGS + "e.convert_from_taggroup(e.convert_to_taggroup(tags))",
    "convert_from_taggroup (Python 3.7)": AS_IN_37
    + TAGS
    + "assert e.convert_from_taggroup(e.convert_to_taggroup(tags)) == tags",
    "exec_dmscript (Python 3.7)": AS_IN_37 + "text = 'number y = x * 2; string s = \"a\" + y;'\n"
    "with e.exec_dmscript(text, setvars={'x': 21}, readvars={'y': int, 's': str}) as script:\n"
    "    assert (script['y'], script['s']) == (42, 'a42')",
    "get_persistent_tag (Python 3.7)": AS_IN_37
    + "DM.GetPersistentTagGroup().SetTagAsString('A:B', 'there')\n"
    "assert e.get_persistent_tag(('A', 'B')) == 'there'",
}
IMAGE = "image = pylo.DMImage(np.arange(12.0).reshape(3, 4).copy(), {'deep': {'x': 2.5}})\n"
CONTROLLER = """\
class Controller:
    class configuration:
        getValue = staticmethod(lambda *_, **__: None)
    def getConfigurationValuesOrAsk(self, *_, **__):
        return [False, 0.05, 0.01, 1, 1, 3, 0, 256, 256, 0]
"""
LORENTZ = {
    "import": "assert pylo.GMS_MODE",
    "DMImage.show": IMAGE + "image.show('hello')\nassert DM.GetFrontImage().GetName() == 'hello'\n"
    "assert DM.GetFrontImage().GetTagGroup().GetTagAsFloat('deep:x') == (True, 2.5)",
    "DMImage.show with annotations": IMAGE + "image.annotations = ['scalebar', 'text']\nimage.show('hello')\n"
    "assert DM.GetFrontImage().GetImageDisplay(0).CountChildren() == 2",
    "DMImage.saveTo": IMAGE + "image.saveTo(FOLDER + '/a.dm4').join()\n"
    "assert DM.OpenImage(FOLDER + '/a.dm4').GetNumArray().shape == (3, 4)",
    "DMConfiguration": "a = pylo.DMConfiguration()\na.addConfigurationOption('g', 'k', datatype=int)\n"
    "a.setValue('g', 'k', 7)\na.saveConfiguration()\nb = pylo.DMConfiguration()\nb.loadConfiguration()\n"
    "assert int(b.getValue('g', 'k')) == 7",
    "DMCamera.recordImage": CONTROLLER + "from devices.dm_camera import DMCamera\n"
    "camera = DMCamera(Controller(), 'camera', 'dm-camera')\nimage = camera.recordImage()\n"
    "assert image.image_data.shape == (256, 256)",
    "DMMicroscope: tilt, stage, mode": "from devices.dm_microscope import DMMicroscope\n"
    "m = DMMicroscope.__new__(DMMicroscope)\nm.holder_event_id = None\nm._tolerances = {}\n"
    "m._logger = pylo.logginglib.get_logger(m)\nm.holder_confirmed = True\n"
    "m.dm_microscope = DM.Py_Microscope()\n"
    "m._setXTilt(3.0)\nm._setYTilt(-2.0)\nm._setStageX(10.0)\n"
    "assert (m._getXTilt(), m._getYTilt(), m._getStageX()) == (3.0, -2.0, 10.0)\n"
    "assert not m.getInLorentzMode()",
}
BASE = '''\
"""Stands for the module of LiberTEM that needs what is not installed here."""
import numpy as np


class Live2DPlot:
    def __init__(self, dataset, udf, roi, channel, title, min_delta, udfresult):
        self.data, self.title = udfresult, title


def _get_stat_limits(data):
    return np.min(data), np.max(data)
'''
PLOT = """\
from libertem_viz.gms import GMSLive2DPlot
data = np.arange(12.0).reshape(3, 4)
plot = GMSLive2DPlot(None, None, title='plot', udfresult=data)
plot.display()
data += 1
plot.update(np.ones((3, 4), bool))
assert (DM.GetFrontImage().GetNumArray() == data).all() and DM.GetFrontImage().GetName() == 'plot'
"""
REASONS = {
    "ProcessFrontISDataset (2-D, as it comes)": "gives `CreateImage` a view of an array, which another "
    "author found refused",
    "convert_from_taggroup (Python 3.10)": "uses `collections.Sequence`, which Python 3.10 no longer has, so "
    "it cannot run in GMS 3.6 either",
}


def checks() -> list[Check]:
    """Return all checks."""
    found = []
    for package in MILLER:
        series = SERIES if package != MILLER[0] else {}  # it does not have that module
        for module, name, texts in (("FFTArrayAnalysis", "F", MAP), ("ISDatasetProcessing", "S", series)):
            head = f"from benmillerscripts import {module} as {name}\n"
            found += [Check(package, what, head + text, background=False) for what, text in texts.items()]
    found += [Check(EXECDMSCRIPT, what, "import execdmscript as e\n" + text) for what, text in EXEC.items()]
    found.append(Check(LIBERTEM, "viz/gms.py: GMSLive2DPlot", PLOT))
    start = AS_IN_37 + "import pylo\n"
    found += [Check(PYLO, what, start + text, (EXECDMSCRIPT,)) for what, text in LORENTZ.items()]
    return found


def install(folder: Path) -> dict[str, Path]:
    """Install the packages, each into a folder of its own.

    Raises
    ------
    OSError
        If that is not possible, because there is no package index.
    """
    places = {}
    for package in (*MILLER, EXECDMSCRIPT, LIBERTEM, PYLO):
        places[package] = folder / package.replace("==", "-")
        pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, "--target", str(places[package]), package], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"{package} cannot be installed: {done.stderr.strip()[-500:]}")
    stub = places[LIBERTEM] / "libertem_viz"
    stub.mkdir()
    (stub / "__init__.py").touch()
    (stub / "base.py").write_text(BASE)
    (stub / "gms.py").write_bytes((places[LIBERTEM] / "libertem" / "viz" / "gms.py").read_bytes())
    return places


def result(check: Check, places: dict[str, Path], folder: Path) -> str:
    """Return "passes", or the failure."""
    paths = [str(places[package]) for package in (check.package, *check.needs)]
    values = {"DIRECTION": gallery_direction(), "SPACING": SPACING}
    values |= {"FOLDER": str(folder), "IN_SITU": str(folder / "run.dm4")}
    frames = np.ones((5, 8, 8), np.uint16) * np.arange(5, dtype=np.uint16)[:, None, None]
    if not (folder / "run.dm4").exists():
        write_in_situ_raw(folder / "run.dm4", frames, exposure=0.1)
    start = f"import sys\nsys.path[:0] = {paths!r}\nimport numpy as np\nimport DigitalMicrograph as DM\n"
    start += "".join(f"{name} = {value!r}\n" for name, value in values.items())
    before = set(sys.modules), list(sys.path)
    try:
        with Microscope(Fringes(), fps=5) as dm:
            dm.wait_until(lambda: dm.camera.written, what="frame")
            script = dm.run_script(start + check.text, background=check.background)
            script.join(120)
    except Exception as error:  # noqa: BLE001 - that is the result
        said = str(error).splitlines()[0] if str(error) else ""
        return f"fails: {REASONS.get(check.what) or f'{type(error).__name__}: {said}'}"
    else:
        return "passes"
    finally:
        sys.path[:] = before[1]
        for name in set(sys.modules) - before[0]:
            if name.partition(".")[0] in {*MODULES, "libertem_viz"}:
                del sys.modules[name]


def run() -> list[tuple[str, str, str]]:
    """Install the packages, run all checks, and return the rows of the table."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        places = install(Path(name))
        surroundings = {"MPLBACKEND": "Agg", "HOME": name, "USERPROFILE": name}  # PyLo writes a log there
        with patch.dict(os.environ, surroundings), contextlib.chdir(name):  # execdmscript leaves a file there
            return [
                (check.package.replace("==", " "), check.what, result(check, places, Path(name)))
                for check in checks()
            ]


def noted() -> list[tuple[str, str, str]]:
    """Return the rows of the table in docs/."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]


def main() -> int:
    """Run the checks and print the results; return 1 if they differ from docs/dm-conformance.tsv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="note the result in docs/dm-conformance.tsv")
    options = parser.parse_args()
    rows = run()
    for row in rows:
        print(*row, sep="  ")
    if options.write:
        lines = ["package\twhat\tresult", *("\t".join(row) for row in rows)]
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(rows != noted())


if __name__ == "__main__":
    sys.exit(main())
