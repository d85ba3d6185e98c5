"""Calibration: sizes, origins and times as written by the programs that make the files."""

import struct

import mrcfile
import numpy as np
import pytest
import tifffile
from detector_files import mib, ser

from dmlink import recordings
from dmlink.cli import main
from dmlink.frame import Axis

STACK = np.arange(3 * 5 * 6, dtype=np.uint16).reshape(3, 5, 6)


def near(*numbers):
    return Axis(*(pytest.approx(n, rel=1e-6) for n in numbers[:2]), numbers[2])


def test_ome_sizes_come_before_the_resolution(tmp_path):
    told = {
        "axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 2e-3,
        "TimeIncrement": 200.0, "TimeIncrementUnit": "ms",
    }  # fmt: skip
    tifffile.imwrite(
        tmp_path / "x.ome.tif", STACK, ome=True, metadata=told, resolution=(1e4, 1e4), resolutionunit=3
    )
    with recordings.open(tmp_path / "x.ome.tif") as recording:
        assert (recording.x, recording.y) == (Axis(0, 0.5, "nm"), Axis(0, 2e-3, "µm"))
        assert recording.times.tolist() == pytest.approx([0, 0.2, 0.4])


def test_ome_planes_have_their_own_times(tmp_path):
    told = {"axes": "TYX", "Plane": {"DeltaT": [0.0, 0.5, 3.0], "TheT": [0, 1, 2]}}
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK, ome=True, metadata=told)
    assert recordings.open(tmp_path / "x.ome.tif").times.tolist() == [0, 0.5, 3]


def test_planar_colours_are_one_frame(tmp_path):
    colours = np.stack([STACK[0]] * 3)
    for name, options in (("plain", {}), ("packed", {"compression": "zlib"})):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", colours, photometric="rgb", planarconfig="separate", **options
        )
        np.testing.assert_array_equal(np.asarray(recordings.open(tmp_path / f"{name}.tif")), STACK[:1])


FEI = "[Scan]\r\nPixelWidth=2e-10\r\nPixelHeight=1e-10\r\n"


@pytest.mark.parametrize(
    ("tags", "y", "x"),
    [
        ([(34682, 2, len(FEI) + 1, FEI, True)], near(0, 0.1, "nm"), near(0, 0.2, "nm")),
        (
            [
                (65003, 2, 3, "nm", True), (65004, 2, 3, "nm", True), (65006, 12, 1, -1.0, True),
                (65007, 12, 1, 2.0, True), (65009, 12, 1, 0.25, True), (65010, 12, 1, 0.5, True),
            ],
            Axis(2, 0.5, "nm"),
            Axis(-1, 0.25, "nm"),
        ),
    ],
    ids=["FEI", "DigitalMicrograph"],
)  # fmt: skip
def test_sizes_of_microscopes_in_tiff(tmp_path, tags, y, x):
    tifffile.imwrite(tmp_path / "x.tif", STACK[0], extratags=tags, photometric="minisblack", metadata=None)
    with recordings.open(tmp_path / "x.tif") as recording:
        assert (recording.y, recording.x) == (y, x)


def tagged(path, code, kind, value, pixels=STACK[0]):
    """Write a TIFF file with one more tag: text (kind 2) or bytes (kind 7)."""
    tag = code, kind, len(value) + (kind == 2), value, True
    tifffile.imwrite(path, pixels, extratags=[tag], photometric="minisblack", metadata=None)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("0\r\n0\r\n0\r\n2e-10\r\n0\r\n", 0.2 * 1024 / 6),  # for an image 1024 pixels wide
        ("AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 1.5 \xb5m\r\n", 1500),
        ("AP_PIXEL_SIZE\r\nPixel Size = 2.5 nm\r\n", 2.5),
    ],
)
def test_zeiss_pixel_size_is_read(tmp_path, text, scale):
    tagged(tmp_path / "x.tif", 34118, 7, text.encode("latin-1"))
    with recordings.open(tmp_path / "x.tif") as recording:
        assert recording.x == recording.y
        size, unit = recording.x.scale, recording.x.unit
        assert size * {"nm": 1, "\xb5m": 1000}[unit] == pytest.approx(scale)


def test_olympus_pixel_size_is_read(tmp_path):
    path = tmp_path / "x.tif"
    name, camera, kind = b"image", b"camera", b"TEM"
    head = struct.pack("<4s6x5h6x32sH", b"SIS0", 30, 12, 1, 2, 126, name, 1)
    sizes = struct.pack("<10xhdd8xd2x34s32s", -9, 0.25, 0.5, 50e3, camera, kind)
    tagged(path, 33560, 7, head + struct.pack("<hhI", 1, 1, 0) + sizes)
    data = bytearray(path.read_bytes())
    at = data.index(b"SIS0") + len(head)
    struct.pack_into("<I", data, at + 4, at + 8)  # position of the sizes in the file
    path.write_bytes(data)
    with recordings.open(path) as recording:
        assert (recording.y, recording.x) == (near(0, 0.5, "nm"), near(0, 0.25, "nm"))


def test_tvips_pixel_size_is_read(tmp_path):
    first = np.zeros((), tifffile.TIFF.TVIPS_HEADER_V1)
    second = np.zeros((), tifffile.TIFF.TVIPS_HEADER_V2)
    first["Version"], second["Magic"] = 2, 0xAAAAAAAA
    second["PixelSizeX"], second["PixelSizeY"] = 0.25, 0.5
    tagged(tmp_path / "x.tif", 37706, 7, first.tobytes() + second.tobytes())
    with recordings.open(tmp_path / "x.tif") as recording:
        assert (recording.y, recording.x) == (Axis(0, 0.5, "nm"), Axis(0, 0.25, "nm"))
    first["Version"] = 1  # without its own size
    tagged(tmp_path / "old.tif", 37706, 7, first.tobytes())
    assert recordings.open(tmp_path / "old.tif").x == Axis()


def test_jeol_divides_by_magnification(tmp_path):
    report = (
        "<TemReporter><Eos><EosMode>eosTEM</EosMode></Eos><ImageFormingSystem><ModeString>MAG</ModeString>"
        "<SelectorValue>50000</SelectorValue></ImageFormingSystem></TemReporter>"
    )
    tifffile.imwrite(
        tmp_path / "x.tif", STACK[0], photometric="minisblack", metadata=None, description=report,
        resolution=(1000, 1000), resolutionunit="CENTIMETER", extratags=[(271, 2, 10, "JEOL Ltd.", True)],
    )  # fmt: skip
    assert recordings.open(tmp_path / "x.tif").x == near(0, 0.2, "nm")  # 10 um on the camera


def test_preview_is_not_the_recording(tmp_path, capsys):
    with tifffile.TiffWriter(tmp_path / "x.tif") as tiff:
        tiff.write(np.zeros((4, 4), np.uint8), photometric="minisblack")
        tiff.write(STACK, photometric="minisblack")
    np.testing.assert_array_equal(np.asarray(recordings.open(tmp_path / "x.tif")), STACK)
    assert main(["info", str(tmp_path / "x.tif"), "--item", "0"]) == 0
    assert "1 series 1: 3 x 5 x 6 uint16 (--item)" in capsys.readouterr().out


def test_ser_of_diffraction_is_reciprocal(tmp_path):
    data = ser(STACK)
    images = struct.pack("<2di", -1e-9, 1e-10, 0), struct.pack("<2di", -2e-9, 2e-10, 0)
    patterns = struct.pack("<2di", -1e9, 1e8, 0), struct.pack("<2di", -2e9, 2e8, 0)
    for image, pattern in zip(images, patterns, strict=True):
        data = data.replace(image, pattern)
    told = "<Data><Label>Mode</Label><Value>Diffraction</Value></Data>"
    told += "<Data><Label>High tension</Label><Value>200</Value></Data>"
    emi = b"JK\0\2junk<ObjectInfo><ExperimentalDescription><Root>" + told.encode()
    emi += b"</Root></ExperimentalDescription></ObjectInfo>junk"
    (tmp_path / "a_1.ser").write_bytes(data)
    (tmp_path / "a.emi").write_bytes(emi)
    for name in ("a.emi", "a_1.ser"):
        with recordings.open(tmp_path / name) as recording:
            assert (recording.y, recording.x) == (near(-2, 0.2, "1/nm"), near(-1, 0.1, "1/nm"))
            assert recording.tags == {"mode": "Diffraction", "high_tension": 200e3}
            np.testing.assert_array_equal(np.asarray(recording), STACK)
    (tmp_path / "a_2.ser").write_bytes(ser(STACK[:1]))
    with recordings.open(tmp_path / "a.emi", item=1) as recording:
        assert (len(recording), recording.items) == (1, ("a_1.ser", "a_2.ser"))


def test_mib_keeps_the_times_of_its_headers(tmp_path):
    data = mib(STACK).replace(b"20:55:10.200000", b"20:55:13.500000")
    (tmp_path / "x.mib").write_bytes(data)
    with recordings.open(tmp_path / "x.mib") as recording:
        assert recording.times.tolist() == pytest.approx([0, 0.1, 3.5])
        assert recording[1:].times.tolist() == pytest.approx([0.1, 3.5])


@pytest.mark.parametrize(
    ("stamp", "flags", "low", "high", "dtype"),
    [
        (1146047817, 0, 0, 0, "u1"),
        (1146047817, 1, 0, 0, "i1"),
        (0, 0, 150, 221, "u1"),
        (0, 0, -106, 100, "i1"),
        (0, 0, 0, 0, "i1"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_mrc_bytes_are_signed_only_if_flagged(tmp_path, stamp, flags, low, high, dtype, order):
    pixels = np.arange(150, 222).reshape(3, 4, 6).astype(np.uint8)
    with mrcfile.new(tmp_path / "x.mrc") as mrc:
        mrc.set_data(pixels.view(np.int8).astype(f"{order}i1"))
        mrc.header.dmin, mrc.header.dmax = low, high
    data = bytearray((tmp_path / "x.mrc").read_bytes())
    struct.pack_into("<2i", data, 152, stamp, flags)
    if order == ">":
        header = np.frombuffer(bytes(data[:224]), "<i4").astype(">i4").tobytes()
        data[:208], data[212:216] = header[:208], b"\x11\x11\0\0"
        data[216:224] = header[216:224]
    (tmp_path / "x.mrc").write_bytes(data)
    with recordings.open(tmp_path / "x.mrc") as recording:
        assert recording.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(np.asarray(recording), pixels.view(dtype))


def test_mrc_without_a_grid_is_not_calibrated(tmp_path):
    with mrcfile.new(tmp_path / "x.mrc") as mrc:
        mrc.set_data(STACK)
        mrc.header.cella = (10, 10, 10)
        mrc.header.mx = mrc.header.my = 0
    assert recordings.open(tmp_path / "x.mrc").x == Axis()


@pytest.mark.parametrize(
    ("mode", "word"), [(3, "two int16"), (16, "colours"), (101, "4 bits"), (77, "does not exist")]
)
def test_other_mrc_modes_are_named(tmp_path, mode, word):
    mrcfile.write(tmp_path / "x.mrc", STACK)
    data = bytearray((tmp_path / "x.mrc").read_bytes())
    struct.pack_into("<i", data, 12, mode)
    (tmp_path / "x.mrc").write_bytes(data)
    with pytest.raises(ValueError, match=rf"x\.mrc .*{word}"):
        recordings.open(tmp_path / "x.mrc")


@pytest.mark.parametrize(
    ("start", "word"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "a movie"),
        (b"\0\0\0\x18ftypmp42", "a movie"),
        (b"PK\x03\x04....", "an archive"),
        (b"\x1f\x8b\x08\0", "an archive"),
        (b"hello", "but starts with b'hello"),
    ],
)
def test_movies_and_archives_are_named(tmp_path, start, word):
    (tmp_path / "x.ser").write_bytes(start + bytes(300))
    with pytest.raises(ValueError, match=word) as caught:
        recordings.open(tmp_path / "x.ser")
    assert "copy it again," not in str(caught.value)


def test_suffix_clash_is_settled_by_trying(tmp_path):
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    frames = np.arange(2 * 130 * 128, dtype=np.float32).reshape(2, 130, 128)
    frames.tofile(tmp_path / "series_x2.raw")
    told = (
        '<root name="a"><timestamp timestamp="1" isoformat="2019-06-07T13:17:22"/><type>series</type>'
        '<count>2</count><raw_file filename="series_x2.raw"/><exposure_time>1</exposure_time>'
        "<scan_parameters><series_count>2</series_count></scan_parameters></root>"
    )
    (tmp_path / "a.xml").write_text(told)
    for name in ("a.xml", "series_x2.raw"):
        with recordings.open(tmp_path / name) as recording:
            np.testing.assert_array_equal(np.asarray(recording), frames[:, :128])


def test_tags_are_marked_as_tags(tmp_path, capsys):
    np.save(tmp_path / "x.npy", STACK)
    (tmp_path / "x.json").write_text('{"shape": "huge", "Frame  rate": 9, "note": "mine", "fps": 2}')
    assert main(["info", str(tmp_path / "x.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = dict(line.split("  ", 1) for line in lines)
    assert told["shape"].strip() == "3 frames of 5 x 6 pixels"
    assert told["frame rate"].strip() == "2 frames/s"
    assert (told["shape (tag)"].strip(), told["Frame rate (tag)"].strip()) == ("huge", "9")
