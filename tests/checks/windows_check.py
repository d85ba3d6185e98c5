"""Runs dmlink in a real Python for Windows, with Wine: what runs in DM, and the kernel's side.

    python tests/checks/windows_check.py [--python 3.7 3.10] [--kernel 3.11] [--transcript FILE]

In GMS's Pythons: companion, self-test and exported scripts, with a link from here. In Python 3.11: the tests
of the kernel's side, except those that need SciPy or h5py, which Wine cannot load.

Wine and a compiler for Windows must be installed (Debian: `apt-get install wine wine64
gcc-mingw-w64-x86-64-win32`), and the same Pythons for this system, from pyenv. The rest is assembled in
the user's cache, see windows_python.py.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

import gms_pythons  # noqa: E402 - support is where tests find it
import windows_python  # noqa: E402
from gms_pythons import CELLS, check_companion, check_script, check_selftest  # noqa: E402
from project import ROOT  # noqa: E402
from windows_python import windows_path  # noqa: E402

LEFT_OUT = (  # Wine lacks functions that these need; the last one is not for the kernel
    *("scipy", "h5py", "scikit-image", "jupyterlab"),
)
TESTING = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "vermin", "import-linter")
ABOUT = (
    "import platform as p, numpy; print(p.python_version(), 'on', p.system() + ', NumPy', numpy.__version__)"
)
KERNEL_TESTS = (  # others need SciPy or h5py, or start so many processes that it takes hours
    *("tests/link/test_delivery.py", "tests/link/test_coarse_clock.py", "tests/link/test_on_windows.py"),
    *("tests/engine/test_process_group.py", "tests/indm/test_results.py", "tests/indm/test_renaming.py"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", nargs="*", default=["3.7", "3.10"], choices=list(gms_pythons.VERSIONS))
    parser.add_argument("--kernel", default="3.11", help='Python of the kernel\'s side (3.11); "" for none')
    parser.add_argument("--transcript", type=Path, help="a file to write what is printed to as well")
    options = parser.parse_args()
    missing = [program for program in ("wine", windows_python.COMPILER) if not shutil.which(program)]
    if missing:
        print(f"Missing: {', '.join(missing)}. See --help.", file=sys.stderr)
        return 2
    transcript = Transcript(options.transcript)
    environment = windows_python.prefix()
    for version in options.python:
        check(version, environment, transcript)
    if options.kernel:
        check_kernel(options.kernel, environment, transcript)
    transcript.say("failed" if transcript.failed else "all passed")
    return int(transcript.failed)


def check(version: str, environment: dict[str, str], transcript: Transcript) -> None:
    """Check everything that runs in DM in one Python."""
    numpy = gms_pythons.numpy_for(version, "win_amd64")
    command = windows_python.command(version)
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


def check_kernel(version: str, environment: dict[str, str], transcript: Transcript) -> None:
    """Run the tests of the kernel's side in one Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = [need for need in project["dependencies"] if re.split(r"\W*[<>=]", need)[0] not in LEFT_OUT]
    packages = windows_python.packages(version, [*needs, *TESTING], ROOT / "constraints.txt")
    command = windows_python.command(version)

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [*command, "-B", *arguments],
            cwd=ROOT,
            env=variables,
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def tests() -> str:
        printed = python("-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *KERNEL_TESTS)
        lines = [
            line for line in printed.splitlines() if re.match(r"(FAILED|ERROR) |\d+ (failed|passed)", line)
        ]
        if not lines or not re.match(r"\d+ passed", lines[-1]):
            raise AssertionError("\n".join(lines or printed.splitlines()[-20:]))
        return lines[-1]

    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "dmlink-0.dist-info", "METADATA")  # as if it were installed
        metadata.parent.mkdir()
        metadata.write_text("Metadata-Version: 2.1\nName: dmlink\nVersion: 0\n", "ascii")
        paths = [packages, Path(folder), ROOT, ROOT / "widgets", ROOT / "tests" / "checks"]
        variables = {**os.environ, **environment, "PYTHONPATH": ";".join(map(windows_path, paths))}
        transcript.say(f"Python {python('-c', ABOUT).strip()}")
        transcript.ask("tests of the kernel's side", tests)


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


if __name__ == "__main__":
    sys.exit(main())
