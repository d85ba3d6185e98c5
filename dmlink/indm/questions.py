"""The questions that only a real GMS can answer, by the names of the answers in a report."""

from __future__ import annotations

REPORT_FORMAT = "dmlink gms-report"
REPORT_VERSION = 1
NOT_ASKED = "not asked"

QUESTIONS = {
    "handler_thread": "On which thread are handlers called?",
    "events": "Does an event wait while a handler is busy, or is it dropped?",
    "live_events": "How often is a handler called for each frame of the live view?",
    "live_parts": "In how many parts does a frame of the live view arrive?",
    "event_names": "Which events can a listener have?",
    "references": "Does a registration keep its listener alive?",
    "unregister": "Does UnregisterAllListeners end the events?",
    "nested_listeners": "Can a handler create a listener?",
    "after_exception": "Is a handler called again after an exception has left it?",
    "deleted_usable": "Can an image be used after DeleteImage?",
    "stale_groups": "Does a stored persistent tag group work only once?",
    "create_image": "Which arrays does CreateImage take?",
    "colour_pixels": "What does GetNumArray return for a colour image?",
    "colours": "Can colours be shown through DM-script?",
    "annotations": "Can annotations be removed through DM-script?",
    "roi_removal": "How can a rectangle be removed?",
    "unit": "Is a unit text or bytes?",
    "continuous": "How long must GetFrameInContinuousMode wait, at least?",
    "timer": "In which steps do clocks and time.sleep advance, in ms?",
    "folder": "Where is the working folder, and is it writable?",
    "argv": "What is sys.argv?",
    "packages": "Which packages does GMS's Python have?",
    "loopback": "Can a port of this computer be opened?",
    "threads": "Do Python threads run on after their script has ended?",
    "python_strings": "Does ExecutePythonScriptString share the scripts' global names?",
    "missing": "Which calls that dmlink makes do not exist?",
    "failing": "Which calls that dmlink makes fail?",
    "recording": "What does a recording look like while it is being written?",
}
PACKAGES = (
    "numpy", "scipy", "matplotlib", "skimage", "cv2", "h5py", "pandas", "numba", "numcodecs", "zarr", "zmq",
    "tkinter", "PIL", "tifffile", "hyperspy", "sklearn", "torch", "execdmscript", "BenMillerScripts",
)  # fmt: skip
