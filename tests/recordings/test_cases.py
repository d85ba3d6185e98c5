"""Files that were once misread, if available: each has the numbers given in its README."""

import numpy as np
import pytest
from project import case

import dmlink
from dmlink import recordings
from dmlink.cli import main
from dmlink.frame import Axis
from dmlink.recordings.writing.convert import convert, left_behind

NM = Axis(0, 0.5, "nm")


def about(axis):
    return Axis(pytest.approx(axis.origin, rel=1e-4), pytest.approx(axis.scale, rel=1e-4), axis.unit)


#: Path, shape, dtype, first pixels, y, x, times.
FILES = [
    ("03_folder_rgb16/prgb16", (3, 4, 5), "uint16", [0, 1000, 2000, 3000], Axis(), Axis(), [0, 1, 2]),
    ("03_folder_rgb16/trgb16", (3, 4, 5), "uint16", [0, 1000, 2000, 3000], Axis(), Axis(), [0, 1, 2]),
    ("05_mrc_mode0_unsigned/dminmax.mrc", (3, 4, 6), "uint8", [150, 151], NM, NM, [0, 1, 2]),
    # imodFlags 1: signed, according to IMOD's specification, whatever was intended
    ("05_mrc_mode0_unsigned/imodu.mrc", (3, 4, 6), "int8", [-106, -105], NM, NM, [0, 1, 2]),
    (
        "07_nexus_default/nexus default+axes, larger flat.h5",
        *((3, 4, 6), "uint16", [0, 1, 2], Axis(0, 0.2, "nm"), Axis(0, 0.1, "nm"), [0, 0.5, 1.5]),
    ),
    *(
        (f"09_ser_diffraction/64x64_diffraction_acquire{end}", (1, 64, 64), "float32", [], axis, axis, [0])
        for end in (".emi", "_1.ser")
        for axis in [Axis(-3.2503039, 0.101572, "1/nm")]
    ),
    *(
        (f"09_ser_diffraction/64x64_TEM_images_acquire{end}", (1, 64, 64), "float32", [], axis, axis, [0])
        for end in (".emi", "_1.ser")
        for axis in [Axis(-201.01868, 6.2818336, "nm")]
    ),
    ("10_hspy_nonuniform_time/nonuniform t.hspy", (3, 4, 6), "int64", [0, 1], None, None, [0, 0.5, 2]),
    (
        "16_ome_tiff/ome_physical+time.tif",
        (3, 4, 5),
        "uint16",
        [0, 1],
        Axis(0, 0.25, "nm"),
        NM,
        [0, 0.2, 0.4],
    ),
    ("16_ome_tiff/ome_+_contradicting_resolution.tif", (3, 4, 5), "uint16", [0], NM, NM, [0, 1, 2]),
    *(
        (f"18_berkeley_emd_group/Si100_{name}.emd", shape, "float32", [], axis, axis, None)
        for name, shape in (("3D", (37, 22, 22)), ("2x1x1_3D", (1, 44, 22)))
        for axis in [Axis(0, 0.25, "nm")]
    ),
    *(
        (f"20_zspy/signal1d_10x10-{store}Store.zspy", (1, 10, 10), "int64", [0, 1, 2], Axis(), Axis(), [0])
        for store in ("Directory", "Zip")
    ),
    ("21_tif_lzw/lzw.tif", (1, 4, 5), "uint8", [0, 1, 2], Axis(), Axis(), [0]),
    ("21_tif_lzw/lzwf", (3, 4, 5), "uint8", [0, 1, 2], Axis(), Axis(), [0, 1, 2]),
    ("27_omezarr_v01/v01.zarr", (8, 8, 10), "uint16", [0, 1, 2], Axis(), Axis(), None),
    ("28_tif_multi_series/multi.tif", (3, 4, 5), "uint16", [0, 1], Axis(), Axis(), [0, 1, 2]),
]


@pytest.mark.parametrize(("name", "shape", "dtype", "first", "y", "x", "times"), FILES)
def test_once_misread_file_opens_correctly(name, shape, dtype, first, y, x, times):
    with recordings.open(case(name)) as recording:
        assert (recording.shape, recording.dtype) == (shape, np.dtype(dtype))
        assert recording[0].data.ravel()[: len(first)].tolist() == first
        assert y is None or (recording.y, recording.x) == (about(y), about(x))
        assert times is None or recording.times.tolist() == pytest.approx(times)


def test_folders_read_as_their_files():
    for name in ("f2", "f8"):
        folder = case(f"23_folder_float64_refused/{name}")
        with recordings.open(folder) as recording:
            for frame, file in zip(recording, sorted(folder.iterdir()), strict=True):
                alone = recordings.open(file)[0]
                np.testing.assert_array_equal(frame.data, alone.data)
                assert (frame.data.dtype, frame.x) == (alone.data.dtype, alone.x)


def test_header_without_pixels_is_named():
    path = case("22_suffix_clash_empad/stack_images.xml")
    with pytest.raises(ValueError, match=r"EMPAD: .*series_x10\.raw is missing"):
        recordings.open(path)


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".hspy", ".mrc"])
@pytest.mark.parametrize(
    "name",
    [
        *(f"12_convert_npy_nonsquare/{n}.hspy" for n in ("uint8", "u8um", "u8mixed")),
        *(f"13_convert_lost_calibration/{n}.hspy" for n in ("f8recip", "u8recip", "u8neg")),
        "10_hspy_nonuniform_time/nonuniform t.hspy",
    ],
)
def test_conversion_keeps_or_reports(name, suffix, tmp_path, recwarn):
    with recordings.open(case(name)) as before:
        if suffix == ".mrc" and before.dtype.itemsize == 8:
            pytest.skip("MRC cannot store such pixels, and says so")
        out = convert(before, tmp_path / f"out{suffix}")
        said = bool(left_behind(before, out))
        assert said == any(issubclass(told.category, UserWarning) for told in recwarn)
        with recordings.open(out) as after:
            same = (after.y, after.x) == (about(before.y), about(before.x))
            assert said or (same and after.times.tolist() == pytest.approx(before.times.tolist()))


def test_units_have_one_spelling_for_cells():
    path = case("29_live_unit/test_loading_image_saved_with_imageJ_stack.tif")
    with recordings.open(path) as recording, dmlink.replay(path) as replay:
        assert recording[0].info.unit == replay.link.next(60).info.unit == "um"


def test_info_names_the_other_series(capsys):
    assert main(["info", str(case("28_tif_multi_series/multi.tif"))]) == 0
    assert "0 series 0: 1 x 9 x 9 uint8, 1 series 1: 3 x 4 x 5 uint16 (--item)" in capsys.readouterr().out
