"""The gallery: ready-made live cells as text, to run, to read and to change.

Each module here is the text of one cell: `%live load gallery/NAME` puts it into the notebook, and
`dmlink.LiveCell(gallery.text(NAME), NAME)` runs it from a script. They are not imported.
"""

from __future__ import annotations

import itertools
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from dmlink import data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dmlink.playback import Replay

__all__ = ["Example", "example", "names", "sentence", "text"]


class Example(NamedTuple):
    """An example that suits a cell: a recording, how many of its frames to use, and parameters."""

    recording: Path
    frames: int
    values: dict[str, float]

    def replay(self) -> Replay:
        """Play the recording as a live view, in a loop, in a separate process."""
        from dmlink.playback import replay  # noqa: PLC0415 - names and texts need no link

        return replay(self.recording)


_EXAMPLES: dict[str, tuple[Callable[[], Path], int, dict[str, float]]] = {
    "denoise": (data.moving_particles, 2, {}),
    "diffraction_profile": (data.ring_pattern, 4, {}),
    "drift": (data.drifting_film, 30, {}),
    "fft_colour_map": (data.crystallites, 2, {}),
    "fft_radial_profile": (data.crystallites, 4, {}),
    "filtered_view": (data.nanoparticles, 30, {}),
    "focus_astigmatism": (data.thon_rings, 6, {"Cs": 1.2}),
    "kymograph": (data.moving_particles, 60, {}),
    "maximum_fft": (data.crystallites, 2, {}),
    "particle_tracking": (data.moving_particles, 10, {}),
    "phase_change": (data.crystallisation, 80, {}),
    "roi_statistics": (data.nanoparticles, 30, {}),
    "running_difference": (data.nanoparticles, 30, {}),
    "template_match": (data.moving_particles, 10, {"size": 17}),
    "virtual_detector": (data.ring_pattern, 8, {}),
}


def names() -> list[str]:
    """Return the names of the cells, in alphabetical order."""
    files = (file.name for file in resources.files("dmlink").joinpath("gallery").iterdir())
    return sorted(name.removesuffix(".py") for name in files if name.endswith(".py") and name[0] != "_")


def text(name: str) -> str:
    """Return the text of the cell `name`.

    Raises
    ------
    ValueError
        If there is no such cell; the message says which there are.
    """
    _refuse_unknown(name)
    file = resources.files("dmlink").joinpath("gallery", f"{name}.py")
    return file.read_text(encoding="utf-8")


def sentence(name: str) -> str:
    """Return what the cell `name` shows, in one sentence: the first of its leading comment.

    Raises
    ------
    ValueError
        If there is no such cell; the message says which there are.
    """
    lines = itertools.takewhile(lambda line: line.startswith("# "), text(name).splitlines())
    return f"{' '.join(line[2:] for line in lines).partition('. ')[0].rstrip('.')}."


def example(name: str) -> Example:
    """Return an example from `dmlink.data` that suits the cell `name`; it is generated on first use.

    `gallery.example(name).replay()` plays it as a live view.

    Raises
    ------
    ValueError
        If there is no such cell; the message says which there are.
    """
    _refuse_unknown(name)
    make, frames, values = _EXAMPLES[name]
    return Example(make(), frames, values)


def _refuse_unknown(name: str) -> None:
    if name not in names():
        has = ", ".join(names()) or "none"
        raise ValueError(f"There is no cell {name!r} in the gallery; available: {has}.")
