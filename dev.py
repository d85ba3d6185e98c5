"""Everything from a fresh clone, with nothing but Python: `python3 dev.py demo`, `python3 dev.py test`.

On Windows `py dev.py demo`. It creates `.venv`, installs what the command needs, with the versions in
constraints.txt, finds or installs a browser for the tests, and runs the command. Further arguments
are passed on: `python3 dev.py test -k link`. It works on Windows, macOS and Linux.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

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
        print(
            f"dmlink needs Python {needed} or later; this is {sys.version.split()[0]} ({sys.executable}). "
            f"Call a later one by its name: `python{needed} dev.py {arguments[0]}`, on Windows "
            f"`py -{needed} dev.py {arguments[0]}`; python.org has them."
        )
        return 1
    os.chdir(ROOT)
    try:
        return commands[arguments[0]](arguments[1:])
    except KeyboardInterrupt:
        return 130


def demo(arguments: list[str]) -> int:
    """Start a simulated microscope and JupyterLab on it."""
    install("demo")
    return run([PYTHON, "-m", "dmlink", "demo", *arguments])


def test(arguments: list[str]) -> int:
    """Check style, types and behaviour, with --exhaustive completely; other arguments only select tests."""
    install("test")
    os.environ["DMLINK_BROWSER"] = browser()
    checks = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    if set(arguments) - {"--exhaustive"}:
        checks.clear()
    for check in [*checks, ["pytest", "--numprocesses", "auto", *arguments]]:
        print("$", *check, flush=True)
        code = run([PYTHON, "-m", *check])
        if code:
            return code
    return 0


def install(command: str) -> None:
    """Install what a command needs, unless it is installed and its requirements have not changed."""
    made_from = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    digest = hashlib.sha256(made_from + sys.version.encode()).hexdigest()
    stamp = ENVIRONMENT / f"installed-for-{command}"
    if stamp.exists() and stamp.read_text() == digest and PYTHON.exists():
        return
    print("Installing dmlink into .venv (a few minutes the first time) ...", flush=True)
    if not PYTHON.exists():
        make_environment()
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-compile"]  # takes half of the time; modules are compiled when first imported
    what = {"demo": ".", "test": ".[test]"}[command]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        if run([*pip, "--constraint", "constraints.txt", "--editable", what], stdout=said, stderr=said):
            said.seek(0)
            sys.exit(f"{said.read()}\nThe installation failed; what pip said is above. Is the network there?")
    for served in ("demo", "test") if command == "test" else ("demo",):
        (ENVIRONMENT / f"installed-for-{served}").write_text(digest)


def make_environment() -> None:
    """Create `.venv` with pip in it; remove an incomplete one."""
    try:
        # copies of some Pythons do not start on macOS
        venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        sys.exit(
            f"{sys.executable} cannot install pip into .venv. On Debian and Ubuntu this helps: "
            "sudo apt install python3-venv"
        )
    except BaseException:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise


def run(command: list[str | Path], **options: Any) -> int:
    """Run a command to its end, even after Ctrl+C, which reaches it, too; return its exit code."""
    process = subprocess.Popen(command, **options)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def browser() -> str:
    """Return the path of a Chromium or Chrome, after installing one if necessary."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    print("No Chromium found; installing one for the tests ...", flush=True)
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-y", "-qq", "chromium"])
        path = shutil.which("chromium")
        if path:
            return path
    run([PYTHON, "-m", "playwright", "install", "chromium"])
    return ""  # Playwright finds its own browser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
