"""The gallery's particle tracking, compared with the truth of synthetic and real recordings, and trackpy."""

import numpy as np
import pandas as pd
import pytest
import trackpy
from project import real
from scipy.spatial import cKDTree

import dmlink
from dmlink import Axis, LiveCell, data, gallery
from dmlink.cli import bench
from dmlink.data.synthesis.moving_particles import image
from dmlink.frame import Info

APART = 16.0  # px; discs of 8 to 12 px do not touch at this distance


def tracking(**values):
    cell = LiveCell(gallery.text("particle_tracking"), "particle_tracking")
    cell.set(**values)
    return cell


@pytest.fixture(scope="module")
def tracked():
    """The results of every frame, the true positions (particle, frame, yx), the ids (particle, frame)."""
    with dmlink.open(data.moving_particles()) as recording:
        particles = recording.tags["truth"]["particles"]
        yx = [[at or (np.nan, np.nan) for at in particle["positions"]] for particle in particles]
        truth, cell = np.array(yx), tracking()
        results = [cell.run(frame).results for frame in recording]
    ids = np.zeros(truth.shape[:2], int)
    for i, result in enumerate(results):
        here = np.flatnonzero(np.isfinite(truth[:, i, 0]))
        distance, found = cKDTree(result["particles"].yx).query(truth[here, i])
        near = distance < 3
        ids[here[near], i] = [int(result["particles"].labels[k]) for k in found[near]]
    return results, truth, ids


def separation(truth):
    """Return each particle's distance to the next one, (particle, frame), and to the edge, in px."""
    apart = np.full(truth.shape[:2], np.nan)
    for i in range(truth.shape[1]):
        here = np.flatnonzero(np.isfinite(truth[:, i, 0]))
        apart[here, i] = cKDTree(truth[here, i]).query(truth[here, i], k=2)[0][:, 1]
    edge = np.minimum(truth, 511 - truth).min(axis=2)
    return apart, edge


def test_particles_are_found_within_0_3_px(tracked):
    results, truth, _ = tracked
    apart, edge = separation(truth)
    errors = []
    for i, result in enumerate(results):
        clear = (apart[:, i] > APART) & (edge[:, i] > APART / 2)
        errors.append(cKDTree(result["particles"].yx).query(truth[clear, i])[0])
        true = truth[np.isfinite(truth[:, i, 0]), i]
        found = result["particles"].yx
        edge_of_found = np.minimum(found, 511 - found).min(axis=1)
        assert cKDTree(true).query(found[edge_of_found > APART / 2])[0].max() < APART / 2
    errors = np.concatenate(errors)
    assert len(errors) > 3000
    assert errors.max() < 1
    assert np.sqrt(np.mean(errors**2)) < 0.3


def test_isolated_particles_keep_their_number(tracked):
    _, truth, ids = tracked
    apart, edge = separation(truth)
    clear = (apart > APART) & (edge > APART / 2)
    follow = clear[:, :-1] & clear[:, 1:]
    assert follow.sum() > 3000
    assert (ids[:, :-1][follow] == ids[:, 1:][follow]).all()


# particles on 1024 x 1024, recordings, least number of crossings, least fraction that keeps the numbers
@pytest.mark.parametrize(
    ("density", "n", "least", "part"),
    [pytest.param(100, 6, 8, 0.98, marks=pytest.mark.exhaustive), (500, 2, 50, 0.75)],
)
def test_crossing_particles_keep_their_number(density, n, least, part):
    crossings = bench._module("gallery").crossings
    found = crossings.kept(density, n)
    assert found["crossings"] > least
    assert found["kept"] >= part * found["crossings"]
    assert found["of two kept"] >= 0.95 * found["of two"] > 0


def test_size_of_unknown_particles_is_found():
    with dmlink.open(data.nanoparticles()) as recording:
        truth = recording.tags["truth"]["particles"]
        there = np.array([particle["positions"][0] for particle in truth])
        results = tracking().run(recording[0]).results
    distance, _ = cKDTree(there).query(results["particles"].yx)
    assert results["count"].value == len(there)
    assert distance.max() < 6  # of 30 to 58 px of radius
    diameter = 2 * np.mean([particle["radius"][0] for particle in truth])
    assert results["diameter"].value == pytest.approx(diameter, rel=0.1)


def test_bright_particles_are_named(capsys):
    with dmlink.open(data.moving_particles()) as recording:
        negative = 300 - np.float32(recording[0].data)
    tracking().run(negative)
    assert "set dark to False" in capsys.readouterr().out
    assert tracking(dark=False).run(negative).results["count"].value > 100


def test_particle_that_comes_and_goes_is_an_event():
    rng, far = np.random.default_rng(3), np.array([[60.0, 60.0], [120.0, 150.0]])
    tracker, said = tracking(diameter=11, contrast=8.0, memory=3), {}
    for i in range(40):
        here = far if 10 <= i < 25 else far[:1]
        frame = rng.poisson(150 * image(here, np.full(len(here), 11.0), 200)).astype(np.uint16)
        event = tracker.run(frame, Info(i, 0.1 * i)).results["come and gone"]
        said.update({i: event.text} if event.happened else {})
    assert said == {12: "new: 2", 28: "gone: 2"}


def test_new_particle_has_no_speed():
    with dmlink.open(data.moving_particles()) as recording:
        cell = tracking()
        first, second = cell.run(recording[0]).results, cell.run(recording[1]).results
    assert np.isnan(first["speed"].value)
    assert second["speed"].value > 0


def test_series_match_the_truth(tracked):
    results, truth, _ = tracked
    inside = np.isfinite(truth[..., 0]).sum(axis=0)
    found = [result["count"].value for result in results]
    np.testing.assert_allclose(found, inside, atol=0.12 * inside.max())  # overlapping particles count as one
    size, speed = results[-1]["diameter"], results[-1]["speed"]
    assert (size.value, size.unit) == (pytest.approx(0.5 * 10, rel=0.1), "nm")
    steps = np.hypot(*np.diff(truth, axis=1).T).T
    assert (speed.value, speed.unit) == (pytest.approx(0.5 * 20 * np.nanmean(steps), rel=0.1), "nm/s")
    marks = results[-1]["particles"]
    ends = [tail[-1] for tail in marks.tails]
    np.testing.assert_allclose(ends, marks.yx)
    assert max(len(tail) for tail in marks.tails) == 20


@pytest.fixture(scope="module")
def water():
    with dmlink.open(real("bsd_trackpy-examples/bulk_water/bulk_water_green_000-149.tif")) as recording:
        yield recording


@pytest.mark.parametrize(("values", "off"), [({}, 0.05), ({"diameter": 5, "contrast": 5.0}, 0.03)])
def test_water_spheres_match_published_count(water, values, off):
    cell = tracking(**values)
    counts = {i: cell.run(water[i].data).results["count"].value for i in (19, 29)}
    assert counts == {19: pytest.approx(576, rel=off), 29: pytest.approx(599, rel=off)}


def test_links_match_trackpy(water):
    cell, features = tracking(diameter=5, contrast=5.0, reach=5, memory=3), []
    for i in range(40):
        marks = cell.run(water[i].data).results["particles"]
        features.append(pd.DataFrame({"frame": i, "y": marks.yx[:, 0], "x": marks.yx[:, 1]}))
        features[-1]["ours"] = [int(label) for label in marks.labels]
    trackpy.quiet()
    linked = trackpy.link(pd.concat(features, ignore_index=True), 5, memory=3)

    def links(number):
        """Return which features follow each other in one track."""
        ordered = linked.reset_index().sort_values([number, "frame"])
        same = ordered[number].to_numpy()[1:] == ordered[number].to_numpy()[:-1]
        rows = ordered["index"].to_numpy()
        return set(zip(rows[:-1][same].tolist(), rows[1:][same].tolist(), strict=True))

    ours, theirs = links("ours"), links("particle")
    assert len(theirs) > 18_000
    assert len(ours & theirs) / len(ours | theirs) > 0.95


def test_four_rods_are_followed():
    ids = []
    with dmlink.open(real("apache_SAM-EM/lptem_example")) as recording:
        cell = tracking(diameter=41, contrast=5.0, reach=25)
        for i, frame in enumerate(recording):
            marks = cell.run(frame).results["particles"]
            if i in RODS:
                distance, found = cKDTree(marks.yx).query(RODS[i])
                assert distance.max() < 6
                ids.append([marks.labels[k] for k in found])
    assert ids[0] == ids[1]


RODS = {
    0: [(307, 509), (727, 689), (482, 277), (514, 586)],
    19: [(303, 507), (727, 691), (497, 276), (515, 588)],
}


@pytest.mark.parametrize("shape", [(64, 64), (8, 8), (61, 87), (3, 200), (1, 1)])
def test_empty_frame_has_no_particles(shape, capsys):
    noise = np.random.default_rng(5).poisson(100, shape).astype(np.uint16)
    flat = np.full(shape, 65535, np.uint16)
    for frame in (noise, flat, flat * 0, np.full(shape, np.nan), np.int16(noise) - 200):
        results = tracking().run(frame).results
        assert results["count"].value == len(results["particles"].yx) == 0
        assert "Nothing stands out" in capsys.readouterr().out


def test_broken_pixels_are_no_particles():
    rng = np.random.default_rng(6)
    frame = rng.poisson(500, (256, 256)).astype(np.float32)
    some = rng.random(frame.shape) < 0.0005
    for broken in (0, 65535, np.nan, np.inf):
        assert tracking().run(np.where(some, broken, frame)).results["count"].value == 0
    for electrons in (0.001, 0.01, 0.1):
        blank = rng.poisson(electrons, frame.shape).astype(np.uint16)
        assert tracking(dark=False).run(blank).results["count"].value == 0


def test_crowded_particles_need_a_lower_contrast(capsys):
    y, x = np.mgrid[:120, :120]
    crowd = np.float32(1000 + 300 * np.sin(2 * np.pi * y / 12) * np.sin(2 * np.pi * x / 12))
    assert tracking(contrast=8.0).run(crowd).results["count"].value == 0
    assert "contrast is too high" in capsys.readouterr().out
    assert tracking(contrast=1.0).run(crowd).results["count"].value == pytest.approx(200, abs=12)


def test_size_and_speed_are_in_the_units_of_the_pixels():
    seen = image(np.array([[60.0, 60.0]]), np.array([11.0]), 128)
    frame = np.uint16(np.random.default_rng(1).poisson(150 * seen))
    square = tracking(diameter=11).run(frame, Info(x=Axis(0, 0.5, "nm"), y=Axis(0, 0.5, "nm"))).results
    for y, x in ((-0.5, -0.5), (0.25, 1.0)):
        other = tracking(diameter=11).run(frame, Info(x=Axis(0, x, "nm"), y=Axis(0, y, "nm"))).results
        assert other["diameter"].value == pytest.approx(square["diameter"].value)
    tracker = tracking(diameter=11)
    for i in range(6):
        seen = image(np.array([[60.0 + 2 * i, 60.0]]), np.array([11.0]), 128)
        info = Info(i, float(i), x=Axis(0, 1.0, "nm"), y=Axis(0, -0.25, "nm"))
        results = tracker.run(np.uint16(np.random.default_rng(i).poisson(1500 * seen)), info).results
    assert results["speed"].value == pytest.approx(0.5, rel=0.1)


def test_speed_is_that_after_a_pause():
    tracker, n = tracking(diameter=9), 40
    row, column = np.ogrid[:96, :160]
    for i in range(n):
        frame = 100 - 60 * (np.hypot(row - 48, column - 30 - 1.5 * i) < 5)
        time = 0.1 * i + 600 * (i >= n // 4)  # View was stopped for ten minutes
        results = tracker.run(np.random.default_rng(i).poisson(frame), Info(i, time)).results
    assert results["speed"].value == pytest.approx(15, rel=0.1)
