"""Binder: repo2docker takes the folder; a microscope runs beside Jupyter. The rest: binder_check.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

CONNECT = """
import time
import dmlink
end = time.monotonic() + 60
while True:
    try:
        link = dmlink.connect()
        break
    except ConnectionError:
        assert time.monotonic() < end
        time.sleep(0.1)
print(link.next(timeout=30).data.shape, dmlink.endpoint.file())
"""


def test_repo2docker_makes_an_image_of_the_folder():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for wanted in ("binder/postBuild", "binder/start", "binder/requirements.txt", "python=3.11"):
        assert wanted in said


def test_a_microscope_runs_beside_jupyter_and_ends_with_it(tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "DMLINK_HOME": str(tmp_path)}
    environment.pop("DMLINK_ENDPOINT", None)
    command = ["bash", ROOT / "binder" / "start", sys.executable, "-c", CONNECT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "(512, 512)" in done.stdout
    assert not (tmp_path / "endpoint.json").exists()  # the companion has removed it when it ended
