"""The gallery's cells compared with recordings whose truth is known, and with real ones."""

import colorsys

import numpy as np
import pytest
from gallery_cells import cell, poisson
from project import real

import dmlink
from dmlink import Axis, data
from dmlink.cli import bench
from dmlink.data.synthesis import thon_rings
from dmlink.frame import Info


def test_diffraction_finds_rings_and_ellipse():
    recording, profile = dmlink.open(data.ring_pattern()), cell("diffraction_profile")
    truth = recording.tags["truth"]
    for frame in recording:
        results = profile.run(frame).results
        rings = results["rings"].columns
        np.testing.assert_allclose(rings["radius (px)"], truth["radii"], atol=0.3)
        np.testing.assert_allclose(rings["d (nm)"], truth["spacings"], rtol=0.005)
        assert results["distortion"].value == pytest.approx(100 * truth["ellipse"], abs=0.3)
        marks = results["marks"]
        middle = marks.yx + np.outer(rings["radius (px)"] * 0.7, (1, -1))
        np.testing.assert_allclose(middle, np.tile(truth["centres"][frame.index], (4, 1)), atol=0.3)
        assert [float(label) for label in marks.labels] == pytest.approx(truth["spacings"], rel=0.005)
        assert results["curve"].x.unit == "1/nm"


def test_ignored_ellipse_smears_rings():
    frame = dmlink.open(data.ring_pattern())[0]
    true = cell("diffraction_profile").run(frame).results["curve"].values
    smeared = cell("diffraction_profile", ellipse=False).run(frame).results
    assert smeared["distortion"].value == 0
    assert smeared["curve"].values[2 * 50 :].max() < true[2 * 50 :].max()


def test_diffraction_shows_polar_pattern():
    results = cell("diffraction_profile", polar=True).run(dmlink.open(data.ring_pattern())[0]).results
    strongest = 90 + results["polar"].values[:, 90:130].argmax(axis=1)  # half pixels
    assert abs(np.median(strongest) - 113) <= 1
    assert np.percentile(strongest, 90) - np.percentile(strongest, 10) <= 6


@pytest.mark.parametrize("values", [{"largest": 400}, {}])
def test_defocus_and_astigmatism_are_found(values):
    recording = dmlink.open(data.thon_rings())
    truth = recording.tags["truth"]
    focus = cell("focus_astigmatism", Cs=truth["Cs"], **values)
    for frame in recording:
        results, i = focus.run(frame).results, frame.index
        found = results["defocus"].series
        assert found["defocus"] == pytest.approx(truth["defocus"][i], rel=0.03)
        assert found["astigmatism"] == pytest.approx(truth["astigmatism"][i], abs=4)
        if truth["astigmatism"][i] > 9:
            off = results["direction"].value - truth["direction"][i]
            assert abs((off + 90) % 180 - 90) < 6


@pytest.mark.parametrize("defocus", [22, 40, 50, 80, 100, 250, 390, -30, -100, -250])
def test_defocus_is_right_within_2_percent(defocus):
    nm, rng = Axis(0, 0.05, "nm"), np.random.default_rng([5, abs(defocus)])
    frame = rng.poisson(thon_rings.DOSE * (1 + thon_rings.film(rng, defocus, 0.1 * abs(defocus), 75)))
    info = Info(x=nm, y=nm, tags={"high_tension": thon_rings.HIGH_TENSION})
    found = cell("focus_astigmatism", Cs=1.2, largest=400).run(frame, info).results["defocus"].series
    assert found["defocus"] == pytest.approx(defocus, rel=0.02)
    assert found["astigmatism"] == pytest.approx(0.1 * abs(defocus), abs=4)


@pytest.mark.parametrize("defocus", [15, 430, 600])
def test_defocus_out_of_range_is_reported(defocus, capsys):
    nm, rng = Axis(0, 0.05, "nm"), np.random.default_rng(5)
    frame = rng.poisson(thon_rings.DOSE * (1 + thon_rings.film(rng, defocus, 0, 0)))
    info = Info(x=nm, y=nm, tags={"high_tension": thon_rings.HIGH_TENSION})
    assert cell("focus_astigmatism", Cs=1.2, largest=400).run(frame, info).results.keys() == {"match"}
    assert "No defocus of 20 to 400 nm" in capsys.readouterr().out


def test_defocus_uses_high_tension():
    frame = dmlink.open(data.thon_rings())[4]
    as_300 = cell("focus_astigmatism", Cs=1.2, kilovolt=300).run(frame).results["defocus"].series["defocus"]
    assert as_300 > 1.1 * 200  # the wavelength is shorter, so the same rings mean a larger defocus


def test_no_defocus_without_thon_rings():
    noise = np.random.default_rng(5).poisson(100, (256, 256)).astype(np.uint16)
    nm = Axis(0, 0.05, "nm")
    results = cell("focus_astigmatism").run(noise, Info(x=nm, y=nm))
    assert results.results.keys() == {"match"}
    assert cell("focus_astigmatism").run(noise) is None  # nor without a calibration


@pytest.mark.parametrize(("certain", "spacing"), [(8.0, 0.235), (12.0, 0.235), (20.0, 0.235), (12.0, None)])
def test_phase_change_onset_is_found(certain, spacing):
    recording = dmlink.open(data.crystallisation())
    truth = recording.tags["truth"]
    change, said, events = cell("phase_change", spacing=spacing, certain=certain), {}, []
    for frame in recording:
        results = change.run(frame).results
        events += [frame.index] * results["event"].happened
        if "change" in results:
            said[frame.index] = results["change"].text
            assert results["spacing"].value == pytest.approx(truth["spacing"], rel=0.03)
    assert events == [min(said)]
    assert min(said) > truth["onset"], "a change was said before there was one"
    assert len(set(said.values())) == 1
    words = next(iter(said.values()))
    onset = int(words.split()[2].strip(","))
    assert abs(onset - truth["onset"]) <= 2
    assert f"{onset / recording.fps:.2f} s after the first" in words


def test_no_change_before_onset():
    frames = [frame.data for frame in dmlink.open(data.crystallisation())]
    nm = Axis(0, 0.05, "nm")
    for spacing in (0.235, None):
        change = cell("phase_change", spacing=spacing)
        still = [
            change.run(f, Info(i, x=nm, y=nm)).results for i, f in enumerate(frames[:52] + frames[:52][::-1])
        ]
        assert not [i for i, results in enumerate(still) if "change" in results]
    rng, crystalline = (
        np.random.default_rng(2),
        frames[79],
    )  # always the same place: crystals that drift away disappear, too
    gone = cell("phase_change")
    story = [rng.poisson(crystalline) for _ in range(30)] + frames[:20]
    results = [gone.run(f, Info(i, x=nm, y=nm)).results for i, f in enumerate(story)]
    onset = int(results[-1]["change"].text.split()[2].strip(","))
    assert abs(onset - 30) <= 2


def test_one_bad_frame_is_no_phase_change():
    frames = [frame.data for frame in dmlink.open(data.crystallisation())][:40]
    frames[30] = dmlink.open(data.crystallisation())[79].data
    frames[33] = np.zeros_like(frames[0])
    nm = Axis(0, 0.05, "nm")
    change = cell("phase_change")
    results = [change.run(f, Info(i, x=nm, y=nm)) for i, f in enumerate(frames)]
    assert results[33] is None
    assert not [r for r in results if r and "change" in r.results]


def colour_map(**values):
    return cell("fft_colour_map", **values)


def hues(result, truth, size, cells=3):
    """Return hue (0 to 1) and brightness at the centre of every crystallite."""
    middles = (np.arange(cells) + 0.5) * size / cells * 0.05
    rows, columns = ((middles - axis.origin) / axis.scale for axis in (result.y, result.x))
    colours = result.values[np.ix_(rows.round().astype(int), columns.round().astype(int))] / 255
    return np.array([[colorsys.rgb_to_hsv(*colour) for colour in row] for row in colours]).transpose(2, 0, 1)


def test_colour_map_shows_orientation():
    recording = dmlink.open(data.crystallites())
    truth = recording.tags["truth"]
    colours = colour_map()
    for frame in recording:
        hue, _, value = hues(colours.run(frame).results["map"], truth, 512)
        off = (hue * 180 - truth["angles"] + 90) % 180 - 90
        assert np.abs(off).max() < 2
        assert value.min() > 0.5


def test_colour_map_shows_spacing():
    recording = dmlink.open(data.crystallites())
    frame, truth = recording[0], recording.tags["truth"]
    hue, _, _ = hues(colour_map(hue="spacing").run(frame).results["map"], truth, 512)
    frequency = hue * 3 / 2 / 2 / 0.05  # red is zero, blue (2/3) half the sampling
    np.testing.assert_allclose(1 / frequency, truth["spacings"], rtol=0.02)


@pytest.mark.parametrize("hue", ["direction", "spacing"])
def test_colour_wheel_has_the_map_s_colours(hue):
    recording = dmlink.open(data.crystallites())
    truth = recording.tags["truth"]
    results = colour_map(hue=hue).run(recording[0]).results
    shown, _, _ = hues(results["map"], truth, 512)
    wheel = results["wheel"]
    angles, spacings = np.radians(truth["angles"]), np.array(truth["spacings"])
    x, y = np.cos(angles) / spacings, -np.sin(angles) / spacings
    row, column = (
        np.rint((v - axis.origin) / axis.scale).astype(int) for v, axis in ((y, wheel.y), (x, wheel.x))
    )
    there = np.array(
        [colorsys.rgb_to_hsv(*colour)[0] for colour in wheel.values[row, column].reshape(-1, 3) / 255]
    )
    off = (there.reshape(shown.shape) - shown + 0.5) % 1 - 0.5
    assert np.abs(off).max() < 0.06  # the wheel has 64 pixels
    assert wheel.x.unit == "1/nm"


def test_colour_map_of_noise_is_dark():
    noise = np.random.default_rng(5).poisson(100, (512, 512)).astype(np.uint16)
    assert np.median(colour_map().run(noise).results["map"].values.max(axis=2)) < 40


def test_colour_map_of_gradient_is_dark():
    row, column = np.ogrid[:512, :512]
    for seen in (50 + 0.3 * column, 100 * np.exp(-((row - 256) ** 2 + (column - 256) ** 2) / 2e5)):
        frame = np.random.default_rng(5).poisson(seen + 0 * row).astype(np.uint16)
        assert np.median(colour_map(mask=2).run(frame).results["map"].values.max(axis=2)) < 40


def test_colour_map_of_saturation_is_dark():
    for part in (np.s_[200:], np.s_[:, 200:]):
        frame = np.random.default_rng(5).poisson(1, (512, 512)).astype(np.uint16)
        frame[part] = 65535
        assert colour_map().run(frame).results["map"].values[-3:, -3:].max() == 0


def test_maximum_fft_shows_every_spot():
    frame = dmlink.open(data.crystallites())[0]
    truth = dmlink.open(data.crystallites()).tags["truth"]
    shown = cell("maximum_fft", size=128, spacing=32).run(frame)
    assert (shown.x, shown.values.shape) == (Axis(-10.0, 1 / 128 / 0.05, "1/nm"), (128, 128))
    np.testing.assert_allclose(shown.values[1:, 1:], shown.values[:0:-1, :0:-1], rtol=1e-4)
    dark = np.percentile(shown.values, 90)
    for angle, spacing in zip(np.ravel(truth["angles"]), np.ravel(truth["spacings"]), strict=True):
        x, y = (np.cos(np.deg2rad(angle)) / spacing, -np.sin(np.deg2rad(angle)) / spacing)
        row, column = (round((v - shown.x.origin) / shown.x.scale) for v in (y, x))
        assert shown.values[row - 1 : row + 2, column - 1 : column + 2].max() > dark + 0.8


def radius_of_peak(profile, low, high):
    """Return the position of the highest value between low and high, in the unit of the axis."""
    x = profile.x.values(len(profile.values))
    inside = np.flatnonzero((x >= low) & (x <= high))
    i = inside[profile.values[inside].argmax()]
    before, top, after = profile.values[i - 1 : i + 2]
    return profile.x.origin + profile.x.scale * (i + (after - before) / 2 / (2 * top - before - after))


@pytest.mark.parametrize("shape", [(512, 512), (435, 435), (300, 461), (870, 870)])
def test_radial_profile_peaks_at_ring(shape):
    q, nm = 1 / 0.235, Axis(0, 0.05, "nm")
    rng, (h, w) = np.random.default_rng(3), shape
    radius = np.hypot(np.fft.fftfreq(h, 0.05)[:, None], np.fft.rfftfreq(w, 0.05))
    ring = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal(shape)) * np.exp(-(((radius - q) / 0.1) ** 2)), shape
    )
    frame = rng.poisson(100 * (1 + 0.05 * ring / ring.std()))
    curves = cell("fft_radial_profile").run(frame, Info(x=nm, y=nm)).results
    assert curves["mean"].x.unit == "1/nm"
    # a few pixels wide, with few speckles: 0.3 px of the transform
    assert radius_of_peak(smooth(curves["mean"]), 3, 6) == pytest.approx(
        q, abs=0.3 / (max(shape) * 0.05) + 0.02
    )


def smooth(profile):
    return dmlink.Profile(
        np.convolve(profile.values, np.hanning(7), "same"), profile.x.scale, profile.x.origin
    )


def test_radial_profile_counts_lattice_spots():
    rng, (y, x), nm = np.random.default_rng(3), np.ogrid[:300, :300], Axis(0, 0.05, "nm")
    lattice = np.cos(2 * np.pi * 0.05 / 0.235 * (x * np.cos(0.6) - y * np.sin(0.6)))
    curves = cell("fft_radial_profile").run(rng.poisson(100 + 10 * lattice), Info(x=nm, y=nm)).results
    assert radius_of_peak(curves["spots"], 2, 9) == pytest.approx(1 / 0.235, abs=0.3 / (300 * 0.05))
    noise = cell("fft_radial_profile").run(rng.poisson(100, (300, 300))).results
    assert curves["spots"].values.max() > 8 * noise["spots"].values.max()
    assert noise["mean"].values.mean() == pytest.approx(
        0.89 * 10, rel=0.02
    )  # sqrt(pi) / 2 x standard deviation
    assert noise["mean"].x.unit == "1/px"


def test_virtual_detector_sums_its_pixels():
    truth = dmlink.open(data.ring_pattern()).tags["truth"]
    frame = dmlink.open(data.ring_pattern())[0]
    results = cell("virtual_detector", bright=8.0, inner=52.0, outer=61.0).run(frame).results
    y, x = truth["centres"][0]
    row, column = np.ogrid[:256, :256]
    radius = np.hypot(row - y, column - x)
    sums = results["sums"].series
    assert sums["bright field"] == pytest.approx(frame.data[radius <= 8].sum(), rel=0.02)
    assert sums["dark field"] == pytest.approx(frame.data[(radius >= 52) & (radius <= 61)].sum(), rel=0.02)
    boxes = results["detectors"].tlbr
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:] - 1) / 2, np.tile((y, x), (3, 1)), atol=0.3)
    by_hand = cell("virtual_detector", bright=8.0, inner=52.0, outer=61.0, centre_y=100.0, centre_x=90.0)
    np.testing.assert_allclose(by_hand.run(frame).results["detectors"].tlbr[0], (92.5, 82.5, 108.5, 98.5))


def test_clipped_detector_is_reported(capsys):
    frame = dmlink.open(data.ring_pattern())[0]
    for outer, said in ((80.0, False), (140.0, True)):
        cell("virtual_detector", outer=outer).run(frame)
        assert ("extends beyond the frame" in capsys.readouterr().out) == said


def test_soot_has_the_published_peak():
    image = dmlink.open(real("mit_HRTEMFringeMapping/ExampleImage.tif"))[0].data
    nm = Axis(0, 1 / 18.01941748, "nm")
    image = image if image.ndim == 2 else image[..., 0]
    curves = cell("fft_radial_profile").run(image, Info(x=nm, y=nm)).results
    assert 1 / radius_of_peak(curves["spots"], 2, 5) == pytest.approx(0.350, abs=0.004)


def test_survey_lattice_has_its_periods():
    image = dmlink.open(real("mit_SciFiDatasets/DMReader_Image_SI-Survey.dm3"))[0].data
    shown = cell("maximum_fft", size=512).run(image)
    power = shown.values.copy()
    q = shown.x.values(512)
    power[np.hypot(q[:, None], q) < 0.02] = 0
    along_x = 1 / abs(q[np.where(np.abs(q)[:, None] < 0.004, power, 0).max(axis=0).argmax()])
    along_y = 1 / abs(q[np.where(np.abs(q) < 0.004, power, 0).max(axis=1).argmax()])
    assert sorted((along_x, along_y)) == pytest.approx([14.96, 21.82], rel=0.03)


def test_real_pattern_spots_are_counted():
    frame = dmlink.open(real("mit_scikit-ued/test.mib"))[0]
    spots = cell("virtual_detector", bright=4.0, inner=5.0, outer=6.0)
    results = spots.run(frame).results
    places = [(226.56, 26.06), (73.27, 76.24), (167.02, 95.61)]
    top, left, bottom, right = results["detectors"].tlbr[0]
    found = (top + bottom - 1) / 2, (left + right - 1) / 2
    assert min(np.hypot(found[0] - y, found[1] - x) for y, x in places) < 1
    radius = np.hypot(np.arange(256)[:, None] - found[0], np.arange(256) - found[1])
    assert results["sums"].series == {
        "bright field": frame.data[radius <= 4].sum(),
        "dark field": frame.data[(radius >= 5) & (radius <= 6)].sum(),
    }


def test_colour_map_matches_published_package():
    peers = bench._module("gallery").alone.peers
    frame = dmlink.open(data.crystallites())[0]
    direction, frequency, strength = peers.colour_map(frame.data)
    for hue, expected, period in (("direction", direction, 180), ("spacing", frequency, 10)):
        shown = colour_map(hue=hue).run(frame).results["map"].values
        clear = (shown.max(axis=2) > 128) & (strength > np.median(strength) - 1)
        hues = np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in shown[clear] / 255])
        found = hues * (180 if hue == "direction" else 0.75)
        off = (found - expected[clear] + period / 2) % period - period / 2
        # theirs is in whole pixels: 1/128 cycles/px, and 2 degrees at a fifth of a cycle
        assert np.percentile(np.abs(off), 95) < (3.0 if hue == "direction" else 1 / 128)
        assert clear.sum() > 100


def test_radial_profile_matches_2019_script():
    peers = bench._module("gallery").alone.peers
    frame = dmlink.open(data.crystallites())[0]
    theirs = peers.radial_profile_2019(frame.data)  # 128 points up to half the sampling, 10/nm
    ours = cell("fft_radial_profile").run(frame).results["spots"]
    for spacing in (0.204, 0.235, 0.28):
        place = np.arange(len(theirs)) * 10 / len(theirs)
        near = np.abs(place - 1 / spacing) < 0.3
        peak = place[near][theirs[near].argmax()]
        assert radius_of_peak(ours, 1 / spacing - 0.3, 1 / spacing + 0.3) == pytest.approx(peak, abs=10 / 128)


def test_detectors_are_where_the_rings_are(capsys):
    recording = dmlink.open(data.ring_pattern())
    truth = recording.tags["truth"]
    results = cell("virtual_detector").run(recording[0]).results
    top, left, bottom, right = results["detectors"].tlbr.T
    bright, inner, outer = (bottom - top) / 2
    np.testing.assert_allclose(
        ((top + bottom - 1) / 2, (left + right - 1) / 2), np.tile(truth["centres"][0], (3, 1)).T, atol=0.3
    )
    assert bright < inner < min(truth["radii"])
    assert outer > max(truth["radii"])
    assert capsys.readouterr().out == ""
    cell("virtual_detector").run(dmlink.open(data.thon_rings())[0])
    assert "is this a diffraction pattern?" in capsys.readouterr().out


def test_rings_are_missed_in_images(capsys):
    cell("diffraction_profile").run(dmlink.open(data.thon_rings())[0])
    assert "No rings: is this a diffraction pattern?" in capsys.readouterr().out
    cell("diffraction_profile").run(dmlink.open(data.ring_pattern())[0])
    assert capsys.readouterr().out == ""


def test_blanked_beam_is_an_event():
    frames = [frame.data for frame in dmlink.open(data.ring_pattern())][:4]
    detector, blank = (
        cell("virtual_detector"),
        np.random.default_rng(1).poisson(1, (256, 256)).astype(np.uint16),
    )
    given = [
        detector.run(frame).results["beam"].happened for frame in (*frames[:2], blank, blank, *frames[2:])
    ]
    assert given == [False, False, True, False, False, False]


def test_virtual_detector_forgets_blanked_frame():
    blanked = np.random.default_rng(2).poisson(3, (128, 128)).astype(np.uint16)
    y, x = np.mgrid[:128, :128]
    lit = blanked + np.uint16(2000 * (np.hypot(y - 70, x - 50) < 8))
    detector = cell("virtual_detector", bright=8.0, inner=20.0, outer=40.0)
    detector.run(blanked)
    top, left, bottom, right = detector.run(lit).results["detectors"].tlbr[0]
    assert ((top + bottom - 1) / 2, (left + right - 1) / 2) == pytest.approx((70, 50), abs=0.2)
    wandered = detector.run(np.roll(lit, 9, axis=1)).results["detectors"].tlbr[0]
    assert tuple(wandered) == (top, left, bottom, right)


def spot(radius, total=226_000.0):
    """Return a pattern with a direct beam of this radius (px) and total counts."""
    y, x = np.mgrid[:128, :128]
    inside = np.hypot(y - 64, x - 64) < radius
    mean = 1 + inside * total / inside.sum()
    return np.random.default_rng(radius).poisson(mean).astype(np.float32)


def test_hot_pixel_is_no_beam():
    detector, clean, hot = cell("virtual_detector"), spot(12), spot(12)
    hot[20, 90] = 60_000
    for frame in (hot, clean, hot):
        results = detector.run(frame).results
        assert results["sums"].series["bright field"] == pytest.approx(226_000, rel=0.02)


def test_new_camera_length_moves_the_detectors():
    detector = cell("virtual_detector")
    for radius, scale in ((12, 0.1), (24, 0.05)):
        info = Info(x=Axis(0, scale, "1/nm"), y=Axis(0, scale, "1/nm"))
        results = detector.run(spot(radius), info).results
        assert results["sums"].series["bright field"] == pytest.approx(228_000, rel=0.02)


def test_defocus_is_found_though_boxes_are_empty():
    nm, rng = Axis(0, 0.05, "nm"), np.random.default_rng(3)
    film = thon_rings.film(rng, 100.0, 0.0, 0)
    frame = rng.poisson(100 * thon_rings.DOSE * (1 + film))[:80, :80]
    results = cell("focus_astigmatism", Cs=1.2, coarse=0.5).run(frame, Info(x=nm, y=nm)).results
    assert results["match"].value > 0.4
    assert results["defocus"].series["defocus"] == pytest.approx(100, rel=0.05)


def test_high_tension_of_zero_is_unknown():
    nm, rng = Axis(0, 0.05, "nm"), np.random.default_rng(3)
    frame = rng.poisson(thon_rings.DOSE * (1 + thon_rings.film(rng, 100.0, 0.0, 0)))
    infos = [Info(x=nm, y=nm, tags=tags) for tags in ({}, {"high_tension": 0.0})]
    first, second = (cell("focus_astigmatism").run(frame, info).results for info in infos)
    assert first["match"].value == second["match"].value


@pytest.mark.parametrize("name", ["maximum_fft", "fft_radial_profile", "fft_colour_map"])
def test_transform_of_a_pattern_is_in_nm(name):
    info = Info(x=Axis(0, 0.1, "1/nm"), y=Axis(0, 0.1, "1/nm"))
    results = cell(name).run(poisson((256, 256)), info)
    shown = results.results if hasattr(results, "results") else {"": results}
    assert "nm" in {result.x.unit for result in shown.values() if hasattr(result, "x")}


def test_focus_follows_a_new_magnification():
    frame, focus = np.random.default_rng(1).poisson(100, (256, 256)), cell("focus_astigmatism")
    for scale in (0.05, 0.1, 0.06):
        axis = Axis(0, scale, "nm")
        alone = cell("focus_astigmatism").run(frame, Info(x=axis, y=axis)).results
        assert focus.run(frame, Info(x=axis, y=axis)).results["match"].value == alone["match"].value


def test_defocus_needs_no_square_pixels():
    recording = dmlink.open(data.thon_rings())
    truth, focus = recording.tags["truth"], cell("focus_astigmatism", Cs=recording.tags["truth"]["Cs"])
    whole = recording[0]
    rows = whole.data.reshape(whole.data.shape[0] // 2, 2, -1).sum(axis=1)  # two rows binned into one
    tall = Axis(0, 2 * whole.y.scale, whole.y.unit)
    seen = focus.run(rows, Info(x=whole.x, y=tall, tags=whole.info.tags)).results
    assert seen["defocus"].series["defocus"] == pytest.approx(truth["defocus"][0], rel=0.05)


def test_phase_change_starts_again_at_a_new_magnification():
    frames = np.random.default_rng(1).poisson(100, (30, 128, 128))
    change = cell("phase_change", spacing=0.5)
    for i, frame in enumerate(frames):
        axis = Axis(0, 0.05 if i < 25 else 0.1, "nm")
        change.run(frame, Info(i, 0.1 * i, x=axis, y=axis))
    assert len(change._here.state["past"]) == 5


@pytest.mark.parametrize("size", [16, 128])
@pytest.mark.parametrize("degrees", [-3.0, -1.0, 0.0, 1.0, 3.0])
def test_colour_map_measures_nearly_vertical_spots(size, degrees):
    turn, period = np.radians(90 + degrees), 5.3 if size > 16 else 3.1  # px
    y, x = np.mgrid[:256, :256]
    frame = 100 + 50 * np.cos(2 * np.pi / period * (x * np.cos(turn) - y * np.sin(turn)))
    results = cell("fft_colour_map", size=size, spacing=64, weakest=0.0).run(np.float32(frame)).results
    red, green, blue = results["map"].values.reshape(-1, 3).astype(float).mean(axis=0) / 255
    hue = colorsys.rgb_to_hsv(red, green, blue)[0] * 180
    assert (hue - np.degrees(turn) + 90) % 180 - 90 == pytest.approx(0, abs=0.7)
