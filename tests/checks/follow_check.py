"""Long test of following: writers of every kind, one after the other, with random faults, and two followers.

python tests/checks/follow_check.py [--minutes 10] [--seed 1] prints what it did, and fails at a frame that
is missing, repeated or changed. At the end it kills `dmlink process --follow` and restarts it: the results
must be those of the finished recording.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from growing_writer import KINDS, command, frame, path_of

import dmlink
from dmlink.growing import growth

FRAMES = 60


def check(kind, seed, folder):
    """Follow one recording with two followers; return what its writer did."""
    path = path_of(kind, folder)
    writer = subprocess.Popen(command(kind, folder, seed, FRAMES), stdout=subprocess.PIPE, text=True)
    got = [[], []]
    with dmlink.follow(path, idle=None) as one, dmlink.follow(path, idle=None) as other:
        sources = one, other
        threads = [
            threading.Thread(target=lambda s=s, g=g: g.extend((f.index, f.data) for f in s))
            for s, g in zip(sources, got, strict=True)
        ]
        for thread in threads:
            thread.start()
        told = json.loads(writer.communicate(timeout=600)[0])
        for source in sources:
            source.idle = 5.0
        for thread in threads:
            thread.join(600)
        bad = [sorted(source.bad) for source in sources]
    wanted = [i for i in range(FRAMES) if i not in told["spoilt"]]
    for frames, missing in zip(got, bad, strict=True):
        assert [i for i, _ in frames] == wanted, (kind, seed, told, [i for i, _ in frames])
        assert missing == told["spoilt"], (kind, seed, told, missing)
        for i, pixels in frames:
            assert np.array_equal(pixels, frame(i)), (kind, seed, told, i)
    return told["did"]


def check_killed(folder):
    """Kill `dmlink process --follow` while the recording grows, and restart it."""
    (folder / "set").mkdir()
    (folder / "cell.py").write_text("frame[:8, :8].mean(axis=0)")
    writer = subprocess.Popen(command("raw", folder / "set", 4, 4 * FRAMES), stdout=subprocess.DEVNULL)
    path, out = path_of("raw", folder / "set"), folder / "out"
    words = [str(path), str(folder / "cell.py"), "-o"]
    run = (
        "import sys; from dmlink.batch import processing; processing.BLOCK_FRAMES = 8\n"
        "from dmlink.cli import main; main(['process', *sys.argv[1:]])"
    )
    follow = [sys.executable, "-c", run, *words, str(out), "--follow", "--idle", "20"]
    first = subprocess.Popen(follow)
    while not any(out.glob("parts/*")):
        assert first.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    first.kill()
    first.wait()
    subprocess.run(follow, check=True)
    assert writer.wait(600) == 0
    subprocess.run([sys.executable, "-c", run, *words, str(folder / "whole")], check=True)
    for one in (folder / "whole").glob("*.csv"):
        assert one.read_text() == (out / one.name).read_text(), one.name
    assert len(np.loadtxt(folder / "whole" / "cell.csv", delimiter=",", skiprows=1)) == 4 * FRAMES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    growth.GIVE_UP_SECONDS, growth.TRY_SECONDS = 3.0, 1.0  # otherwise most of the time would be spent waiting
    end = time.monotonic() + 60 * options.minutes
    did = collections.Counter()
    for n, kind in enumerate(itertools.cycle(KINDS)):
        if time.monotonic() > end:
            break
        with tempfile.TemporaryDirectory(prefix="dmlink-follow-") as place:
            folder = Path(place) / "set"
            folder.mkdir()
            did.update([kind, *check(kind, options.seed + n, folder)])
    with tempfile.TemporaryDirectory(prefix="dmlink-follow-") as place:
        check_killed(Path(place))
    print(f"{n} recordings of {FRAMES} frames, each followed twice: every frame once, in order, bit-equal.")
    print(", ".join(f"{what}: {count}" for what, count in did.most_common()))


if __name__ == "__main__":
    main()
