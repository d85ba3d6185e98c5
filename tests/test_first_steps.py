"""What goes wrong on the first day: each is told in a sentence that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import webbrowser
from importlib import metadata
from pathlib import Path

import pytest

import dmlink
from dmlink import notebook
from dmlink.cli import demo

ROOT = Path(__file__).parents[1]


def test_without_a_browser_the_address_is_named(monkeypatch):
    def none(*_):
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none)
    assert "No browser was found" in demo.expectations(0)[-1]
    assert "--headless" in demo.expectations(0)[-1]


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo.expectations(port)[0].startswith(f"Port {port} is in use")
    assert not [sentence for sentence in demo.expectations(0) if "in use" in sentence]


def isolated(*command):
    """Return a command that runs without any network but loopback; None where that cannot be had."""
    shell = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        subprocess.run([*shell, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [*shell, *command]


def test_installed_it_needs_no_network():
    command = isolated(sys.executable, "-m", "dmlink", "demo", "--headless")
    if command is None:
        pytest.skip("network namespaces cannot be had here")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "01-first-live-cell.ipynb ran to the end." in done.stdout


def test_an_older_python_is_told_which_one_is_needed():
    text = "import runpy, sys; sys.version_info = (3, 10, 13); sys.argv = ['dev.py', 'demo']; "
    text += "runpy.run_path(%r, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", text % str(ROOT / "dev.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "dmlink needs Python 3.11 or later; this is" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="it is a path of this system there")
def test_a_path_of_windows_elsewhere_is_called_that():
    with pytest.raises(FileNotFoundError, match="It is a path of Windows, and this is another system"):
        dmlink.open(r"C:\data\particles.npy")


def test_backslashes_that_python_has_read_are_told():
    with pytest.raises(FileNotFoundError, match=r'write r"..." or use / instead'):
        dmlink.open("C:\new\test.npy")


def test_jupyterlab_3_is_told_what_is_needed(new_shell, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "version", lambda _: "3.6.8")
    shell = new_shell()
    notebook.load_ipython_extension(shell)
    assert "JupyterLab 3.6.8 cannot show" in capsys.readouterr().out
    monkeypatch.setattr(notebook, "version", metadata.version)
    notebook.load_ipython_extension(shell)
    assert not capsys.readouterr().out
