"""Live analysis of an electron microscope's frames in Jupyter."""

from dmlink.batch import process
from dmlink.cell import LiveCell
from dmlink.check import check
from dmlink.export import export
from dmlink.frame import Axis, Frame, Info, Roi
from dmlink.indm.memory import FrameCounter, LastFrames, Reference, RunningAverage, Tracks
from dmlink.indm.results import Boxes, Image, Overlay, Points, Profile, Scalar, Several, Table, Text
from dmlink.link import Link, connect
from dmlink.notebook import dashboard, load_ipython_extension, view
from dmlink.readback import read_script
from dmlink.recorder import Recorder
from dmlink.recordings import Recording, open  # noqa: A004 - dmlink.open is what it says
from dmlink.replay import Replay, replay

__version__ = "0.1.0"

__all__ = [
    "Axis",
    "Boxes",
    "Frame",
    "FrameCounter",
    "Image",
    "Info",
    "LastFrames",
    "Link",
    "LiveCell",
    "Overlay",
    "Points",
    "Profile",
    "Recorder",
    "Recording",
    "Reference",
    "Replay",
    "Roi",
    "RunningAverage",
    "Scalar",
    "Several",
    "Table",
    "Text",
    "Tracks",
    "check",
    "connect",
    "dashboard",
    "export",
    "load_ipython_extension",
    "open",
    "process",
    "read_script",
    "replay",
    "view",
]
