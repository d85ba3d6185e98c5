"""The menu: a .s file next to the script, run by the simulated DigitalMicrograph."""

from __future__ import annotations

import contextlib
import os
import re

import pytest
from microscopes import PATIENCE, Noise, microscope

import dmlink
from dmlink.cli import main
from dmlink.dm_menu import at, menu_script, start, stop

FOLDERS = ["plain", "with spaces", "Müller & Größe", "it's 'quoted'", 'a\\b "c"', "100 %s {0}"]
if os.name == "nt":  # its names of folders have none of these
    FOLDERS = [folder for folder in FOLDERS if not set('\\"') & set(folder)]


def add(dm, path):
    """Execute a .s file, as a script window does."""
    text = path.read_text("ascii")
    dm.run_script(f"DM.ExecuteScriptString({text!r})").join(PATIENCE)


def lines(dm, part):
    return [line for line in dm.results_window if part in line]


def wait(dm, part, n=1):
    """Wait until the Results window has this many lines containing `part`; return them."""
    for _ in range(int(PATIENCE / 0.05)):
        if len(lines(dm, part)) >= n:
            break
        dm._results.wait_for("no such line", 0.05, lambda: False)
    assert len(lines(dm, part)) >= n, dm.results_window
    return lines(dm, part)


@contextlib.contextmanager
def busy(dm):
    """Let a script occupy DM's main thread."""
    dm.run_script("go = False").join(PATIENCE)
    script = dm.run_script("import time\nwhile not go: time.sleep(0.01)", background=False)
    yield
    dm.run_script("go = True")
    script.join(PATIENCE)


@pytest.mark.parametrize("folder", FOLDERS)
def test_menu_starts_and_stops_the_companion(tmp_path, folder, capsys):
    (tmp_path / folder).mkdir()
    script = tmp_path / folder / "dm_companion.py"
    assert main(["companion", "--menu", "--port", "0", "-o", str(script)]) == 0
    assert "has not been tried in a real GMS" in capsys.readouterr().out
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        assert dm.menu == [("dmlink", "Start"), ("dmlink", "Stop")]
        dm.choose("dmlink", "Start")
        (endpoint,) = wait(dm, "dmlink://")
        with dmlink.connect(endpoint) as link:
            assert Noise().has(link.next(PATIENCE))
            dm.choose("dmlink", "Stop")
            wait(dm, "stopping the companion")
            assert dm._scripts.value("dmlink_companion_running").stopped.wait(PATIENCE)


@pytest.mark.parametrize("python_strings", ["shared", "own"])
def test_start_twice_leaves_one_companion(tmp_path, python_strings):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "--port", "0", "-o", str(script)])
    with microscope(companion=False, python_strings=python_strings) as dm:
        add(dm, script.with_suffix(".s"))
        dm.choose("dmlink", "Start")
        first = wait(dm, "dmlink://")[0]
        dm.choose("dmlink", "Start")
        second = wait(dm, "dmlink://", 2)[1]
        with dmlink.connect(second) as link:
            assert Noise().has(link.next(PATIENCE))
        with pytest.raises(ConnectionError):
            dmlink.connect(first)


@pytest.mark.parametrize("python_strings", ["shared", "own"])
def test_double_click_leaves_one_companion(tmp_path, python_strings):
    """Both run at the same time, in the background."""
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "--port", "0", "-o", str(script)])
    with microscope(companion=False, python_strings=python_strings) as dm:
        add(dm, script.with_suffix(".s"))
        for _ in range(5):
            dm.choose("dmlink", "Start")
        endpoints = wait(dm, "dmlink://", 5)
        answering = 0
        for endpoint in endpoints:
            with contextlib.suppress(ConnectionError), dmlink.connect(endpoint) as link:
                answering += Noise().has(link.next(PATIENCE))
        assert answering == 1


def test_menu_executed_twice_has_each_item_once(tmp_path):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "--port", "0", "-o", str(script)])
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        add(dm, script.with_suffix(".s"))
        assert dm.menu == [("dmlink", "Start"), ("dmlink", "Stop")]


def test_stop_while_dm_is_busy_is_delayed(tmp_path):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "--port", "0", "-o", str(script)])
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        dm.choose("dmlink", "Start")
        wait(dm, "dmlink://")
        companion = dm._scripts.value("dmlink_companion_running")
        with busy(dm):
            dm.choose("dmlink", "Stop")
            dm.choose("dmlink", "Stop")
        assert companion.stopped.wait(PATIENCE)
        wait(dm, "stopping the companion", 2)


def test_start_while_dm_is_busy_is_delayed(tmp_path):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "--port", "0", "-o", str(script)])
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        with busy(dm):
            dm.choose("dmlink", "Start")
            assert not lines(dm, "dmlink://")
        assert wait(dm, "dmlink://")


def test_stop_without_a_companion_is_reported(tmp_path):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "-o", str(script)])
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        dm.choose("dmlink", "Stop")
        assert wait(dm, "found no companion here; press Ctrl+Shift+Q")


@pytest.mark.parametrize("folder", FOLDERS)
def test_menu_runs_an_exported_script(tmp_path, folder):
    (tmp_path / folder).mkdir()
    cell = tmp_path / folder / "größe.py"
    cell.write_text("frame.mean()", encoding="utf-8")
    script = tmp_path / folder / "grösse dm.py"
    assert main(["export", str(cell), "-o", str(script), "--menu"]) == 0
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        ((_, label),) = dm.menu
        assert label.isascii()
        dm.choose("dmlink", label)
        wait(dm, "running on")
        dm.choose("dmlink", label)
        wait(dm, "it was executed again")
        dm.wait_until(lambda: dm.window("of Gold").updates > 2, PATIENCE)
        dm.wait_until(lambda: len(dm.windows()) == 2, PATIENCE, "single window of results")
        dm.close_view()


def test_moved_script_is_reported(tmp_path):
    script = tmp_path / "dm_companion.py"
    main(["companion", "--menu", "-o", str(script)])
    script.unlink()
    with microscope(companion=False) as dm:
        add(dm, script.with_suffix(".s"))
        dm.choose("dmlink", "Start")
        assert wait(dm, "cannot be read (No such file or directory). Write the menu again")


def test_menu_for_another_computer(tmp_path):
    script = tmp_path / "dm_companion.py"
    folder = "C:\\Users\\Jürgen K\\dm scripts"
    assert main(["companion", "--menu-folder", folder, "-o", str(script)]) == 0
    text = script.with_suffix(".s").read_bytes()
    assert text.isascii()
    assert b"C:/Users/J\\\\\\\\xfcrgen K/dm scripts/dm_companion.py" in text
    assert str(tmp_path).encode() not in text


def test_nothing_is_overwritten_unasked(tmp_path, capsys):
    script = tmp_path / "dm_companion.py"
    script.with_suffix(".s").write_text("mine")
    assert main(["companion", "--menu", "-o", str(script)]) == 1
    assert not script.exists()
    assert script.with_suffix(".s").read_text() == "mine"
    assert "exists" in capsys.readouterr().err.lower()
    assert main(["companion", "--menu", "--overwrite", "-o", str(script)]) == 0
    assert "AddScriptToMenu" in script.with_suffix(".s").read_text()


def test_unattested_behaviour_is_named():
    text = menu_script([start("Start", at("C:\\x", "a.py")), stop()])
    assert "Not tried by us in a real GMS" in text
    called = set(re.findall(r"\b([A-Z]\w+)\(", re.sub(r"//[^\n]*", "", text)))
    assert called == {"AddScriptToMenu", "ExecutePythonScriptString"}
