"""The companion serves only clients with the token; others learn why they are refused."""

import contextlib
import select
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from growing_writer import until
from microscopes import Raw, link_threads, microscope, staying

import dmlink
from dmlink.indm import protocol
from dmlink.indm.protocol import AUTH, BYE, CREDIT, ERROR, EVENT, FRAME, HELLO, PING, PONG, ROI, SUBSCRIBE
from dmlink.link import endpoint as endpoints

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def _no_threads_left():
    yield
    assert not staying(link_threads)


@pytest.fixture(scope="module")
def dm():
    """One microscope shared by the tests that only talk to its companion."""
    with microscope(fps=50) as dm:
        yield dm


@pytest.fixture
def unharmed(dm):
    """Check that afterwards the companion still serves, and DM was not affected."""
    yield dm
    with dmlink.connect(dm.endpoint) as link:
        assert link.next(60)
        assert link.next(60)
    assert not dm.escaped
    assert not [line for line in dm.results_window if "Traceback" in line]


def test_frames_are_sent_against_credit(dm):
    with Raw(dm.endpoint) as raw:
        dm.wait_displayed(5)
        raw.send(CREDIT, n=2)
        first, second = raw.receive(FRAME), raw.receive(FRAME)
        assert second.header["index"] > first.header["index"]
        dm.wait_displayed(5)
        raw.send(PING)
        assert FRAME not in list(iter(lambda: raw.receive().kind, PONG))  # there is no third message


# No one gets in


def test_only_handshake_before_the_token(unharmed):
    for kind in protocol.KINDS:
        if kind != HELLO:
            with Raw(unharmed.endpoint, enter=False) as raw:
                raw.send(kind, name="roi", rectangle=[0, 0, 5, 5])
                message = raw.receive()
                assert message.kind == ERROR
                assert ("token" in message.header["text"]) or kind in protocol.WITH_PIXELS
                assert raw.receive() is None
    assert unharmed.user_rois() == {}


def test_proof_is_good_for_one_connection(unharmed):
    with Raw(unharmed.endpoint, enter=False) as one, Raw(unharmed.endpoint, enter=False) as two:
        nonce = protocol.nonce()
        for raw in (one, two):
            raw.send(HELLO, version=1, nonce=nonce)
        theirs = one.receive(HELLO).header["nonce"]
        assert two.receive(HELLO).header["nonce"] != theirs
        two.send(AUTH, proof=protocol.proof(two.token, "client", nonce, theirs))
        assert two.receive().kind == ERROR
        # the companion's own proof does not give access either
        one.send(AUTH, proof=protocol.proof(one.token, "server", nonce, theirs))
        assert one.receive().kind == ERROR


def test_other_version_is_refused(unharmed):
    with Raw(unharmed.endpoint, enter=False) as raw:
        raw.send(HELLO, version=99, nonce=protocol.nonce())
        assert "speaks version 1, the link 99" in raw.receive().header["text"]


def test_slow_handshake_is_cut_off(unharmed):
    hello = b"".join(protocol.pack(HELLO, {"version": 1, "nonce": protocol.nonce()}))
    with Raw(unharmed.endpoint, enter=False) as slow, contextlib.suppress(OSError):
        for byte in hello:
            slow.socket.sendall(bytes([byte]))
            if select.select([slow.socket], [], [], 0.1)[0]:
                break
        assert slow.receive() is None


def test_strangers_do_not_keep_a_link_out(unharmed):
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(endpoints.parse(unharmed.endpoint)[:2]))
        with dmlink.connect(unharmed.endpoint) as link:
            assert link.next(60)


FAULTS = {
    "magic": (b"HTTP/1.1 200 OK\r\n\r\n\r\n\r\n", "does not speak dmlink"),
    "kind": (protocol.PREFIX.pack(protocol.MAGIC, 99, 2, 0) + b"{}", "Unknown kind"),
    "header": (protocol.PREFIX.pack(protocol.MAGIC, ROI, 1 << 20, 0), "header of 1048576 bytes"),
    "payload": (protocol.PREFIX.pack(protocol.MAGIC, protocol.SHOW, 2, 1 << 40), "payload of 1099511627776"),
    "lying": (
        protocol.PREFIX.pack(protocol.MAGIC, protocol.SHOW, 29, 9) + b'{"shape":[9],"dtype":"<f8"}  ',
        "9 bytes",
    ),
    "needless": (protocol.PREFIX.pack(protocol.MAGIC, ROI, 2, 5) + b"{}", "payload of 5 bytes; it has none"),
    "text": (protocol.PREFIX.pack(protocol.MAGIC, ROI, 4, 0) + b"\xff\xfe{}", "not JSON in UTF-8"),
    "list": (protocol.PREFIX.pack(protocol.MAGIC, ROI, 2, 0) + b"[]", "a list, not an object"),
    "nan": (protocol.PREFIX.pack(protocol.MAGIC, CREDIT, 9, 0) + b'{"n":NaN}', "NaN is not valid JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_and_connection_ends(unharmed, fault):
    data, text = FAULTS[fault]
    with Raw(unharmed.endpoint) as raw:
        raw.socket.sendall(data)
        raw.socket.sendall(bytes(1000))
        error = raw.receive(ERROR)
        assert text in error.header["text"]
        assert raw.receive() is None


@pytest.mark.parametrize(
    ("kind", "header", "text"),
    [
        (CREDIT, {"n": "many"}, "1 to 1000 frames"),
        (CREDIT, {"n": -1}, "1 to 1000 frames"),
        (CREDIT, {"n": True}, "1 to 1000 frames"),
        (SUBSCRIBE, {"source": ["Gold"]}, "must be names"),
        (SUBSCRIBE, {"roi": {}}, "must be names"),
        (SUBSCRIBE, {"source": "none"}, "no view named 'none'"),
        (SUBSCRIBE, {"roi": "none"}, "no ROI named 'none'"),
        (SUBSCRIBE, {"mode": "all"}, '"latest" or "lossless"'),
        (SUBSCRIBE, {"mode": []}, '"latest" or "lossless"'),
        (ROI, {"name": "a", "rectangle": [1, 2, 3]}, "An ROI needs a name and"),
        (ROI, {"name": "a", "rectangle": ["a"] * 4}, "An ROI needs a name and"),
        (ROI, {"name": 5, "rectangle": [1, 2, 3, 4]}, "An ROI needs a name and"),
        (ROI, {}, "An ROI needs a name and"),
        (ROI, {"name": "a\n", "rectangle": [1, 2, 3, 4]}, "An ROI needs a name and"),
        (ROI, {"name": "a" * 201, "rectangle": [1, 2, 3, 4]}, "An ROI needs a name and"),
        (protocol.HIDE, {"name": None}, "1 to 200 printable characters"),
    ],
)
def test_refused_message_changes_nothing_else(unharmed, kind, header, text):
    with Raw(unharmed.endpoint) as raw:
        raw.send(kind, **header)
        error = raw.receive(ERROR).header
        assert text in error["text"]
        assert error["about"] == kind
        raw.send(CREDIT, n=1)
        assert raw.receive(protocol.FRAME)


def test_nonsense_message_ends_the_connection(unharmed):
    with Raw(unharmed.endpoint) as raw:
        raw.send(protocol.WELCOME)
        assert "is not allowed here" in raw.receive(ERROR).header["text"]
        assert raw.receive() is None


@pytest.mark.parametrize(
    "hello",
    [
        {"version": 1, "nonce": "\ud800" * 40},
        {"version": 1, "nonce": "a" * 31},
        {"version": 1, "nonce": "a b" * 20},
        {"version": 1, "nonce": ["a"] * 40},
        {"version": 1},
        {"version": True, "nonce": "a" * 40},
        {"version": 1.0, "nonce": "a" * 40},
    ],
)
def test_stranger_reaches_no_internal_error(unharmed, hello):
    with Raw(unharmed.endpoint, enter=False) as raw:
        raw.send(HELLO, **hello)
        assert raw.receive().kind == ERROR
        assert raw.receive() is None
    assert not [line for line in unharmed.results_window if "Error" in line]


@pytest.mark.parametrize(
    "header",
    [
        {"kind": "scalar"},
        {"kind": "scalar", "names": ["a", "b"]},
        {"kind": "profile", "x": [1]},
        {"kind": "image", "x": [0, 1, ""], "y": [0, 1, ""]},
        {"kind": "table"},
        {},
    ],
)
def test_bad_result_to_show_is_refused(unharmed, header):
    with Raw(unharmed.endpoint) as raw:
        raw.send(protocol.SHOW, b"12345678", name="x", shape=[1], dtype="<f8", **header)
        error = raw.receive(ERROR).header
        assert "be shown" in error["text"]
        assert (error["about"], error["name"]) == (protocol.SHOW, "x")
        raw.send(CREDIT, n=1)
        assert raw.receive(protocol.FRAME)


def test_random_streams_do_no_harm(unharmed):
    """10,000 of them, every 50th also alone on a connection; two thirds start like a message."""
    random = np.random.default_rng(5)
    host, port, _ = endpoints.parse(unharmed.endpoint)
    beginnings = [b"", protocol.MAGIC, protocol.PREFIX.pack(protocol.MAGIC, HELLO, 30, 0)]
    streams = [beginnings[i % 3] + random.bytes(int(random.integers(1, 200))) for i in range(10_000)]
    for i in range(0, 10_000, 25):
        with contextlib.suppress(OSError), socket.create_connection((host, port), 5) as sock:
            sock.sendall(streams[i] if i % 50 else b"".join(streams[i : i + 50]))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="looks into /proc")
def test_100_links_leave_nothing(dm):
    dmlink.connect(dm.endpoint).close()
    until(lambda: link_threads() == [])
    threads, descriptors = threading.active_count(), len(list(DESCRIPTORS.iterdir()))
    for i in range(100):
        with dmlink.connect(dm.endpoint) as link:
            if i % 10 == 0:
                link.next(60)
    until(lambda: threading.active_count() <= threads)
    # the companion keeps the last ones a little longer
    until(lambda: len(list(DESCRIPTORS.iterdir())) <= descriptors + 3)


def test_orderly_end_is_announced(dm):
    with Raw(dm.endpoint) as raw:
        raw.send(BYE, reason="The link was closed.")
        while (message := raw.receive()) is not None:
            assert message.kind == EVENT
