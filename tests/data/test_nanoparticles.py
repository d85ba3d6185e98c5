"""The synthetic recording is generated once, is equal everywhere, and its truth matches the pixels."""

import json
import multiprocessing

import numpy as np
import pytest
from scipy import ndimage

from dmlink import data, recordings
from dmlink.data.synthesis import nanoparticles as making


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLINK_CACHE", str(tmp_path_factory.mktemp("cache")))
        with recordings.open(data.nanoparticles()) as opened:
            yield opened


@pytest.fixture(scope="module")
def truth(recording):
    return recording.tags["truth"]


def whole(truth, p, i):
    """Return whether particle `p` is separate from all others in frame `i`."""
    coalescence = truth["coalescence"]
    merging = coalescence["frame"] - 2 <= i < coalescence["absorbed"] + 2
    present = truth["particles"][p]["positions"][i] is not None
    return present and not (merging and p in coalescence["particles"])


def crop(frame, yx, half):
    y, x = np.round(yx).astype(int)
    return frame.data[y - half : y + half, x - half : x + half].astype(float)


def test_opens_with_scale_and_times(recording):
    assert (recording.shape, recording.dtype) == ((120, 512, 512), np.dtype("uint16"))
    assert (recording.x.scale, recording.x.unit, recording.fps) == (0.05, "nm", 20.0)
    assert recording.times[-1] == pytest.approx(119 / 20)
    assert len(recording.tags["truth"]["particles"]) == 7


def test_same_bytes_when_made_again(recording, monkeypatch):
    monkeypatch.delenv("DMLINK_CACHE")
    again = data.nanoparticles()  # from the user's cache: another process may have generated it
    assert again != recording.path
    assert again.read_bytes() == recording.path.read_bytes()
    assert again.with_suffix(".json").read_bytes() == recording.path.with_suffix(".json").read_bytes()


def test_recording_is_made_once(recording, monkeypatch):
    monkeypatch.setenv("DMLINK_CACHE", str(recording.path.parent))
    before = recording.path.stat().st_mtime_ns
    assert data.nanoparticles() == recording.path
    assert recording.path.stat().st_mtime_ns == before
    assert sorted(p.suffix for p in recording.path.parent.iterdir()) == [".json", ".npy"]


def half_written(path):
    path.write_bytes(b"half")
    raise KeyboardInterrupt


def slow(path):
    path.with_suffix(".json").write_text("{}", "utf-8")
    np.save(path, np.ones((400, 100, 100)))


def test_interrupted_making_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_CACHE", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        data._made_once("x.npy", half_written)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_make_it_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_CACHE", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=data._made_once, args=("x.npy", slow)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert np.load(tmp_path / "x.npy").sum() == 4_000_000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.npy"]


def test_counts_are_poisson(recording):
    film, frame = making._film(), recording[30]
    expected = recording.tags["dose"] * making.image(making.story(), film, 30)
    assert 20 < expected.min() < expected.max() < 400
    deviation = (frame.data - expected) / np.sqrt(expected)
    assert deviation.mean() == pytest.approx(0, abs=0.01)
    assert deviation.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("i", [0, 45, 100, 119])
def test_positions_are_disc_centres(recording, truth, i):
    smooth = ndimage.gaussian_filter(recording[i].data.astype(float), 5)
    dark = np.median(smooth) - smooth
    rows, columns = np.ogrid[:512, :512]
    assert any(whole(truth, p, i) for p in range(len(truth["particles"])))
    for p, particle in enumerate(truth["particles"]):
        if not whole(truth, p, i):
            continue
        y, x = particle["positions"][i]
        near = np.hypot(rows - y, columns - x) < particle["radius"][i] / 0.05 + 5
        weight = np.clip(np.where(near, dark, 0), 0, None)
        found = ndimage.center_of_mass(weight)
        assert np.hypot(found[0] - y, found[1] - x) < 1, f"particle {p}"
        assert dark[round(y), round(x)] > 0.1 * np.median(smooth)


@pytest.mark.parametrize("i", [0, 45, 100, 119])
def test_fringes_have_true_spacing_and_angle(recording, truth, i):
    checked = 0
    for p, particle in enumerate(truth["particles"]):
        if not whole(truth, p, i) or particle["crystallinity"][i] < 0.9:
            continue
        half = int(particle["radius"][i] / 0.05 * 0.75)
        patch = crop(recording[i], particle["positions"][i], half)
        window = np.hanning(2 * half)
        power = np.abs(np.fft.fft2((patch - patch.mean()) * np.outer(window, window), (1024, 1024)))
        frequency = np.fft.fftfreq(1024, 0.05)
        q = np.hypot(frequency[:, None], frequency)
        power[(q < 3.8) | (q > 5.2)] = 0
        row, column = np.unravel_index(power.argmax(), power.shape)
        assert 1 / q[row, column] == pytest.approx(0.235, rel=0.02)
        angle = np.arctan2(-frequency[row], frequency[column])  # y up
        apart = (angle - particle["angle"][i] + np.pi / 2) % np.pi - np.pi / 2
        assert abs(np.rad2deg(apart)) < 2, f"particle {p}"
        checked += 1
    assert checked >= {0: 1, 45: 4, 100: 6, 119: 6}[i]


def test_fringes_appear_at_onset(recording, truth):
    y, x = np.mgrid[:512, :512]
    assert any(particle["onset"] >= 0 for particle in truth["particles"])
    for p, particle in enumerate(truth["particles"]):
        onset = particle["onset"]
        if onset < 0:
            continue
        amplitude = {}
        for i in (onset - 4, onset, onset + 6, onset + 12):
            half = int(particle["radius"][i] / 0.05 * 0.7)
            at, angle = particle["positions"][i], particle["angle"][i]
            wave = np.exp(2j * np.pi * 0.05 / 0.235 * (x * np.cos(angle) - y * np.sin(angle)))
            top, left = (round(v) - half for v in at)
            window = np.outer(np.hanning(2 * half), np.hanning(2 * half))
            patch = crop(recording[i], at, half)
            here = wave[top : top + 2 * half, left : left + 2 * half]
            amplitude[i - onset] = abs(np.sum((patch / patch.mean() - 1) * window * here)) / window.sum()
        assert max(amplitude[-4], amplitude[0]) < 0.3 * amplitude[12], f"particle {p}"
        assert 0.3 * amplitude[12] < amplitude[6] < 0.85 * amplitude[12], f"particle {p}"


def test_coalescence_conserves_volume(recording, truth):
    first, second = truth["particles"][:2]
    coalescence = truth["coalescence"]
    touch, absorbed = coalescence["frame"], coalescence["absorbed"]
    distance = np.hypot(*np.subtract(first["positions"][touch], second["positions"][touch])) * 0.05
    assert distance == pytest.approx(first["radius"][touch] + second["radius"][touch], abs=0.1)
    assert second["positions"][absorbed - 1] is not None
    assert second["positions"][absorbed] is None
    assert first["radius"][-1] ** 3 == pytest.approx(
        first["radius"][0] ** 3 + second["radius"][0] ** 3, rel=1e-3
    )
    for i, bodies in ((touch - 20, 7), (touch + 6, 6), (119, 6)):
        smooth = ndimage.gaussian_filter(recording[i].data.astype(float), 4)
        assert ndimage.label(smooth < 0.9 * np.median(smooth))[1] == bodies


def test_film_drifts_as_recorded(recording, truth):
    # Cross-correlation of film without particles, between two frames 40 apart.
    a, b = (recording[i].data[300:364, 200:264].astype(float) for i in (0, 40))
    a, b = (ndimage.gaussian_filter(v - v.mean(), 1) for v in (a, b))
    correlation = np.fft.ifft2(np.fft.fft2(b) * np.conj(np.fft.fft2(a))).real
    shift = np.array(np.unravel_index(correlation.argmax(), correlation.shape))
    shift = (shift + 32) % 64 - 32
    assert np.hypot(*(shift - np.subtract(truth["drift"][40], truth["drift"][0]))) < 1


def test_truth_is_documented(recording):
    told = json.loads(recording.path.with_suffix(".json").read_text("utf-8"))
    assert "anticlockwise from +x with y up" in told["truth"]["conventions"]
    assert told["origin"].startswith("synthetic")
