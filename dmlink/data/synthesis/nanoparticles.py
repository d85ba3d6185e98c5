"""A synthetic in-situ recording with known truth: gold nanoparticles crystallise and coalesce on a film.

Bright field at 300 kV. The film is a weak phase object: white noise through the contrast transfer function
sin(pi lambda df q^2) (Williams and Carter, Transmission Electron Microscopy, chapter 28). Particles absorb as
exp(-thickness / L); lattice fringes are those of gold along [011].
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Part of the file's name: count up when anything below changes a pixel.
VERSION = 1

FRAMES, SIZE, FPS, SCALE = 120, 512, 20.0, 0.05  # SCALE in nm per pixel
DOSE = 180.0  # electrons per pixel and frame where there is only film
ABSORPTION = 12.0  # nm of gold that let 1/e of the electrons into the image
WAVELENGTH, DEFOCUS, LIMIT = 1.97e-3, 75.0, 5.5  # nm, nm, 1/nm: where the envelope is 1/e

#: {111}, {200}, {111} of gold, a little off the [011] zone: spacing (nm), angle to the first, amplitude.
REFLECTIONS = ((0.235, 0.0, 0.17), (0.204, np.deg2rad(54.74), 0.08), (0.235, np.deg2rad(109.47), 0.07))

#: Particles at frame 0: y, x (px), radius (nm), angle (degrees), turn (degrees per frame), onset (frame).
PARTICLES = (
    (207, 180, 2.4, 20, 0.12, 8),  # takes up the second
    (262, 296, 1.9, 47, 0.20, 22),
    (106, 388, 2.9, 110, -0.10, -20),
    (392, 128, 2.2, 75, -0.25, 50),
    (402, 396, 2.6, -20, 0.15, 32),
    (98, 78, 1.6, 150, 0.30, 68),
    (455, 270, 1.5, 5, -0.30, 84),
)
CRYSTALLISATION = 12  # frames from the onset to full fringes
CONTACT, MERGING, NECK = 58, 26, 0.7  # frame in which two touch; frames of merging; nm of flowing outline
DRIFT = np.array([[-0.11], [0.19]])  # px per frame, y and x

CONVENTIONS = (
    "Lists run over frames. positions: y, x in px, null once absorbed; radius, spacings: nm; angle: rad, of "
    "the strong {111} reciprocal vector, anticlockwise from +x with y up, modulo pi; onset: frame in which "
    "crystallinity leaves 0 (negative: earlier); coalescence: touch in frame, one from absorbed on; drift: y,"
    " x of the film since frame 0 in px, contained in positions."
)


@dataclass(frozen=True)
class Truth:
    """What happens: arrays over (particle, frame), angles in rad, lengths in nm, positions in px (y, x)."""

    drift: np.ndarray
    yx: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    crystallinity: np.ndarray


def write(path: Path) -> None:
    """Write the recording to `path` (.npy, uint16, 120 x 512 x 512), the truth to a .json file beside it."""
    truth, film = story(), _film()
    frames = np.lib.format.open_memmap(path, "w+", np.uint16, (FRAMES, SIZE, SIZE))

    def expose(i: int) -> None:
        # Each frame has its own generator, so that the order of the threads does not matter.
        frames[i] = np.random.default_rng([VERSION, 2, i]).poisson(DOSE * image(truth, film, i))

    with ThreadPoolExecutor(2, "nanoparticles") as threads:
        list(threads.map(expose, range(FRAMES)))
    path.with_suffix(".json").write_text(json.dumps(sidecar(truth)), "utf-8")


def story() -> Truth:
    """Let the particles drift, rotate, crystallise and coalesce."""
    rng = np.random.default_rng([VERSION, 0])
    n, t = len(PARTICLES), np.arange(FRAMES)
    y, x, r, angle, turn, onset = np.array(PARTICLES, float).T[..., None]
    drift = (DRIFT * t + _walk(rng, 2, 0.15)).T
    yx = np.stack([y + _walk(rng, n, 0.35), x + _walk(rng, n, 0.35)], axis=-1)
    radius = np.repeat(r, FRAMES, axis=1)
    angle = np.deg2rad(angle + turn * t + _walk(rng, n, 0.25))
    crystallinity = _step((t - onset) / CRYSTALLISATION)
    # The first two accelerate towards their centre of mass; after contact, the first absorbs the second.
    first, second = radius[0, 0], radius[1, 0]
    merging = _step((t - CONTACT) / MERGING)
    radius[0] = np.cbrt(first**3 + second**3 * merging)
    radius[1] = np.cbrt(second**3 * (1 - merging))
    centre = (yx[0] * first**3 + yx[1] * second**3) / (first**3 + second**3)
    away = yx[1, 0] - yx[0, 0]
    gap = (np.hypot(*away) * SCALE - first - second) * (1 - np.minimum(t / CONTACT, 1) ** 2)
    distance = (first + second + gap) * (1 - merging)
    radius[1, distance + radius[1] < radius[0] - NECK] = 0  # absorbed, so that nothing of it is visible
    vector = distance[:, None] / SCALE * away / np.hypot(*away) / (first**3 + second**3)
    yx[0], yx[1] = centre - vector * second**3, centre + vector * first**3
    # The lattice has a two-fold axis, so the second rotates the shorter way to the orientation of the first.
    apart = (angle[0] - angle[1] + np.pi / 2) % np.pi - np.pi / 2
    angle[1] += apart * _step((t - CONTACT) / MERGING * 2)
    return Truth(drift, yx + drift, radius, angle, crystallinity)


def image(truth: Truth, film: np.ndarray, i: int) -> np.ndarray:
    """Return frame `i` without noise, shape (h, w), in units of the dose."""
    shift = np.exp(-2j * np.pi * (np.fft.fftfreq(SIZE) * truth.drift[i, 0])[:, None])
    shift = shift * np.exp(-2j * np.pi * np.fft.rfftfreq(SIZE) * truth.drift[i, 1])
    grain = np.fft.irfft2(film * shift.astype(np.complex64), (SIZE, SIZE))
    beam = 1.01 - 0.018 * np.hypot(*np.ogrid[-1.3 : 0.7 : SIZE * 1j, -0.8 : 1.2 : SIZE * 1j]) ** 2
    seen = (1 + grain) * beam
    for together in ((0, 1), *((p,) for p in range(2, len(PARTICLES)))):
        members = [p for p in together if truth.radius[p, i] > 0]
        yx, margin = truth.yx[members, i], truth.radius[members, i].max() / SCALE + 16
        top, left = np.maximum(0, yx.min(0) - margin).astype(int)
        bottom, right = np.minimum(SIZE, yx.max(0) + margin).astype(int)
        window = np.s_[top:bottom, left:right]
        seen[window] *= _transmitted(truth, members, i, np.ogrid[window], grain[window])
    return seen


def sidecar(truth: Truth) -> dict[str, Any]:
    """Return the calibration and the truth, as written next to the recording."""
    particles = []
    for p, (*_, onset) in enumerate(PARTICLES):
        radius, yx = truth.radius[p], truth.yx[p].round(3).tolist()
        particle = {
            "onset": onset,
            "positions": [at if r else None for at, r in zip(yx, radius, strict=True)],
        }
        lists = {"radius": radius, "angle": truth.angle[p], "crystallinity": truth.crystallinity[p]}
        particles.append(particle | {what: values.round(5).tolist() for what, values in lists.items()})
    absorbed = int(truth.radius[1].argmin())
    events = {
        "conventions": CONVENTIONS,
        "spacings": {"111": REFLECTIONS[0][0], "200": REFLECTIONS[1][0]},
        "drift": truth.drift.round(3).tolist(),
        "coalescence": {"particles": [0, 1], "into": 0, "frame": CONTACT, "absorbed": absorbed},
        "particles": particles,
    }
    about = {"name": "nanoparticles", "scale": SCALE, "unit": "nm", "fps": FPS, "dose": DOSE}
    return about | {"origin": "synthetic, made by dmlink", "truth": events}


def _transmitted(truth: Truth, members: list[int], i: int, grid: Any, grain: np.ndarray) -> Any:
    """Return the factor by which particles that may touch change the image, on the open `grid` of pixels."""
    outside, *rest = _particle(truth, members[0], i, *grid)
    for p in members[1:]:
        outside2, *rest2 = _particle(truth, p, i, *grid)
        # The smooth minimum of two distances fills the neck; the seam between them is the grain boundary.
        neck = 1e-3 + NECK * _step(np.array((i - CONTACT) / 8))
        side = np.clip(0.5 + 0.5 * (outside2 - outside) / neck, 0, 1)
        outside = outside2 + side * (outside - outside2) - neck * side * (1 - side)
        rest = [b + side * (a - b) for a, b in zip(rest, rest2, strict=True)]
    radius, fringes, order = rest
    chord = -outside * (2 * radius + outside)
    thickness = 2 * np.sqrt(0.12 * np.logaddexp(0, chord / 0.12))  # a sphere, its steep rim softened
    rim = 0.07 * np.exp(-(((outside - 0.18) / 0.13) ** 2)) - 0.03 * np.exp(-(((outside - 0.5) / 0.15) ** 2))
    clusters = 0.35 * grain * (1 - order) * np.minimum(thickness, 3)  # without a lattice, gold is grainy
    return np.exp(-thickness / ABSORPTION) * (1 + fringes * np.minimum(thickness / 3, 1) + clusters + rim)


def _particle(truth: Truth, p: int, i: int, row: Any, column: Any) -> tuple[np.ndarray, Any, np.ndarray, Any]:
    """Return the distance (nm) outside the outline, the radius, the lattice fringes and the crystallinity."""
    (y, x), radius, order = truth.yx[p, i], truth.radius[p, i], truth.crystallinity[p, i]
    up, right = (SCALE * (y - row)).astype(np.float32), (SCALE * (column - x)).astype(np.float32)
    facets = fringes = 0 * right * up
    for spacing, turned, amplitude in REFLECTIONS:
        angle = truth.angle[p, i] + turned
        along = right * np.float32(np.cos(angle)) + up * np.float32(np.sin(angle))
        fringes = fringes + np.float32(amplitude) * np.cos(np.float32(2 * np.pi / spacing) * along + p)
        facets = facets + along**8  # planes face their reciprocal vectors: a rounded hexagon, of high norm
    circle, hexagon = np.hypot(right, up), facets ** (1 / 8)
    outside = circle + order * (0.97 * hexagon - 0.94 * circle) - radius
    rocking = 0.85 + 0.15 * np.sin(0.3 * i + 2 * p)  # a tilt of a degree, in and out of the zone
    return outside, radius, order * rocking * fringes, order


def _film() -> np.ndarray:
    """Return the Fourier transform of the film's contrast, shape (SIZE, SIZE // 2 + 1), for irfft2."""
    noise = np.random.default_rng([VERSION, 1]).standard_normal((SIZE, SIZE), dtype=np.float32)
    q = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)) / SCALE
    transfer = np.sin(np.pi * WAVELENGTH * DEFOCUS * q**2) * np.exp(-((q / LIMIT) ** 4))
    carbon = 1 / (1 + (q / 1.8) ** 2)  # an amorphous film scatters less at larger angles
    film = np.fft.rfft2(noise) * (transfer * carbon + 0.25 * np.exp(-((q / 0.25) ** 2)) * (q > 0))  # uneven
    return np.asarray(0.055 * film / np.fft.irfft2(film, (SIZE, SIZE)).std(), np.complex64)


def _walk(rng: np.random.Generator, n: int, step: float) -> np.ndarray:
    """Return `n` random walks over all frames, shape (n, FRAMES), that start at zero."""
    walk = rng.normal(0, step, (n, FRAMES)).cumsum(axis=1)
    return np.asarray(walk - walk[:, :1])


def _step(t: np.ndarray) -> np.ndarray:
    """Return a smooth step from 0 (t <= 0) to 1 (t >= 1)."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))
