"""Typical scripts of GMS users run in the simulator: ten in their style, using only known calls."""

from pathlib import Path

import numpy as np
import pytest
from microscopes import PATIENCE, Noise

import dmlink
from dmlink.simulator import Microscope

SCRIPTS = Path(__file__).parent / "scripts"
FOLDERS = {"timelapse": r"C:\Users\Public\timelapse", "camera_acquisition": r"C:\Users\Public\sum.dm4"}


@pytest.fixture
def dm():
    recording = Noise(shape=(24, 32))
    recording.x = recording.x._replace(unit="\N{MICRO SIGN}m")
    with Microscope(recording, fps=30, writable_cwd=False, strict_del=True) as dm:
        yield dm
        assert not dm.escaped


def run(dm, name, path="", background=True):
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    script = dm.run_script(text.replace(FOLDERS.get(name, "\0"), str(path)), background=background)
    script.join()
    return script


def test_live_profile_follows_the_view(dm):
    script = run(dm, "live_profile")
    dm.wait_until(lambda: dm.window("Profile").updates > 3, PATIENCE)
    assert dm.window("Profile").data.shape == (32,)
    assert dm.window("Profile").axes[0].unit == "um"
    assert list(dm.user_rois().values()) == [(0, 0, 24, 32)]
    dm.close_view()
    script.wait_for("View closed after")


def test_timelapse_saves_copies(dm, tmp_path):
    assert run(dm, "timelapse", tmp_path / "series").output[-1] == "Saved 4 images"
    with dmlink.open(tmp_path / "series" / "timelapse_003.dm4") as saved:
        assert saved.tags["Timelapse"]["Frame"] == 3
    assert (tmp_path / "series" / "timelapse.txt").exists()


def test_working_directory_is_restored(tmp_path):
    before = Path.cwd()
    with Microscope(Noise()) as dm:
        run(dm, "timelapse", tmp_path / "series")
    assert Path.cwd() == before


def test_drift_series_finds_the_shifts(tmp_path):
    pattern = np.random.default_rng(0).integers(0, 1000, (32, 32)).astype(np.uint16)
    recording = Noise(n=6, shape=(32, 32))
    recording.stack = np.stack([np.roll(pattern, (2 * i, -i), (0, 1)) for i in range(6)])
    with Microscope(recording) as dm:
        assert run(dm, "drift_series").output[-1] == "Drift of the last image: 10.0 -5.0"
        window = dm.window("Drift")
        assert window.kind == 3
        assert window.data[0].tolist() == [0, 2, 4, 6, 8, 10]
        assert window.contrast == (-6, 11)


def test_rgb_map_is_made_and_updated(dm):
    dm.wait_displayed(1)
    dm.camera.pause()
    assert "Shown as" in run(dm, "rgb_map").output[0]
    colours = dm.window("Map of Gold").data
    assert colours.shape == (24, 32, 3)
    assert colours[..., 0].max() == 0
    assert colours[..., 1].max() > 0
    assert dm.dialogs == []


def test_tag_browser_walks_the_tree(dm):
    said = run(dm, "tag_browser").output
    assert "  Reader = tag browser" in said
    assert "    [1] = 0, 0, 4, 8" in said
    assert "Found Acquisition:Parameters:High Level:Exposure (s)" in said
    assert said[-2:] == ["Removed True False", "Run 1"]
    assert run(dm, "tag_browser").output[-1] == "Run 2"


def test_batch_processes_open_images(dm):
    text = "import numpy as np\nfor n in range(3):\n    i = DM.CreateImage(np.full((4, 5), n + 1.0))\n"
    dm.run_script(text + "    i.SetName('open %d' % n); i.ShowImage()").join()
    assert run(dm, "batch_open_images").output == ["Processed 4 images"]
    assert (dm.window("open 2 - mean").data == 0).all()
    assert dm.window("Gold - mean").axes[0].unit == "um"


def test_tilt_series_returns_the_stage(dm):
    said = run(dm, "tilt_series").output
    assert said[0] == "High tension 200000.0"
    assert said[2:4] == ["Angle -20.0", "Angle -10.0"]
    assert said[-1] == "Stage is back at 0.0 blanked True"
    assert dm.window("Tilt series").data.shape == (5, 24, 32)


def test_dialog_filter_asks(dm):
    dm.camera.pause()
    dm.settle()
    view = dm.window("Gold").data.astype(float)
    said = run(dm, "dialog_filter", background=False).output
    assert dm.dialogs == ["Size of the filter (odd, pixels)", "Filter Gold?"]
    assert said == ["Filtered over 3 pixels"]
    assert dm.window("Filtered Gold").data[1, 1] == pytest.approx(view[:3, :3].mean(), rel=1e-5)
    assert run(dm, "dialog_filter").output == []
    assert dm.dialogs[-1] == "Execute this script on the main thread."


def test_annotation_lister_lists_all(dm):
    dm.draw_roi(1, 2, 3, 4)
    dm.draw_line(0, 0, 5, 5)
    said = run(dm, "annotation_lister").output
    assert said[:4] == ["Displays: 1", "0 scale bar 11 x 1 ", "1 box 13 x 10 ", "2 text 13 x 2 here"]
    assert "(1.0, 2.0, 3.0, 4.0)" in said[4]
    assert "line (0.0, 0.0, 5.0, 5.0)" in said[5]


def test_camera_acquisition_sums_frames(dm, tmp_path):
    said = run(dm, "camera_acquisition", tmp_path / "sum.dm4").output
    assert said[-1].startswith("Summed 5 frames of mean")
    with dmlink.open(tmp_path / "sum.dm4") as saved:
        assert saved[0].data.shape == (12, 16)
        assert saved.x.unit == "um"
