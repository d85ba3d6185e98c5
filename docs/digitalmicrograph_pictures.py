"""Draws the pictures in digitalmicrograph.md: `.venv/bin/python docs/digitalmicrograph_pictures.py`.

They show the windows of the simulated DigitalMicrograph, drawn by dmlink.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from dmlink import recordings
from dmlink.data import nanoparticles
from dmlink.program.program import Program
from dmlink.script.exporter import script
from dmlink.simulator import Microscope
from dmlink.simulator.picture import draw

IMAGES = Path(__file__).parent / "images"
CELL = """n_bins: (16, 128, 8) = 64  # points of the profile

power = np.abs(np.fft.fft2(frame - frame.mean())) ** 2
fy, fx = (np.fft.fftfreq(n) for n in frame.shape)
ring = (np.hypot(fy[:, None], fx) * 2 * n_bins).astype(int).ravel()
total, count = np.bincount(ring, power.ravel()), np.bincount(ring)

Profile(np.log10(1 + total / count)[:n_bins], scale=0.5 / n_bins / info.scale, unit="1/" + info.unit)"""
MARKS = """from scipy import ndimage

smooth = ndimage.gaussian_filter(frame.astype(float), 6)
particles, _ = ndimage.label(smooth < smooth.mean() - smooth.std())
Boxes([(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(particles)])"""


def main() -> None:
    """Play the steps of the page, and draw the screen after each."""
    with recordings.open(nanoparticles()) as recording, Microscope(recording, loop=True) as dm:
        dm.camera.pause()
        dm.draw_roi(120, 120, 376, 376)
        draw(dm.windows(), IMAGES / "dm-1-view.png")
        said = _execute(dm, CELL, "radial_profile", 40)
        draw(dm.windows()[::-1], IMAGES / "dm-2-running.png", said)
        said += _execute(dm, MARKS, "particles", 10)
        draw(dm.windows()[::-1], IMAGES / "dm-3-marks.png", said)


def _execute(dm: Microscope, text: str, name: str, frames: int) -> list[str]:
    """Execute the cell's script, play some frames, and return what it printed."""
    program = Program.from_cell(text, name, {"np": np})
    running = dm.run_script(script(program), background=False, name=name)
    running.join(60)
    for _ in range(frames):
        dm.settle()
        time.sleep(0.1)  # the scripts pause for as long as they have worked
        dm.camera.step()
    dm.settle()
    return running.output


if __name__ == "__main__":
    main()
