"""The gallery's cells that follow motion or reduce noise, compared with the known truth."""

import numpy as np
import pytest
from gallery_cells import INFO, cell, poisson
from scipy import ndimage

import dmlink
from dmlink import Axis, data, gallery
from dmlink.data.synthesis import drifting_film as film
from dmlink.data.synthesis import moving_particles as particles
from dmlink.frame import Info


@pytest.fixture(scope="module")
def recording():
    with dmlink.open(data.drifting_film()) as opened:
        yield [opened[i] for i in range(len(opened))], np.array(opened.tags["truth"]["drift"])


def measured(drift, frame):
    result = drift.run(frame)
    return None if result is None else [result.results["drift"].value[axis] / 0.1 for axis in "yx"]


def test_drift_is_right_within_0_1_px(recording):
    frames, truth = recording
    drift = cell("drift")
    found = np.array([measured(drift, frame) for frame in frames])
    assert np.abs(truth).max() > 25
    errors = found - truth
    assert np.sqrt(np.mean(errors**2)) < 0.1
    assert np.abs(errors).max() < 0.25


def test_average_is_corrected_for_drift(recording):
    frames, _ = recording
    drift = cell("drift", frames=30)
    for frame in frames[:20]:
        shown = drift.run(frame).results["corrected"]
    clean = film.image((0, 0))[64:-64, 64:-64]
    average = np.mean([frame.data for frame in frames[:20]], axis=0)[64:-64, 64:-64]
    assert np.corrcoef(shown.values[64:-64, 64:-64].ravel(), clean.ravel())[0, 1] > 0.97
    assert np.corrcoef(average.ravel(), clean.ravel())[0, 1] < 0.8
    assert (shown.x.scale, shown.x.unit) == (0.1, "nm")


def test_registered_sum_grows_as_square_root():
    """The noise of the sum of n frames is that of one divided by sqrt(n), up to 100."""
    n, dose = 100, 40.0
    drift, rng = cell("drift"), np.random.default_rng(21)
    way = np.cumsum(rng.normal((0.2, -0.15), 0.6, (n, 2)), axis=0)
    inside = np.s_[48:-48, 48:-48]
    clean = dose * film.image(way[0])[inside]
    off = {}
    for i, at in enumerate(way, start=1):
        results = drift.run(rng.poisson(dose * film.image(at)).astype(np.uint16)).results
        assert results["in the sum"].value == i
        off[i] = np.sqrt(np.mean((results["sum"].values[inside] - clean) ** 2))
    for i in (4, 16, 49, 100):
        assert off[1] / off[i] == pytest.approx(np.sqrt(i), rel=0.1)
    moved = (way - way[0]).round()
    shared = np.prod(1 - np.ptp(moved, axis=0) / 256)
    assert results["shared"].value == pytest.approx(100 * shared, abs=2)


def test_far_drift_is_an_event():
    frames = [np.roll(film.image((0, 0)), (0, 4 * i), (0, 1)).astype(np.float32) for i in range(12)]
    drift = cell("drift", limit=5)
    events = [drift.run(frame).results["far"].text for frame in frames]
    assert [i for i, text in enumerate(events) if text] == [4, 7, 10]  # 4 px per frame; 5 % is 12.8 px


def test_drift_skips_blanked_frames(recording, capsys):
    frames, truth = recording
    drift = cell("drift")
    assert measured(drift, frames[0]) == pytest.approx([0, 0], abs=1e-3)
    for blank in (np.zeros((256, 256), np.uint16), poisson((256, 256), 0.05), np.full((256, 256), np.nan)):
        assert drift.run(blank, frames[0].info) is None
        assert "nothing in common" in capsys.readouterr().out
    assert measured(drift, frames[12]) == pytest.approx(truth[12], abs=0.25)


def test_drift_ignores_broken_pixels(recording):
    frames, truth = recording
    drift, broken = cell("drift"), np.random.default_rng(4).random((256, 256)) < 0.001
    for i in (0, 8, 16):
        for value in (0.0, 65535.0, np.nan):
            found = measured(drift, np.where(broken, value, frames[i].data))
            assert np.multiply(found, 0.1) == pytest.approx(truth[i], abs=0.25)


def test_drift_of_four_frames_adds_up():
    grain = ndimage.gaussian_filter(np.random.default_rng(8).normal(size=(128, 1200)), 2)
    drift = cell("drift")
    for at in range(0, 500, 5):
        result = drift.run(np.float32(grain[:, at : at + 128] + 1))
        assert result.results["drift"].value["x"] == pytest.approx(-at, abs=1)


def test_kymograph_is_intensity_along_line():
    y, x = np.mgrid[:81, :121]
    frame = np.float32(2 * x + 3 * y)
    ends = {"from_x": 10.0, "from_y": 50.0, "to_x": 90.0, "to_y": 50.0}
    level = cell("kymograph", width=1, **ends).run(frame, INFO)
    np.testing.assert_allclose(level.values, 2 * np.arange(12, 109) + 3 * 40, rtol=1e-5)
    assert level.x == (0, pytest.approx(0.5), "nm")
    info = Info(x=Axis(0, 0.5, "nm"), y=Axis(0, 0.25, "nm"))
    upright = cell("kymograph", width=5, from_x=25.0, to_x=25.0, from_y=100.0, to_y=0.0).run(frame, info)
    np.testing.assert_allclose(upright.values, 2 * 30 + 3 * np.arange(80, -1, -1), rtol=1e-5)
    assert upright.x.scale == pytest.approx(0.25)
    assert upright.waterfall  # its history is shown


def test_kymograph_follows_the_drawn_line(capsys):
    y, x = np.mgrid[:81, :121]
    frame = np.float32(2 * x + 3 * y)
    drawn = Info(x=INFO.x, y=INFO.x, line=(10, 20, 40, 60))
    profile = cell("kymograph", width=3).run(frame, drawn)
    np.testing.assert_allclose(profile.values, np.linspace(70, 240, 51), rtol=1e-4)
    assert profile.x == (0, pytest.approx(0.5), "nm")
    assert capsys.readouterr().out == ""
    beyond = cell("kymograph", width=1).run(frame, Info(line=(40, 100, 40, 140))).values
    np.testing.assert_allclose(beyond[:21], 120 + 2 * np.arange(100, 121), rtol=1e-4)
    assert np.isnan(beyond[21:]).all()
    assert "outside the frame" in capsys.readouterr().out
    assert cell("kymograph").run(frame, Info(line=(-9, -40, -9, -20))) is None


def test_kymograph_counts_missing_frames():
    frame = np.full((50, 50), 7, np.float32)
    frame[23:25] = np.nan
    np.testing.assert_allclose(cell("kymograph", width=5).run(frame).values, 7, rtol=1e-5)
    assert cell("kymograph").run(np.full((8, 8), np.nan)) is None
    same = cell("kymograph", from_x=50.0, to_x=50.0).run(frame)
    assert same.values.size >= 1


def test_template_is_found_within_0_3_px():
    true = np.array([[60.0, 60.0], [60.4, 150.3], [130.7, 40.2], [150.0, 149.5], [25.25, 110.0]])
    rng = np.random.default_rng(11)
    frame = rng.poisson(200 * particles.image(true, np.full(5, 11.0), 200)).astype(np.uint16)
    match = cell("template_match", x=100 * 60 / 199, y=100 * 60 / 199, size=21)
    results = match.run(frame).results
    assert results["count"].value == 5
    assert results["best"].value == pytest.approx(1, abs=1e-3)
    found = results["matches"].yx
    distance = np.hypot(*(found[:, None] - true).T).min(axis=1)
    assert np.sqrt(np.mean(distance**2)) < 0.3
    true += np.array([3.5, -2])
    moved = rng.poisson(200 * particles.image(true, np.full(5, 11.0), 200)).astype(np.uint16)
    distance = np.hypot(*(match.run(moved).results["matches"].yx[:, None] - true).T).min(axis=1)
    assert np.sqrt(np.mean(distance**2)) < 0.3


@pytest.mark.parametrize("name", ["template", "roi 2"])
def test_template_is_taken_from_its_roi(name):
    true = np.array([[60.0, 60.0], [60.0, 150.0], [130.0, 40.0]])
    frame = np.float32(200 * particles.image(true, np.full(3, 11.0), 200))
    rois = {"roi": (0, 0, 200, 200), name: (50, 140, 71, 161)}
    match = cell("template_match")
    results = match.run(frame, Info(rois=rois)).results
    assert results["count"].value == 3
    found = results["matches"].yx
    assert np.hypot(*(found[:, None] - true).T).min(axis=1).max() < 0.2
    nothing = match.run(frame, Info(rois={name: (180, 180, 197, 197)}))
    assert nothing is None


@pytest.mark.parametrize("first", [0, 20, 50])
def test_template_match_finds_particles_of_its_example(first):
    example = gallery.example("template_match")
    match = cell("template_match", **example.values)
    with dmlink.open(example.recording) as recording:
        particles = recording.tags["truth"]["particles"]
        for i in range(first, first + 10, 3):
            true = np.array([p["positions"][i] for p in particles if p["positions"][i]])
            found = match.run(recording[i]).results["matches"].yx
            distance = np.hypot(*(found[:, None] - true).T).min(axis=0)
            assert np.mean(distance < 4) > 0.9
            assert len(found) > 0.7 * len(true)


@pytest.mark.parametrize("shape", [(8, 8), (61, 87), (1, 1), (2, 40)])
def test_empty_template_is_reported(shape, capsys):
    assert cell("template_match").run(np.full(shape, 3, np.uint16)) is None
    assert "uniform or too small" in capsys.readouterr().out
    assert cell("template_match").run(np.full(shape, np.nan)) is None


def test_template_match_ignores_blank_frames():
    match = cell("template_match", size=9)
    match.run(poisson((64, 64)))
    assert match.run(np.zeros((64, 64), np.uint16)).results["count"].value == 0


def psnr(image, clean):
    return 10 * np.log10(np.ptp(clean) ** 2 / np.mean((image - clean) ** 2))


@pytest.mark.parametrize("dose", [20, 150])
def test_denoise_approaches_clean_image(dose):
    rng = np.random.default_rng(12)
    yx, diameters = particles.story(rng, 256, 1)
    clean = dose * particles.image(yx[:, 0], 2 * diameters, 256)
    noisy = rng.poisson(clean).astype(np.uint16)
    cleaned = cell("denoise").run(noisy, INFO)
    assert psnr(cleaned.values, clean) > psnr(noisy, clean) + 8
    assert cleaned.values.mean() == pytest.approx(clean.mean(), rel=0.02)
    assert cleaned.x == INFO.x


def test_denoise_keeps_clean_images(capsys):
    flat = np.full((16, 17), 9, np.uint16)
    np.testing.assert_allclose(cell("denoise").run(flat).values, 9, rtol=1e-4)
    assert "Left unchanged" in capsys.readouterr().out
    dark = poisson((40, 40), 500).astype(np.int16) - 450
    assert cell("denoise").run(dark).values.mean() == pytest.approx(dark.mean(), abs=2)
    assert cell("denoise").run(np.full((8, 8), np.nan)) is None


@pytest.mark.parametrize("name", ["drift", "phase_change", "particle_tracking"])
def test_frame_processed_again_is_counted_once(name):
    film = 50 + 200 * ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(96, 96)), 2)
    frames = [np.random.default_rng(i).poisson(film.clip(1)) for i in range(6)]
    once, again = cell(name), cell(name)
    for i, frame in enumerate(frames):
        expected = once.run(frame, Info(i, 0.1 * i))
        for repeated in (False, True, True):
            found = again.run(frame, Info(i, 0.1 * i, again=repeated))
    for key, result in expected.results.items():
        other = found.results[key]
        assert result.text == other.text, key
        np.testing.assert_array_equal(getattr(result, "values", 0), getattr(other, "values", 0))


@pytest.mark.parametrize("name", ["running_difference", "filtered_view"])
def test_frame_processed_again_is_averaged_once(name):
    frames = [poisson((32, 33), seed) for seed in range(5)]
    once, again = cell(name), cell(name)
    for i, frame in enumerate(frames):
        expected = once.run(frame, Info(i, 0.1 * i))
        for repeated in (False, True, True):
            found = again.run(frame, Info(i, 0.1 * i, again=repeated))
        np.testing.assert_array_equal(found.values, expected.values)


def test_new_magnification_starts_drift_again(recording):
    frames, _ = recording
    drift = cell("drift")
    for scale in (0.1, 0.01):
        axis = Axis(0, scale, "nm")
        for i, frame in enumerate(frames[:12]):
            results = drift.run(frame.data, Info(i, 0.1 * i, x=axis, y=axis)).results
        assert results["in the sum"].value == 12
    assert max(abs(value) for value in results["drift"].value.values()) < 0.01 * 64


@pytest.mark.parametrize("roi", [(-60, -60, -10, -10), (100, -400, 200, -300), (20, 300, 40, 340)])
def test_template_outside_the_frame_is_refused(roi, capsys):
    frame = poisson((200, 200))
    assert cell("template_match").run(frame, Info(rois={"template": roi})) is None
    assert "The template is uniform or too small" in capsys.readouterr().out


def test_hot_pixel_is_no_template():
    frame = poisson((200, 200)).astype(np.float32)
    row, column = np.ogrid[:200, :200]
    for y, x in ((60, 60), (140, 130)):
        frame[np.hypot(row - y, column - x) < 8] *= 2
    frame[30, 170] = 60_000
    results = cell("template_match").run(frame, Info()).results
    assert results["count"].value == 2
