"""What Python scripts see of the simulated DigitalMicrograph: the module itself and its `Py_...` classes."""

from dmlink.simulator.dm.python.calls import Calls
from dmlink.simulator.dm.python.camera import Py_Camera
from dmlink.simulator.dm.python.displays import Py_Component, Py_ImageDisplay, Py_LinePlotImageDisplay, Py_ROI
from dmlink.simulator.dm.python.documents import Py_ImageDocument, Py_Window
from dmlink.simulator.dm.python.images import Py_Image
from dmlink.simulator.dm.python.module import digitalmicrograph
from dmlink.simulator.dm.python.tags import Py_TagGroup

__all__ = [
    "Calls",
    "Py_Camera",
    "Py_Component",
    "Py_Image",
    "Py_ImageDisplay",
    "Py_ImageDocument",
    "Py_LinePlotImageDisplay",
    "Py_ROI",
    "Py_TagGroup",
    "Py_Window",
    "digitalmicrograph",
]
