"""Runs tests elsewhere: the notebook's with each IPython and ipykernel, the kernel's in newer Pythons.

    python tests/checks/matrix.py [--only 7.4] [--minutes 20]
    python tests/checks/matrix.py --python 3.13

Creates a virtual environment for each combination in the user's cache, and keeps it for the next time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import platformdirs

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import gms_pythons

ROOT = Path(__file__).parents[2]
COMBINATIONS = {  # one of each column at least once; the newest of both is what development uses
    "ipykernel-6.31-ipython-8": ("ipykernel==6.31.*", "ipython==8.*"),
    "ipykernel-6.31-ipython-9": ("ipykernel==6.31.*", "ipython==9.*"),
    "ipykernel-7.3-ipython-8": ("ipykernel==7.3.*", "ipython==8.*"),
    "ipykernel-7.4-ipython-8": ("ipykernel==7.4.*", "ipython==8.*"),
    "ipykernel-7.4-ipython-9": ("ipykernel==7.4.*", "ipython==9.*"),
}
TESTS = [
    "tests/widgets/test_magics.py",
    "tests/program",
    "tests/pages",
]


PYTHONS = ("3.12", "3.13")
OF_THE_KERNEL = [  # fast ones: frames in, cells run, scripts out
    *("tests/link/test_delivery.py", "tests/link/test_coarse_clock.py", "tests/engine/test_worker.py"),
    *("tests/program/test_program.py", "tests/script/test_readback.py", "tests/indm/test_results.py"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="combinations with this in their name")
    parser.add_argument("--python", choices=PYTHONS, help="test the kernel's side in this Python instead")
    parser.add_argument("--minutes", type=float, default=20, help="that each may take (20)")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="what to run instead of all")
    options = parser.parse_args()
    if options.python:
        return run_in(options.python, options.minutes) != "passed"
    chosen = {name: needs for name, needs in COMBINATIONS.items() if options.only in name}
    if not chosen:
        parser.error(f"no combination has {options.only!r} in its name; available: {', '.join(COMBINATIONS)}")
    outcomes = {name: run(name, needs, options.tests, options.minutes) for name, needs in chosen.items()}
    for name, outcome in outcomes.items():
        print(f"{name:28} {outcome}")
    return int(any(outcome != "passed" for outcome in outcomes.values()))


def run_in(version: str, minutes: float) -> str:
    """Run the kernel's tests in another Python, from pyenv or the PATH; return the outcome."""
    found = gms_pythons.python(version)
    if found is None:
        return f"there is no Python {version}, neither from pyenv nor on the PATH"
    return run(f"kernel-py{version}", (), OF_THE_KERNEL, minutes, str(found))


def run(
    name: str, needs: tuple[str, ...], tests: list[str], minutes: float, base: str = sys.executable
) -> str:
    """Run the tests in the environment of a combination; return the outcome."""
    folder = Path(platformdirs.user_cache_dir("dmlink")) / "matrix" / f"{name}-py{sys.version_info[1]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([base, "-m", "venv", folder], check=True)
    pins, stamp = folder / "constraints.txt", folder / "made-from"
    pins.write_text(pins_beside(needs), "utf-8")
    made_from = made_of(needs)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install: list[str | Path] = [*pip, "--constraint", pins, "--editable", f"{ROOT}[test]", *needs]
    # the environment's own source, not that of another clone in PYTHONPATH
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    print(f"== {name}", flush=True)
    try:
        if not stamp.exists() or stamp.read_text("utf-8") != made_from:
            subprocess.run(install, cwd=ROOT, env=environment, timeout=60 * minutes, check=True)
            stamp.write_text(made_from, "utf-8")
        test: list[str | Path] = [python, "-m", "pytest", "-q", *tests]
        subprocess.run(test, cwd=ROOT, env=environment, timeout=60 * minutes, check=True)
    except subprocess.CalledProcessError as error:
        return "not installed" if error.cmd is install else "FAILED"
    except subprocess.TimeoutExpired:
        return f"took longer than {minutes:g} minutes"
    return "passed"


def made_of(needs: tuple[str, ...]) -> str:
    """Return a key for an environment's contents: if it is unchanged, nothing has to be installed."""
    files = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\n".join([bytes(ROOT), *files, repr(needs).encode()])).hexdigest()


def pins_beside(needs: tuple[str, ...]) -> str:
    """Return the project's constraints without the packages that a combination specifies."""
    chosen = {need.partition("==")[0] for need in needs}
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines(keepends=True)
    return "".join(pin for pin in pins if pin.partition("==")[0].strip().lower() not in chosen)


if __name__ == "__main__":
    sys.exit(main())
