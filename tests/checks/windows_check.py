"""Runs dmlink in a real Python for Windows, with Wine: what runs in DM, and the kernel's side.

    python tests/checks/windows_check.py [--python 3.7 3.10] [--kernel 3.11] [--transcript FILE]

In GMS's Pythons: companion, self-test and exported scripts, with a link from here. In Python 3.11, with all
packages: every test is collected, which imports every module, and some tests of the kernel's side are run.

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

ABOUT = (
    "import platform as p, numpy; print(p.python_version(), 'on', p.system() + ', NumPy', numpy.__version__)"
)
KERNEL_TESTS = (  # others start so many processes that it takes hours
    *("tests/link/test_delivery.py", "tests/link/test_coarse_clock.py", "tests/link/test_on_windows.py"),
    *("tests/engine/test_process_group.py", "tests/indm/test_results.py", "tests/indm/test_renaming.py"),
    *("tests/recordings/test_bad_recordings.py", "tests/recordings/test_recordings.py"),
    *("tests/recordings/test_folders.py", "tests/recordings/test_gatan_files.py"),
    "tests/recordings/test_recorder.py",
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
    """Collect all tests, and run those of the kernel's side, in one Python."""
    command = windows_python.command(version)
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": windows_path(windows_python.COMPILED)}

    def python(*arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment, **compiled, **variables},
            input="",
            capture_output=True,
            text=True,
            errors="replace",  # Windows's own code page
            check=False,
        )
        return done.stdout + done.stderr

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needs = [
        *project["dependencies"],
        *(need for need in extras["test"] if "dmlink" not in need),
        *extras["docs"],
    ]
    full_version = python("-c", "import platform; print(platform.python_version())").split()[0]
    packages = windows_python.packages(full_version, needs, ROOT / "constraints.txt")

    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "dmlink-0.dist-info", "METADATA")  # as if it were installed
        metadata.parent.mkdir()
        metadata.write_text("Metadata-Version: 2.1\nName: dmlink\nVersion: 0\n", "ascii")
        paths = [packages, Path(folder), ROOT, ROOT / "widgets", ROOT / "tests" / "checks"]
        where = ";".join(map(windows_path, paths))

        def pytest(wanted: str, *arguments: str) -> str:
            """Return pytest's last line if it is the wanted one."""
            options = ("-n", "0", "-q", "-p", "no:cacheprovider")
            printed = python("-m", "pytest", *options, *arguments, PYTHONPATH=where)
            lines = [
                line
                for line in printed.splitlines()
                if re.match(r"(FAILED|ERROR) |[\d/]+ (failed|passed|tests)", line)
            ]
            if not lines or not re.match(wanted, lines[-1]):
                raise AssertionError("\n".join(lines or printed.splitlines()[-20:]))
            return lines[-1]

        transcript.say(f"Python {python('-c', ABOUT, PYTHONPATH=where).strip()}")
        transcript.ask(
            "all tests, collected", lambda: pytest(r"\S+ tests collected(?!.* error)", "--collect-only")
        )
        for file in KERNEL_TESTS:
            transcript.ask(file, lambda file=file: pytest(r"\d+ passed", file))


class Transcript:
    """The questions and their answers."""

    def __init__(self, path: Path | None) -> None:
        self.failed = False
        self._path = path
        if path:
            path.write_text("", "utf-8")

    def say(self, text: str) -> None:
        """Print a line, without the folder of this clone."""
        text = text.replace(windows_path(ROOT), "dmlink's folder")
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
