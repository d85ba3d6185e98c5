"""The wire format: packed messages arrive unchanged, and other bytes do no harm."""

import itertools
import json
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT

from dmlink.indm import packing, protocol
from dmlink.indm.protocol import CREDIT, FRAME, HELLO, PREFIX, ROI, SHOW, Decoder, ProtocolError, pack

SPECIFICATION = ROOT / "docs" / "protocol.md"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
whole = st.integers(-(10**19), 10**19)  # larger ones are refused
values = st.recursive(
    st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
headers = st.dictionaries(texts.filter(lambda name: name not in {"shape", "dtype"}), values, max_size=5)
dtypes = st.sampled_from(sorted(protocol.DTYPES)).map(lambda name: np.dtype(name).newbyteorder("<"))
shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3)


@st.composite
def messages(draw):
    kind = draw(st.sampled_from(list(protocol.KINDS)))
    header, payload = draw(headers), b""
    if kind in protocol.WITH_PIXELS:
        shape, dtype = draw(shapes), draw(dtypes)
        size = int(np.prod(shape)) * dtype.itemsize
        header.update(shape=shape, dtype=dtype.str)
        payload = draw(st.binary(min_size=size, max_size=size))
    return kind, header, payload


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(messages(), max_size=4), st.lists(st.integers(0, 10_000), max_size=8))
def test_messages_survive_any_cutting(sent, cuts):
    data = b"".join(bytes(buffer) for message in sent for buffer in pack(*message))
    decoder = Decoder()
    got = [message for piece in pieces(data, cuts) for message in decoder.feed(piece)]
    assert [(m.kind, m.header, bytes(m.payload)) for m in got] == sent


@given(messages(), st.data())
def test_changed_byte_is_message_or_error(message, data):
    raw = bytearray(b"".join(bytes(buffer) for buffer in pack(*message)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        for got in Decoder(max_payload=10_000).feed(raw):
            assert got.kind in protocol.KINDS
    except ProtocolError:
        return


@settings(max_examples=500)
@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(data, begins_well):
    decoder = Decoder(4096, 0)
    try:
        for message in decoder.feed(protocol.MAGIC + data if begins_well else data):
            assert message.kind in protocol.KINDS
    except ProtocolError:
        return
    assert len(decoder._payload) == 0


def test_10000_random_streams_do_no_harm():
    random = np.random.default_rng(3)
    beginnings = [
        b"",
        protocol.MAGIC,
        PREFIX.pack(protocol.MAGIC, HELLO, 30, 0),
        PREFIX.pack(b"DML1", SHOW, 9, 99),
    ]
    refused = 0
    for i in range(10_000):
        decoder = Decoder(4096, 1 << 20)
        try:
            list(decoder.feed(beginnings[i % 4] + random.bytes(int(random.integers(1, 200)))))
        except ProtocolError:
            refused += 1
        assert len(decoder._payload) < 1 << 20
    assert refused > 7000


numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,4})?\Z")


@given(st.lists(numbers, min_size=1, max_size=3))
def test_numbers_are_finite_or_refused(written):
    found = [float(text) if set(text) & set(".eE") else int(text) for text in written]
    large = any(abs(n) == float("inf") if type(n) is float else len(str(abs(n))) > 20 for n in found)
    data = b'{"a":[%s]}' % ",".join(written).encode()
    if large:
        with pytest.raises(ProtocolError, match="too large"):
            protocol.unpack_header(data)
    else:
        assert protocol.unpack_header(data) == {"a": found}


@given(dtypes, shapes)
def test_every_dm_type_is_understood(dtype, shape):
    size = int(np.prod(shape)) * dtype.itemsize
    assert protocol.pixels({"shape": shape, "dtype": dtype.str}, size) == (tuple(shape), dtype)
    with pytest.raises(ProtocolError, match="bytes"):
        protocol.pixels({"shape": shape, "dtype": dtype.str}, size + 1)


@pytest.mark.parametrize("shape", [None, [], [0], [-1], [1.0], ["1"], [True], [1] * 4, [2**31], {"a": 1}, 5])
def test_bad_shape_is_refused(shape):
    with pytest.raises(ProtocolError, match="announces shape"):
        protocol.pixels({"shape": shape, "dtype": "<u2"}, 2)


@pytest.mark.parametrize(
    "dtype",
    [None, "", "O", "|O", "<O8", ">u2", "u2", "<u3", "<f2", "<M8", "|S1", "<U1", "|V1", "<u1", "|u2", 5, []],
)
def test_unknown_data_type_is_refused(dtype):
    with pytest.raises(ProtocolError, match="announces shape"):
        protocol.pixels({"shape": [1], "dtype": dtype}, 2)


@pytest.mark.parametrize("size", [0, 2, 3])
def test_packed_pixels_are_fewer_bytes(size):
    with pytest.raises(ProtocolError, match=f"were announced with {size} bytes"):
        protocol.pixels({"shape": [1], "dtype": "<u2", "packing": "blosc"}, size)
    assert protocol.pixels({"shape": [1], "dtype": "<u2", "packing": "blosc"}, 1)[0] == (1,)


def test_packed_pixels_are_bounded():
    with pytest.raises(ProtocolError, match="were announced with 100 bytes"):
        protocol.pixels({"shape": [1 << 15, 1 << 15], "dtype": "<f8", "packing": "blosc"}, 100)


@pytest.mark.parametrize("packing", ["zip", "", 1, ["blosc"], {}])
def test_unknown_packing_is_refused(packing):
    with pytest.raises(ProtocolError, match="packed in an unknown format"):
        protocol.pixels({"shape": [4], "dtype": "<u2", "packing": packing}, 4)


def test_only_frames_are_packed():
    with pytest.raises(ProtocolError, match="cannot be packed"):
        protocol.check_payload(protocol.SHOW, {"shape": [4], "dtype": "<u2", "packing": "blosc"}, 4)


def test_packing_round_trip():
    packer, pixels = packing.packer(), np.arange(5000, dtype="<u2")
    data = np.frombuffer(packing.packed(packer, bytearray(pixels), "<u2"), np.uint8)
    out = np.empty(pixels.nbytes, np.uint8)
    packing.unpack(packer, data, out)
    assert bytes(out) == pixels.tobytes()
    random = np.random.default_rng(4)
    for broken in (data[:-1], data[:8], data[:0], np.append(data, 0), random.integers(0, 256, 300, np.uint8)):
        with pytest.raises(ProtocolError, match="packed bytes for 10000 claims"):
            packing.unpack(packer, broken, out)
    torn = data.copy()
    torn[16:] = random.integers(0, 256, len(torn) - 16)
    with pytest.raises(ProtocolError, match="cannot be unpacked"):
        packing.unpack(packer, torn, out)


def test_payload_is_checked_before_memory():
    decoder = Decoder()
    header = json.dumps({"shape": [1 << 14, 1 << 14], "dtype": "<u2"}).encode()
    prefix = PREFIX.pack(protocol.MAGIC, FRAME, len(header), protocol.MAX_PAYLOAD)
    with pytest.raises(ProtocolError, match="were announced with"):
        list(decoder.feed(prefix + header))
    assert len(decoder._payload) == 0


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        (PREFIX.pack(b"DML2", HELLO, 2, 0), "does not speak dmlink"),
        (PREFIX.pack(b"DML1", 0, 2, 0), "Unknown kind"),
        (PREFIX.pack(b"DML1", 16, 2, 0), "Unknown kind"),
        (PREFIX.pack(b"DML1", HELLO, protocol.MAX_HEADER + 1, 0), "header of 65537 bytes"),
        (PREFIX.pack(b"DML1", FRAME, 2, protocol.MAX_PAYLOAD + 1), "payload of 2147483649 bytes"),
        (PREFIX.pack(b"DML1", CREDIT, 2, 1) + b"{}", "it has none"),
        (PREFIX.pack(b"DML1", CREDIT, 2, 0) + b"[]", "a list, not an object"),
        (PREFIX.pack(b"DML1", CREDIT, 2, 0) + b"\xff\xff", "not JSON in UTF-8"),
        (PREFIX.pack(b"DML1", CREDIT, 9, 0) + b'{"n":NaN}', "NaN is not valid JSON"),
        (PREFIX.pack(b"DML1", CREDIT, 60000, 0) + b"[" * 60000, "not JSON"),
    ],
)
def test_each_fault_is_named(prefix, text):
    with pytest.raises(ProtocolError, match=text):
        list(Decoder().feed(prefix))


@pytest.mark.parametrize("header", [{"a": float("nan")}, {"a": object()}, {"a": "x" * 70_000}])
def test_sender_refuses_oversized_messages(header):
    with pytest.raises(ProtocolError):
        pack(protocol.EVENT, header)


@given(texts, st.text("0123456789abcdef", min_size=32, max_size=64), st.text("abc", min_size=32, max_size=64))
def test_proof_is_bound_to_token_and_nonces(token, ours, theirs):
    claim = protocol.proof(token, "client", ours, theirs)
    assert protocol.proves(claim, token, "client", ours, theirs)
    assert not protocol.proves(claim, token, "server", ours, theirs)
    assert not protocol.proves(claim, token + "x", "client", ours, theirs)
    assert not protocol.proves(claim, token, "client", theirs, ours) or ours == theirs
    for nonsense in (None, 5, "", [], claim[:-1], "\udcff"):
        assert not protocol.proves(nonsense, token, "client", ours, theirs)


# The specification


def test_specification_example_is_right():
    """The hexadecimal dump in docs/protocol.md, and its description, come from this message."""
    text = SPECIFICATION.read_text("utf-8")
    dump = re.search(r"```text\n(44 4d.*?)```", text, re.DOTALL).group(1)
    raw = bytes.fromhex(re.sub(r"#.*", "", dump))
    header, payload = example()
    assert raw == b"".join(bytes(buffer) for buffer in pack(FRAME, header, payload))
    (message,) = Decoder().feed(raw)
    assert message.header == json.loads(json.dumps(header))
    assert struct.unpack("<6H", message.payload) == (1, 2, 3, 4, 5, 6)


def test_specification_proofs_are_right():
    text = SPECIFICATION.read_text("utf-8")
    for role in ("server", "client"):
        assert protocol.proof("secret", role, "a" * 64, "b" * 64) in text


def test_specification_lists_kinds_and_limits():
    text = SPECIFICATION.read_text("utf-8")
    names = [
        "HELLO",
        "AUTH",
        "WELCOME",
        "SOURCES",
        "SUBSCRIBE",
        "CREDIT",
        "FRAME",
        "ROI",
        "SHOW",
        "HIDE",
        "PING",
        "PONG",
        "EVENT",
        "ERROR",
        "BYE",
    ]
    for name in names:
        assert f"| {getattr(protocol, name)} | {name} |" in text
    assert len(names) == len(protocol.KINDS)
    for limit in (protocol.MAX_HEADER, protocol.MAX_PAYLOAD, protocol.MAX_UNKNOWN):
        assert f"{limit:,}" in text
    for name in protocol.DTYPES:
        assert f"`{np.dtype(name).newbyteorder('<').str}`" in text


def example():
    header = {
        "index": 41,
        "time": 1760000000.5,
        "source": "View",
        "roi": [10, 20, 12, 23],
        "shape": [2, 3],
        "dtype": "<u2",
        "x": [10.0, 0.5, "nm"],
        "y": [5.0, 0.5, "nm"],
        "tags": {"exposure": 0.05},
    }
    return header, np.arange(1, 7, dtype="<u2").tobytes()


def test_roi_and_credit_are_small():
    assert len(b"".join(pack(ROI, {"name": "fft", "rectangle": [0, 0, 512, 512]}))) < 100
    assert len(b"".join(pack(CREDIT, {"n": 1}))) < 30
