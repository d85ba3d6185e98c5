"""Cells: what the three notebooks run: seven of the gallery, and on the whole frame one number each."""

from __future__ import annotations

from dmlink import gallery

# the light ones: ten cells, three notebooks and a browser share what may be two cores
PREFERRED = (
    "running_difference", "fft_radial_profile", "roi_statistics", "diffraction_profile", "drift", "kymograph",
    "filtered_view",
)  # fmt: skip
OURS = {  # until there are seven in the gallery
    "mean_profile": "profile = frame.mean(axis=0)\nProfile(profile, info.scale, unit=info.unit)",
    "contrast": "gamma: (0.2, 2.0, 0.1) = 1.0\nfloat((frame.std() / frame.mean()) ** gamma)",
    "spectrum": (
        "import numpy as np\nimport scipy.fft\n"
        "power = np.abs(scipy.fft.rfft2(np.float32(frame[:256, :256]))) ** 2\nnp.log1p(power)"
    ),
    "bright": (
        "import numpy as np\nn: (1, 40) = 10\n"
        "flat = np.argsort(frame, axis=None)[-n:]\nPoints(np.stack(np.unravel_index(flat, frame.shape), 1))"
    ),
    "smooth": (
        "from scipy.ndimage import gaussian_filter\nsigma: (0.0, 5.0, 0.5) = 1.0\n"
        "gaussian_filter(frame[::2, ::2].astype('float32'), sigma)"
    ),
    "table": "{'mean': float(frame.mean()), 'spread': float(frame.std())}",
}
WHOLE = "--max-rate 10\nfloat(frame[::4, ::4].mean())"


def seven() -> dict[str, str]:
    """Return seven cells by name, of the gallery as far as there are so many."""
    there = gallery.names()
    names = [*(n for n in PREFERRED if n in there), *(n for n in there if n not in PREFERRED)]
    found = {name: gallery.text(name) for name in names[:7]}
    for name, text in OURS.items():
        if len(found) < 7:
            found[name] = text
    return found


def of_notebooks(names: str) -> dict[str, dict[str, str]]:
    """Deal them out to notebooks; each runs its own on the ROI of its name, and one on the whole frame."""
    dealt: dict[str, dict[str, str]] = {name: {f"whole_{name}": WHOLE} for name in names}
    for i, (name, text) in enumerate(seven().items()):
        notebook = names[i % len(names)]
        dealt[notebook][name] = f"--roi {notebook}\n{text}"
    return dealt
