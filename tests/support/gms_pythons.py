"""GMS's versions of Python: where they are on this computer, with a NumPy from their time, and DM in them."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import platformdirs
from project import ROOT

import dmlink
from dmlink import bundle
from dmlink.comparison.windows import ExpectedWindows
from dmlink.frame import Axis, Info, Roi
from dmlink.program.instance import Instance
from dmlink.program.program import program_of
from dmlink.script.exporter import script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

VERSIONS = {"3.7": "1.21.6", "3.8": "1.22.4", "3.9": "1.24.4", "3.10": "1.26.4"}
"""NumPy versions by Python: a sample of the combinations in GMS 3.4 to 3.6x, with oldest and newest NumPy."""

HOST = Path(__file__).with_name("dm_in_gms_python.py")
CACHE = Path(platformdirs.user_cache_dir("dmlink")) / "gms-pythons"
SOURCE = "Gold"
X, Y = Axis(-8.0, 0.5, "nm"), Axis(-4.0, 0.25, "nm")
TOLERANCE = 1e-4  # different versions of NumPy add in a different order

CELLS = {
    "number": "frame.mean()",
    "profile": "Profile(np.fft.rfft(frame.mean(axis=0)).real, scale=info.scale, unit=info.unit)",
    "image": "gain: float = 2.0\nImage(gain * (frame - np.median(frame)), scale=info.scale, unit=info.unit)",
    "colours": "grey = (frame / 4).astype(np.uint8)\nnp.stack([grey, grey // 2, 255 - grey], axis=-1)",
    "marks": "Points(np.argwhere(frame > np.percentile(frame, 99.5)))",
}


def python(version: str) -> Path | None:
    """Return the path of a Python of this version on this computer, if there is one.

    It can be set by a variable such as DMLINK_PYTHON_3_10; otherwise pyenv's is used, or one on the PATH.
    """
    named = os.environ.get("DMLINK_PYTHON_" + version.replace(".", "_"))
    if named:
        return Path(named)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted((root / "versions").glob(f"{version}.*/bin/python"))
    found = kept[-1] if kept else shutil.which(f"python{version}")
    return Path(found) if found else None


def numpy_for(version: str, platform: str = "") -> Path:
    """Return a folder with NumPy for a Python of this version, from the cache or a package index.

    `platform` selects another system, such as "win_amd64".

    Raises
    ------
    OSError
        If it is not available; the message ends with pip's output.
    """
    numpy = f"numpy=={VERSIONS[version]}"
    folder = CACHE / f"{numpy}-python-{version}-{platform or sys.platform}"
    if folder.exists():
        return folder
    begun = folder.with_name(f"{folder.name}.{os.getpid()}")
    there = ["--target", str(begun), "--python-version", version, "--only-binary=:all:", "--no-deps"]
    there += ["--ignore-requires-python"]  # the platform of the Python that runs pip
    there += ["--platform", platform] if platform else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *there, numpy], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(begun, ignore_errors=True)
        raise OSError(f"{numpy} for Python {version}: {done.stderr.strip()[-300:]}")
    begun.rename(folder)
    return folder


class DM:
    """A simulated DigitalMicrograph in another Python.

    Parameters
    ----------
    command : sequence of str
        Command that starts that Python.
    numpy : Path
        The folder of its NumPy.
    name : callable
        Returns that Python's name for a path.
    environment : mapping
        Additional environment variables.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        numpy: Path,
        name: Callable[[Path], str] = str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.path_name = name
        self._process = subprocess.Popen(
            [*command, "-B", name(HOST), name(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {}), "PYTHONPATH": name(numpy)},
        )

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            pickle.dump((name, arguments), self._process.stdin, protocol=4)
            self._process.stdin.flush()
            failed, value = pickle.load(self._process.stdout)  # noqa: S301 - from our own process
            if failed:
                raise RuntimeError(failed)
            return value

        return call

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def check_companion(dm: DM, folder: Path) -> None:
    """Check that a link in the current Python gets frames, moves a rectangle and shows a result."""
    with _live_view(dm, folder, fps=50.0) as frames:
        endpoint = dm.run(bundle.companion(0), "dm_companion", True, "dmlink://").split()[-1]
        with dmlink.connect(endpoint, mode="lossless") as link:
            for frame in (link.next(60) for _ in range(20)):
                assert (frames == frame.data).all(axis=(1, 2)).any()
                assert (frame.x, frame.y, frame.source) == (X, Y, SOURCE)
            link.set_roi("spot", Roi(3, 5, 20, 40))
            with dmlink.connect(endpoint, roi="spot") as spot:
                assert spot.next(60).data.shape == (17, 35)
            link.show("mean", dmlink.Profile(frames[0].mean(axis=0)))
            assert dm.window("mean").data.shape == frames[0].shape[1:]


def check_selftest(dm: DM, folder: Path) -> list[str]:
    """Check that the self-test asks all its questions; return its output."""
    with _live_view(dm, folder, fps=50.0, on_purpose="part of the self-test"):
        text = bundle.selftest(FOLDER=str(folder), LISTEN_SECONDS=0.5)
        dm.run(text, "dm_selftest", True, "dmlink self-test ends")
        printed: list[str] = dm.output()
        assert any(
            line.startswith("How often is a handler called") and line.endswith("1") for line in printed
        ), printed
        return printed


def check_script(dm: DM, folder: Path, kind: str) -> float:
    """Check that a cell's script shows the cell's results; return the largest difference."""
    cell = dmlink.LiveCell(CELLS[kind], kind, {"np": np})
    here, expected = Instance(program_of(cell)), ExpectedWindows(kind, SOURCE)
    largest = 0.0
    with _live_view(dm, folder, fps=20.0, paused=True) as frames:
        dm.run(script(program_of(cell)), kind, False, "running on")
        for number, frame in enumerate(frames):
            dm.step(int(number > 0))
            windows, printed = {window.name: window for window in dm.windows()}, dm.output()
            result = here.process(frame, Info(number, 0.0, X, Y, None, SOURCE, {}))
            compared = list(expected.compare(number, number, result, windows, printed))
            assert compared
            for one in compared:
                assert one.wrong in {"", "the values differ"}, (one, printed)
                assert one.difference <= TOLERANCE * float(frame.max()), (one, printed)
                largest = max(largest, one.difference)
    return largest


@contextmanager
def _live_view(
    dm: DM, folder: Path, *, fps: float, paused: bool = False, on_purpose: str = "nothing"
) -> Iterator[np.ndarray]:
    """Show frames that differ everywhere, (3, 48, 64); check that nothing escapes into DM or is left."""
    path = folder / "frames.npy"
    frames = np.random.default_rng(7).integers(0, 1000, (3, 48, 64)).astype(np.uint16)
    np.save(path, frames)
    dm.start(dm.path_name(path), SOURCE, tuple(X), tuple(Y), fps, paused)
    try:
        yield frames
    finally:
        escaped, left = dm.close()
    assert not [error for error in escaped if on_purpose not in error]
    assert not left
