"""Starting dmlink loads only what the user has asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dmlink.cli import COMMANDS
from dmlink.recordings.writing.convert import WRITERS

HEAVY = {
    *("IPython", "PIL", "anywidget", "bqplot", "cmap", "dask", "distributed", "dmlink_widgets", "h5py"),
    *("importlib_metadata", "ipykernel", "ipywidgets", "jupyterlab", "mrcfile", "nbclient", "nbformat"),
    *("numcodecs", "numpy", "pandas", "pyarrow", "rsciio", "scipy", "simplejpeg", "skimage", "tifffile"),
    *("tqdm", "traitlets", "vermin", "zarr", "zmq"),
}
STARTS = [
    ["-c", "import dmlink"],
    ["-m", "dmlink", "--version"],
    ["-m", "dmlink", "--help"],
    *(["-m", "dmlink", command, "--help"] for command in COMMANDS),
]


@pytest.mark.parametrize("arguments", STARTS, ids=" ".join)
def test_startup_loads_nothing_heavy(arguments):
    loaded = packages_loaded(arguments)
    assert "dmlink" in loaded
    assert not HEAVY & loaded


def test_heavy_packages_would_be_seen():
    assert {"numpy", "zmq"} <= packages_loaded(["-c", "import dmlink, zmq; dmlink.Frame"])


def test_convert_help_names_each_suffix():
    command = [sys.executable, "-m", "dmlink", "convert", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {suffix for suffix in WRITERS if f" {suffix}" not in said} == set()


def packages_loaded(arguments):
    """Return the packages, and modules outside packages, that a new process loads."""
    command = [sys.executable, "-X", "importtime", *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    names = (line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}
