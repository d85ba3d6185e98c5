"""The self-test that goes to people with a real GMS: it asks, it answers, and it leaves nothing behind."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import dmlink
from dmlink import bundle
from dmlink.cli import main
from dmlink.simulator import Microscope

SHORT = {"LISTEN_SECONDS = 4.0": "LISTEN_SECONDS = 0.5"}


@pytest.mark.parametrize("background", [True, False], ids=["background", "main thread"])
@pytest.mark.parametrize("switches", [{}, {"unregister_all": False}, {"create_image": "none"}], ids=str)
def test_it_asks_everything_and_leaves_nothing_behind(tmp_path, background, switches):
    np.save(tmp_path / "view.npy", np.random.default_rng(0).integers(0, 99, (30, 32, 32), np.uint16))
    text = bundle.selftest()
    for long, short in SHORT.items():
        assert long in text
        text = text.replace(long, short)
    with Microscope(dmlink.open(tmp_path / "view.npy"), fps=50, **switches) as microscope:
        script = microscope.run_script(text, background=background)
        script.join(20)
        said = "\n".join(script.output)
        assert "events: " in said
        assert "CreateImage of a view: " in said
        assert script.output[-1] == "dmlink self-test ends"
        assert microscope.escaped == []
        assert microscope.leaked_images == {}


def test_it_is_one_file_for_python_3_7(tmp_path):
    path = tmp_path / "dm_selftest.py"
    assert main(["companion", "--self-test", "-o", str(path)]) == 0
    ast.parse(path.read_text(), feature_version=(3, 7))
