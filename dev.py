"""Everything from a fresh clone, with nothing but Python: `python dev.py demo`, `python dev.py test`.

Makes `.venv`, installs the project there with the versions of constraints.txt, finds or installs a browser
for the tests, and runs. Windows, macOS and Linux. More arguments are handed on: `python dev.py test -k link`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
NEEDED = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    commands = {"demo": demo, "test": test}
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 2
    if sys.version_info < NEEDED:
        needed = ".".join(str(n) for n in NEEDED)
        print(f"dmlink needs Python {needed} or later; this is {sys.version.split()[0]} ({sys.executable}).")
        return 1
    os.chdir(ROOT)
    install()
    return commands[arguments[0]](arguments[1:])


def demo(arguments: list[str]) -> int:
    """Start a simulated microscope and JupyterLab on it."""
    return subprocess.run([PYTHON, "-m", "dmlink", "demo", *arguments], check=False).returncode


def test(arguments: list[str]) -> int:
    """Check style, types and behaviour; with arguments, only the tests that they select."""
    os.environ["DMLINK_BROWSER"] = browser()
    checks = [] if arguments else [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    for check in [*checks, ["pytest", *arguments]]:
        print("$", *check, flush=True)
        code = subprocess.run([PYTHON, "-m", *check], check=False).returncode
        if code:
            return code
    return 0


def install() -> None:
    """Make the environment, unless it is there and nothing that it is made from has changed."""
    made_from = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    stamp = ENVIRONMENT / "made-from"
    digest = hashlib.sha256(made_from + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest and PYTHON.exists():
        return
    print("Installing dmlink into .venv (a few minutes the first time) ...", flush=True)
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    code = subprocess.run([*pip, "--constraint", "constraints.txt", "--editable", ".[test]"], check=False)
    if code.returncode:
        sys.exit("The installation failed; what pip said is above. Is the network there?")
    stamp.write_text(digest)


def browser() -> str:
    """Return the path of a Chromium or Chrome, installed if there is none."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    print("No Chromium found; installing one for the tests ...", flush=True)
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False)
        path = shutil.which("chromium")
        if path:
            return path
    subprocess.run([PYTHON, "-m", "playwright", "install", "chromium"], check=False)
    return ""  # Playwright finds its own


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
