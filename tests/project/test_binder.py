"""Binder: repo2docker accepts the folder; a microscope runs next to Jupyter. The rest: binder_check.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from project import ROOT

CONNECT = """
import time
import dmlink
end = time.monotonic() + 300
while True:
    try:
        link = dmlink.connect()
        break
    except ConnectionError:
        assert time.monotonic() < end
        time.sleep(0.1)
print(link.next(timeout=60).data.shape, dmlink.link.endpoint.file())
"""


def test_repo2docker_accepts_the_folder():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for wanted in ("binder/postBuild", "binder/start", "binder/requirements.txt", "python=3.11"):
        assert wanted in said


def test_microscope_runs_with_jupyter(tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "DMLINK_HOME": str(tmp_path)}
    environment.pop("DMLINK_ENDPOINT", None)
    command = ["bash", ROOT / "binder" / "start", sys.executable, "-c", CONNECT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(512, 512)" in done.stdout
    assert not (tmp_path / "endpoint.json").exists()  # the companion removed it when it ended
