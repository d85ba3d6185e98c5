"""Cells: what the three notebooks run: seven cells of the gallery, and one number of the whole frame each."""

from __future__ import annotations

from dmlink import gallery

# the gallery's light ones: ten cells, three notebooks and a browser may share two cores
SEVEN = (
    "running_difference", "fft_radial_profile", "roi_statistics", "diffraction_profile", "drift", "kymograph",
    "filtered_view",
)  # fmt: skip
WHOLE = "--max-rate 10\nfloat(frame[::4, ::4].mean())"


def of_notebooks(names: str) -> dict[str, dict[str, str]]:
    """Distribute them among notebooks; each runs its share on the ROI of its name, and one on the frame."""
    dealt: dict[str, dict[str, str]] = {name: {f"whole_{name}": WHOLE} for name in names}
    for i, name in enumerate(SEVEN):
        notebook = names[i % len(names)]
        dealt[notebook][name] = f"--roi {notebook}\n{gallery.text(name)}"
    return dealt
