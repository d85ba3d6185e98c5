"""Long test of clips: kernels are killed at random moments; all written frames must be there and correct.

python tests/checks/clips_check.py [--kills 20] [--seed 1] prints its findings, and fails if a frame that was
written is missing or differs from the camera's.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from microscopes import Noise, microscope

import dmlink

KERNEL = """
import sys, pathlib, dmlink
link = dmlink.connect(sys.argv[1], mode="lossless")
folder = pathlib.Path(sys.argv[2])
recorder = link.record(folder / "all") if sys.argv[3] == "recording" else None
text = 'frame.mean(), Event("it", when=info.index % 40 == 0)'
around = {"keep": 0.3, "keep_after": 0.3, "clips": folder / "clips"}
cell = dmlink.LiveCell(text, "mean", mode="lossless", **around).start(link)
print("ready", flush=True)
while True:
    for path in cell.clips:
        print("finished", path.name, flush=True)
    if cell.clip_writing:
        print("writing", cell.clip_writing[0].name, cell.clip_writing[1], flush=True)
    link.next()
"""


def check(dm, recording, folder, after, way):
    """Kill a kernel; return how many clips and frames there are."""
    command = [sys.executable, "-c", KERNEL, dm.endpoint, str(folder), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as kernel:
        lines = []
        while not any(line.startswith("writing") for line in lines):
            lines.append(kernel.stdout.readline())
        time.sleep(after)
        os.kill(kernel.pid, signal.SIGKILL)
        lines += kernel.stdout.read().splitlines()
    promised = {}
    for what, *told in map(str.split, lines):
        if what == "writing" and len(told) == 3:
            promised[" ".join(told[:2])] = int(told[2])
    frames = 0
    for path in sorted((folder / "clips").iterdir()):
        if path.suffix == ".clip":
            promised[path.name] = 0  # they are in the recording, up to where it ends
        try:
            clip = dmlink.open(path)
        except ValueError:
            assert not promised.get(path.name), (path, promised)
            continue
        with clip:
            assert len(clip) >= promised.get(path.name, 0), (path, len(clip), promised)
            numbers = [frame.tags["source_index"] for frame in clip]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), path
            for frame in clip:
                recording.number(frame)  # fails if it did not come from the camera
            frames += len(clip)
    return len(promised), frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - to do the same again
    recording = Noise()
    clips = frames = 0
    with microscope(recording, fps=100) as dm, tempfile.TemporaryDirectory(prefix="dmlink-clips-") as place:
        for i in range(options.kills):
            folder = Path(place) / str(i)
            folder.mkdir()
            way = "recording" if i % 4 == 3 else "alone"
            found = check(dm, recording, folder, chance.uniform(0.0, 1.5), way)
            clips, frames = clips + found[0], frames + found[1]
    print(
        f"{options.kills} kernels killed: {clips} clips with {frames} frames, all that was written, as given."
    )


if __name__ == "__main__":
    main()
