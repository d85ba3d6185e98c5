"""What can go wrong on the first day: each problem is reported in a sentence that says what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import webbrowser
from importlib import metadata

import psutil
import pytest
from browser import chromium
from processes import gone
from project import ROOT

import dmlink
from dmlink import data, notebook
from dmlink.cli import demo

in_a_terminal = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals and shell scripts are POSIX's")


def test_missing_browser_prints_the_address(monkeypatch):
    def none(*_):
        raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", none)
    assert "No browser was found" in demo.expectations(0)[-1]
    assert "--headless" in demo.expectations(0)[-1]


def test_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo.expectations(port)[0].startswith(f"Port {port} is in use")
    assert not [sentence for sentence in demo.expectations(0) if "in use" in sentence]


@pytest.fixture
def running_demo(tmp_path):
    """Yield a terminal in which the demo runs, and the address that it printed."""
    import pexpect

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    environment = {**os.environ, "HOME": str(tmp_path), "DMLINK_CACHE": str(data.cache_folder())}
    environment["TMPDIR"] = str(tmp_path)
    command = ["-m", "dmlink", "demo", f"--port={port}"]
    terminal = pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=None)
    terminal.expect(r"The first lesson: (http\S+)")
    yield terminal, terminal.match[1]
    terminal.terminate()
    terminal.wait()


def open_lesson(page, address):
    """Open the address in a browser, and wait until the lesson's kernel is ready."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook h1:has-text('Your first live cell')")
    page.wait_for_selector("#jp-bottom-panel >> text=| Idle")


@in_a_terminal
@pytest.mark.browser
def test_printed_address_opens_the_lesson(running_demo):
    _, address = running_demo
    notifications = "lab/api/settings/@jupyterlab/apputils-extension:notification"
    with chromium() as page:
        open_lesson(page, address)
        assert page.locator(".Toastify__toast").count() == 0
        settings = page.request.get(address.split("lab/tree")[0] + notifications).json()
    assert settings["schema"]["properties"]["fetchNews"]["default"] == "false"  # "none" asks


@in_a_terminal
@pytest.mark.browser
def test_ctrl_c_ends_demo_and_kernels(running_demo, tmp_path):
    import pexpect

    terminal, address = running_demo
    with chromium() as page:
        open_lesson(page, address)
        there = psutil.Process(terminal.pid).children(recursive=True)
        commands = " ".join(word for process in there for word in process.cmdline())
        assert all(name in commands for name in ("jupyterlab", "simulate", "ipykernel"))
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.before
    assert "Shut down" not in terminal.before
    assert all(gone(process.pid) for process in there)
    assert not list(tmp_path.glob("dmlink-demo-*"))


def test_old_python_names_needed_version():
    text = "import runpy, sys; sys.version_info = (3, 10, 13); sys.argv = ['dev.py', 'demo']; "
    text += "runpy.run_path(%r, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", text % str(ROOT / "dev.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "dmlink needs Python 3.11 or later; this is" in done.stdout
    assert "`python3.11 dev.py demo`" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture
def clone(tmp_path):
    """Return a folder with the files that dev.py reads."""
    for name in ("dev.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@in_a_terminal
def test_ctrl_c_ends_an_installation(clone):
    import pexpect

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        index = f"http://127.0.0.1:{never_answers.getsockname()[1]}/simple"
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "TMPDIR": str(clone)}
        command = [str(clone / "dev.py"), "demo"]
        terminal = pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=None)
        connection, _ = never_answers.accept()  # pip has started
        there = psutil.Process(terminal.pid).children(recursive=True)
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        connection.close()
    assert terminal.wait() == 130
    assert terminal.before.rstrip().endswith("(a few minutes the first time) ...\r\n^C")
    assert all(gone(process.pid) for process in there)


@in_a_terminal
def test_dev_installs_requirements_once(clone):
    def ran(*arguments):
        """Return what dev.py runs with the Python of `.venv`, here a script that records it."""
        log = clone / "log"
        log.write_text("")
        command = [sys.executable, clone / "dev.py", *arguments]
        subprocess.run(command, env=environment, check=True)
        return [line.removeprefix("-m ") for line in log.read_text().splitlines()]

    environment = {**os.environ, "PATH": f"{clone}{os.pathsep}{os.environ['PATH']}"}
    for program in (clone / ".venv" / "bin" / "python", clone / "chromium"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {clone / "log"}\n')
        program.chmod(0o755)
    pip = "pip install --quiet --disable-pip-version-check --no-compile"
    pip += " --constraint constraints.txt --editable"
    assert ran("demo") == [f"{pip} .", "dmlink demo"]
    assert ran("demo", "--headless") == ["dmlink demo --headless"]
    assert ran("test", "-k", "link") == [f"{pip} .[test]", "pytest --numprocesses auto -k link"]
    assert ran("test", "-x") == ["pytest --numprocesses auto -x"]
    with (clone / "constraints.txt").open("a") as file:
        file.write("# another\n")
    assert ran("test", "-x") == [f"{pip} .[test]", "pytest --numprocesses auto -x"]
    assert ran("demo") == ["dmlink demo"]


@pytest.mark.skipif(os.name == "nt", reason="it is a path of this system there")
def test_windows_path_is_recognised():
    with pytest.raises(FileNotFoundError, match="It is a Windows path, but this is not Windows"):
        dmlink.open(r"C:\data\particles.npy")


def test_swallowed_backslashes_are_explained():
    with pytest.raises(FileNotFoundError, match=r'write r"..." or use / instead'):
        dmlink.open("C:\new\test.npy")


def test_jupyterlab_3_is_refused(new_shell, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "version", lambda _: "3.6.8")
    shell = new_shell()
    notebook.load_ipython_extension(shell)
    assert "JupyterLab 3.6.8 cannot show" in capsys.readouterr().out
    monkeypatch.setattr(notebook, "version", metadata.version)
    notebook.load_ipython_extension(shell)
    assert not capsys.readouterr().out
