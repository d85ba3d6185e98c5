"""Cells: what the three notebooks run: seven of the gallery, and on the whole frame one number each."""

from __future__ import annotations

from dmlink import gallery

# of the gallery, the light ones: ten cells, three notebooks and a browser share what may be two cores
SEVEN = (
    "running_difference", "fft_radial_profile", "roi_statistics", "diffraction_profile", "drift", "kymograph",
    "filtered_view",
)  # fmt: skip
WHOLE = "--max-rate 10\nfloat(frame[::4, ::4].mean())"


def of_notebooks(names: str) -> dict[str, dict[str, str]]:
    """Deal them out to notebooks; each runs its own on the ROI of its name, and one on the whole frame."""
    dealt: dict[str, dict[str, str]] = {name: {f"whole_{name}": WHOLE} for name in names}
    for i, name in enumerate(SEVEN):
        notebook = names[i % len(names)]
        dealt[notebook][name] = f"--roi {notebook}\n{gallery.text(name)}"
    return dealt
