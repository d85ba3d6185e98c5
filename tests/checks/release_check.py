"""Check the files of a release: `python tests/checks/release_check.py`.

Twenty minutes at most; needs the package index.

Builds source distribution and wheel, checks them with twine, installs the wheel in a clean environment, and
there, outside this folder, runs `dmlink --version`, `dmlink demo --headless` and exports a gallery cell.
With `--keep FOLDER`, the two files are kept there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = "Scripts" if os.name == "nt" else "bin"
TOOLS = ("build>=1.3", "twine>=6.2")
SECONDS = 1200.0  # most of it for the network


class Steps:
    """Runs commands one after another until one fails or time runs out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._end = time.monotonic() + SECONDS
        # hide this folder, and variables set for it
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DMLINK"))}
        self._environment |= {"DMLINK_HOME": str(folder / "home"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(self, *command: str | Path, where: Path | None = None) -> str:
        """Run a command, print it and its output, and return the output."""
        print("$", *command, flush=True)
        done = subprocess.run(
            command,
            cwd=where or self._folder,
            env=self._environment,
            timeout=max(1.0, self._end - time.monotonic()),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print("".join(f"    {line}\n" for line in done.stdout.splitlines()[-6:]), end="", flush=True)
        if done.returncode:
            sys.exit(f"This failed with code {done.returncode}.")
        return done.stdout

    def environment(self, name: str) -> Path:
        """Create an environment; return the folder of its commands."""
        venv.create(self._folder / name, with_pip=True)
        return self._folder / name / BIN


def main() -> None:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the wheel and the source there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dmlink-release-") as name:
        folder = Path(name)
        steps = Steps(folder)
        files = build(steps, folder)
        install(steps, files["whl"])
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file in files.values():
                shutil.copy(file, options.keep)
    print("The release is as it should be.")


def build(steps: Steps, folder: Path) -> dict[str, Path]:
    """Build both, the wheel from the source distribution; return them by suffix."""
    tools = steps.environment("tools")
    steps.run(tools / "python", "-m", "pip", "install", "--quiet", "--no-compile", *TOOLS)
    steps.run(tools / "python", "-m", "build", "--outdir", folder / "dist", ROOT, where=ROOT)
    built = sorted((folder / "dist").iterdir())
    steps.run(tools / "python", "-m", "twine", "check", "--strict", *built)
    return {file.name.rpartition(".")[2]: file for file in built}


def install(steps: Steps, wheel: Path) -> None:
    """Install the wheel and use it."""
    clean = steps.environment("clean")
    pip = [clean / "python", "-m", "pip"]
    steps.run(*pip, "install", "--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt", wheel)
    steps.run(*pip, "check")
    version = wheel.name.split("-")[1]
    assert steps.run(clean / "dmlink", "--version").strip() == f"dmlink {version}"
    where = steps.run(clean / "python", "-c", "import dmlink, dmlink_widgets; print(dmlink.__file__)")
    assert str(ROOT) not in where, where
    steps.run(clean / "dmlink", "demo", "--headless")
    steps.run(clean / "dmlink", "companion", "-o", "dm_companion.py")
    write = "from dmlink import gallery; open('cell.py', 'w').write(gallery.text('running_difference'))"
    steps.run(clean / "python", "-c", write)
    steps.run(clean / "dmlink", "export", "cell.py", "-o", "script.py")
    steps.run(clean / "dmlink", "bench", "--help")


if __name__ == "__main__":
    main()
