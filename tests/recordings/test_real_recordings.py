"""Real files from many programs: shape, data type, sum and calibration match their sources."""

import numpy as np
import pytest
from project import real

from dmlink import recordings
from dmlink.frame import Axis

DM = "gpl/rosettasciio/digitalmicrograph/"
NO = Axis()

#: DM's data types, and their NumPy names. Colour becomes grey.
TYPES = {1: "int16", 2: "float32", 3: "complex64", 5: "complex64", 6: "uint8", 7: "int32", 8: "uint8"}
TYPES |= {9: "int8", 10: "uint16", 11: "uint32", 12: "float64", 13: "complex128", 14: "bool", 23: "uint8"}
TYPES |= {27: "complex64", 28: "complex128"}


def dm_types():
    """All of DM's data types in DM3 and DM4, with pixels 1, 2, 3, ..., or all true."""
    for folder, n, shape in (("2D", 4, (1, 2, 2)), ("3D", 8, (2, 2, 2))):
        for kind, dtype in TYPES.items():
            for suffix in ("dm3", "dm4") if kind < 27 else ("dm4",):
                total = n if kind == 14 else n * (n + 1) // 2
                yield f"{DM}{folder}/test-{kind}.{suffix}", {}, shape, dtype, total, NO, NO


def nion():
    """`ref_T|F_collection_datum`: numbers from 0, with DM's origin at pixel -0.5."""
    u, un, unn = Axis(1, 2, "µ"), Axis(1.1, 2.2, "µn"), Axis(1.2, 2.4, "µnn")
    for name, shape, total, y, x in (
        ("F_0_1", (1, 1, 3), 3, NO, u),
        ("F_0_2", (1, 3, 2), 15, u, un),
        ("F_1_1", (2, 1, 3), 15, NO, u),
        ("F_1_2", (4, 3, 2), 276, un, unn),
        ("F_2_1", (5, 3, 4), 1770, u, un),
        ("T_0_1", (2, 1, 3), 15, NO, u),
        ("T_0_2", (3, 4, 5), 1770, un, unn),
    ):
        for suffix in ("dm3", "dm4"):
            yield f"apache_nionswift-io/ref_{name}.{suffix}", {}, shape, "float32", total, y, x


def nm(scale, origin_y=0.0, origin_x=0.0, unit="nm"):
    return Axis(origin_y, scale, unit), Axis(origin_x, scale, unit)


FILES = [
    *dm_types(),
    *nion(),
    (f"{DM}1D/test-EELS_spectrum.dm3", {}, (1, 1, 2048), "float32", -7678.5571, NO, Axis(-100, 0.5, "eV")),
    (f"{DM}2D/multi_signal.dm3", {}, (1, 512, 512), "uint16", 949490255, *nm(0.0177516)),
    (f"{DM}2D/multi_signal.dm3", {"item": 1}, (1, 1, 512), "float32", 28.085793, NO, NO),
    (f"{DM}2D/test_STEM_image.dm3", {}, (1, 68, 68), "uint32", 150998555, *nm(0.248538, 42.5, 51.447370)),
    *(
        (f"{DM}2D/test_diffraction_pattern{more}.dm3", {}, (1, 87, 87), "int32", 9459771, *axes)
        for more, axes in (
            ("", nm(0.174433, 131.871241, 137.104227, "1/nm")),
            ("_tags_removed", nm(0.174433, 131.871343, 137.104332, "1/nm")),
        )
    ),
    (f"{DM}3D/EELS_SI.dm4", {}, (2048, 2, 2), "float32", 7169069.1, *nm(0.00199207, unit="µm")),
    (f"{DM}3D/EELS_SI.dm4", {"axis": 2}, (2, 2048, 2), "float32", 7169069.1, None, None),
    (f"{DM}3D/EELS_SI.dm4", {"axis": (1, 2)}, (4, 1, 2048), "float32", 7169069.1, None, None),
    (f"{DM}test_stackbuilder_imagestack.dm3", {}, (3, 2, 16), "uint32", 58576739, *nm(0.0599829, unit="µm")),
    (f"{DM}Fei HAADF-UK_location.dm3", {}, (1, 4, 16), "uint16", 248176, *nm(0.00550607, unit="µm")),
    ("mit_SciFiDatasets/DMReader_EELS_STO.dm3", {}, (1, 1, 2048), "float32", 1.6275972e8, NO, None),
    ("mit_SciFiDatasets/DMReader_EELS_STO.dm4", {}, (1, 1, 2048), "float32", 1.6275972e8, NO, None),
    ("mit_SciFiDatasets/DMReader_Image_SI-Survey.dm3", {}, (1, 512, 512), "uint32", 766802786491, NO, NO),
    ("mit_SciFiDatasets/DMReader_SI-HAADF.dm3", {}, (1, 1568, 192), "float32", 5.3168409e8, None, None),
    (
        "mit_SciFiDatasets/DMReader_SpectrumImage_SI-EELS.dm3",
        {},
        (1024, 49, 6),
        "float32",
        4.4906514e8,
        NO,
        NO,
    ),
    ("mit_SciFiDatasets/EMDReader_Image_FEI.emd", {}, (1, 512, 512), "uint16", 2431912854, *nm(5.30241)),
    ("mit_scikit-ued/test.mib", {}, (1, 256, 256), "uint16", 728470, NO, NO),
    ("mit_scikit-ued/test_multi.mib", {}, (9, 256, 256), "uint8", 18074910, NO, NO),
    ("mit_scikit-ued/hotspots.tif", {}, (1, 256, 256), "uint16", 3008092, NO, NO),
    ("bsd_trackpy/video/stuck.tif", {}, (5, 512, 512), "uint16", 656438033, NO, NO),
    ("bsd_trackpy/video/image_sequence", {}, (5, 424, 640), "uint8", 3 * 34773663 + 2 * 34796410, NO, NO),
    (
        "bsd_trackpy-examples/bulk_water/bulk_water_green_000-149.tif",
        {},
        (150, 424, 640),
        "uint8",
        5213675917,
        NO,
        NO,
    ),
]


def assert_close(axis, expected):
    if expected is not None:
        assert axis.unit == expected.unit
        assert (axis.origin, axis.scale) == pytest.approx((expected.origin, expected.scale), rel=1e-5)


@pytest.mark.parametrize(("name", "options", "shape", "dtype", "total", "y", "x"), FILES)
def test_real_file_matches_its_source(name, options, shape, dtype, total, y, x):
    with recordings.open(real(name), **options) as recording:
        assert (recording.shape, recording.dtype) == (shape, np.dtype(dtype))
        wide = complex if recording.dtype.kind == "c" else float if recording.dtype.kind == "f" else int
        assert sum(frame.data.sum(dtype=wide) for frame in recording) == pytest.approx(total, rel=1e-7)
        assert_close(recording.y, y)
        assert_close(recording.x, x)
        assert all(isinstance(value, str | bool | int | float) for value in recording[0].tags.values())


def test_real_colour_micrograph_is_grey():
    with recordings.open(real("mit_HRTEMFringeMapping/ExampleImage.tif")) as recording:
        assert recording.shape == (1, 512, 512)
        # A few pixels have channels that differ by one level.
        assert recording[0].data.sum(dtype=int) == pytest.approx(95246271 / 3, rel=1e-5)


def test_single_pixels_are_in_place():
    folder = "mit_SciFiDatasets/"
    spectrum = recordings.open(real(f"{folder}DMReader_EELS_STO.dm4"))
    assert spectrum[0].data[0, 200] == 135727
    assert spectrum.x.part(200).origin == pytest.approx(400)
    assert spectrum.tags["exposure"] == pytest.approx(2)
    image = recordings.open(real(f"{folder}DMReader_SpectrumImage_SI-EELS.dm3"))
    assert image[200].data[3, 0] == 2304
    survey = recordings.open(real(f"{folder}DMReader_Image_SI-Survey.dm3"))
    assert survey[0].data[200, 3] == 2940122


def test_tags_have_common_names():
    dm = recordings.open(real(f"{DM}2D/test_diffraction_pattern.dm3"))
    assert dm[0].tags["high_tension"] == 200e3
    assert (dm.tags["exposure"], dm.tags["binning"]) == pytest.approx((0.2, 1))
    velox = recordings.open(real("mit_SciFiDatasets/EMDReader_Image_FEI.emd"))
    assert velox[0].tags["high_tension"] == 200e3
    assert velox[0].tags["camera_length"] == pytest.approx(98)


def test_merlin_spots_are_in_place():
    pattern = recordings.open(real("mit_scikit-ued/test.mib"))[0].data.astype(float)
    for y, x in [(226.56, 26.06), (73.27, 76.24), (167.02, 95.61)]:
        near = pattern[int(y) - 4 : int(y) + 6, int(x) - 4 : int(x) + 6]
        assert near.max() > 10 * np.median(pattern)
        top, left = np.unravel_index(near.argmax(), near.shape)
        assert np.hypot(top + int(y) - 4 - y, left + int(x) - 4 - x) < 4


def test_merlin_rate_is_that_of_headers():
    recording = recordings.open(real("mit_scikit-ued/test_multi.mib"))
    assert recording.fps == pytest.approx(10, rel=1e-3)
    assert recording[0].tags["exposure"] == pytest.approx(0.0004)


def test_half_transform_matches_its_ramp():
    # Five equal rows 0, 1, 2, 3, 4 were transformed, so every value is known, including the last column.
    transform = recordings.open(real(f"{DM}2D/test_fft_packed_complex8.dm4"))[0].data
    expected = np.fft.fftshift(np.fft.fft2(np.tile(np.arange(5.0), (5, 1))))
    np.testing.assert_allclose(transform, expected, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(set(TYPES) - {5, 8, 23}))
@pytest.mark.parametrize("folder", ["2D", "3D"])
def test_rosettasciio_reads_the_same_pixels(folder, kind):
    oracle = pytest.importorskip("rsciio.digitalmicrograph")
    path = real(f"{DM}{folder}/test-{kind}.dm4")
    if kind >= 27 and folder == "3D":
        pytest.skip("RosettaSciIO unpacks only single transforms")
    (signal,) = oracle.file_reader(path)
    data = np.stack([frame.data for frame in recordings.open(path)])
    np.testing.assert_array_equal(data.reshape(signal["data"].shape), signal["data"])
