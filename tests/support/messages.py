"""Messages with arbitrary fields, and the two ends to which they are sent."""

import collections
import contextlib
import json
import math
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from microscopes import PATIENCE, SHM, Raw, microscope, staying

import dmlink
from dmlink.indm import protocol
from dmlink.link import offers
from dmlink.ring import Ring

TOO_LARGE = "@1e400@"  # valid JSON that Python's json cannot write
SOURCE = {"name": "Gold", "id": 5, "shape": [48, 64], "dtype": "<u2"}
AXIS = [0.0, 0.5, "nm"]
PIXELS = {"shape": [2, 3], "dtype": "<u2"}
FRAME = {"index": 7, "time": 1.7e9, "source": "Gold", "roi": [0, 0, 2, 3], "x": AXIS, "y": AXIS, **PIXELS}
SUBSCRIBE = {"source": None, "roi": None, "mode": "latest", "wait": True, "packing": ["blosc"]}
HEADERS = {
    protocol.HELLO: {"version": 1, "nonce": "a" * 64, "proof": "0" * 64},
    protocol.AUTH: {"proof": "0" * 64},
    protocol.WELCOME: {"sources": [SOURCE], "rois": {"a": [0, 0, 4, 4]}, "clock": 1.7e9, "slots": 16},
    protocol.SOURCES: {"sources": [SOURCE], "more": False, "continued": False},
    protocol.SUBSCRIBE: {**SUBSCRIBE, "rois": {}, "state": "live", "reason": "", "more": False},
    protocol.CREDIT: {"n": 1, "slots": [["psm_00000000", 4096, 64, 96, "a" * 32]]},
    protocol.FRAME: {
        **FRAME,
        "tags": {"exposure": 0.1},
        "line": [0, 0, 1, 1],
        "value_unit": "e-",
        "packing": None,
        "returned": [],
        "slot": ...,  # left out, unless it is changed
    },
    protocol.ROI: {"name": "a", "rectangle": [0, 0, 4, 4], "rois": {"a": [0, 0, 4, 4]}, "more": False},
    protocol.SHOW: {"name": "a", "kind": "image", "x": AXIS, "y": AXIS, "names": [], **PIXELS},
    protocol.HIDE: {"name": "a"},
    protocol.PING: {},
    protocol.PONG: {},
    protocol.EVENT: {"state": "live", "reason": "", "announced": 9, "unsure": 0},
    protocol.ERROR: {"text": "no", "about": protocol.SHOW, "name": "a"},
    protocol.BYE: {"reason": ""},
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 70)
    | st.sampled_from([2**31, 2**63, -(2**63), 10**25, 0.5, -1e308, math.nan, math.inf, TOO_LARGE])
    | st.sampled_from(
        ["", "a", "latest", "lossless", "image", "scalar", "profile", "closed", "waiting", "lost"]
    )
    | st.sampled_from(["blosc", "|u1", "<f8", "<c16", "|O8", "a" * 201, "\ud800" * 40, "\n", "<b>", "Gold"])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=5) | st.dictionaries(st.sampled_from(["a", "x", ""]), SCALARS)
SIZES = [6 * size for size in (1, 2, 4, 8, 16)]  # PIXELS by size of a pixel
CHANGES = st.lists(st.tuples(st.integers(0, 20), VALUES | st.just(...)), max_size=2)


def _fits(header, size):
    """Return whether a payload of this size matches the header."""
    try:
        protocol.pixels(header, size)
    except protocol.ProtocolError:
        return False
    return True


def _packed(kind, changes, size):
    """Return the bytes of a message with some of its fields changed, or (...) left out."""
    header = dict(HEADERS[kind])
    for number, value in changes:
        if header:
            header[list(header)[number % len(header)]] = value
    header = {name: value for name, value in header.items() if value is not ...}
    if kind not in protocol.WITH_PIXELS:
        size = size if size % 8 == 0 else 0
    elif size % 4:
        size = next((n for n in SIZES if _fits(header, n)), size)
    text = json.dumps(header).replace(json.dumps(TOO_LARGE), "1e400").encode()
    return protocol.PREFIX.pack(protocol.MAGIC, kind, len(text), size) + text + bytes(size)


MESSAGES = st.lists(
    st.builds(_packed, st.sampled_from(list(HEADERS)), CHANGES, st.integers(0, 40)), min_size=1, max_size=20
)


def heard(messages, last):
    """Return how many of these are processed: all up to the first malformed one, or one of a `last` kind."""
    for n, message in enumerate(messages, 1):
        if message[4] in last:
            return n
        try:
            list(protocol.Decoder().feed(message))
        except protocol.ProtocolError:
            return n
    return len(messages)


@contextlib.contextmanager
def leaving_nothing():
    """Check that no thread, descriptor or block of shared memory of this process is left behind."""
    if os.name != "nt":
        resource_tracker.ensure_running()  # it keeps a descriptor open
    blocks, new_block = [], Ring._new_block

    def noting(ring):
        block = new_block(ring)
        blocks.append(block.name if block else "")
        return block

    before = _open()
    with mock.patch.object(Ring, "_new_block", noting):
        yield
    more = staying(lambda: {what: n for what, n in _open().items() if n > before.get(what, 0)})
    assert not more, f"open now: {more}; before: {before}"
    assert not staying(lambda: [name for name in blocks if name and (SHM / name).exists()])


def _open():
    """Return the numbers of our threads, by name, and of descriptors."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("dmlink")]
    here = Path("/proc/self/fd")
    return collections.Counter(threads, descriptors=len(list(here.iterdir())) if here.is_dir() else 0)


class CompanionUnderFire:
    """A companion to which messages are sent, while another link must keep working."""

    LAST = (protocol.HELLO, protocol.AUTH, protocol.WELCOME, protocol.FRAME, protocol.EVENT, protocol.ERROR)

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self.dm = self._stack.enter_context(microscope(fps=50))
        self._link = self._stack.enter_context(dmlink.connect(self.dm.endpoint))
        self._link.next(PATIENCE)
        return self

    def __exit__(self, *error):
        self._stack.__exit__(*error)

    def before_the_token(self, messages):
        """Send them without authentication: the sender learns nothing and changes nothing."""
        with Raw(self.dm.endpoint, enter=False) as raw:
            with contextlib.suppress(OSError):
                raw.socket.sendall(b"".join(messages))
                raw.socket.shutdown(socket.SHUT_WR)
            while (message := raw.receive()) is not None:
                assert message.kind in {protocol.HELLO, protocol.ERROR}
        assert not self.dm.user_rois()

    def after_the_token(self, messages):
        """Send them as a link: it is answered or disconnected."""
        with Raw(self.dm.endpoint) as raw:
            with contextlib.suppress(OSError):
                raw.socket.sendall(b"".join(messages))
                raw.send(protocol.PING)
            while (message := raw.receive()) is not None and message.kind != protocol.PONG:
                pass
        for roi in self.dm.user_rois():
            self.dm.delete_roi(roi)

    def check(self):
        """Check that the other link gets its frames, and nothing has gone wrong inside."""
        self._link.next(PATIENCE)
        self._link.next(PATIENCE)
        assert not self.dm.escaped
        assert not [line for line in self.dm.results_window if "Traceback" in line], self.dm.results_window


class LinkUnderFire:
    """A link whose companion sends arbitrary messages."""

    LAST = (
        protocol.HELLO,
        protocol.AUTH,
        protocol.WELCOME,
        protocol.SUBSCRIBE,
        protocol.CREDIT,
        protocol.SHOW,
    )

    def __enter__(self):
        self._token = "t"  # noqa: S105 - of nothing
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(PATIENCE)
        self._endpoint = f"dmlink://127.0.0.1:{self._server.getsockname()[1]}?token={self._token}"
        self._pool = ThreadPoolExecutor(1)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(mock.patch.object(offers, "MIN_BYTES", 32))
        coming = self._pool.submit(dmlink.connect, self._endpoint)
        self._raw = self._let_in()
        self._link = coming.result(PATIENCE)
        return self

    def __exit__(self, *_):
        self._link.close()
        self._raw.close()
        self._server.close()
        self._pool.shutdown()
        self._stack.close()

    def before_the_token(self, messages):
        """Answer a second link without the token: it must not accept the sender as a companion."""
        coming = self._pool.submit(dmlink.connect, self._endpoint)
        with self._server.accept()[0] as sock, contextlib.suppress(OSError):
            sock.sendall(b"".join(messages))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        assert isinstance(coming.exception(PATIENCE), ConnectionError)
        self.after_the_token([])  # the first link expects signs of life

    def after_the_token(self, messages):
        """Send them as the companion: the link answers or reconnects."""
        with contextlib.suppress(OSError):
            self._raw.socket.sendall(b"".join(messages))
            self._raw.send(protocol.PING)
        while (message := self._raw.receive()) is not None and message.kind != protocol.PONG:
            pass
        if message is None:
            self._raw.close()
            self._raw = self._let_in()

    def check(self):
        """Check that everything the link has received is consistent."""
        link = self._link
        assert link.state in {"live", "waiting", "lost"}
        assert repr(link) + link._repr_html_()
        assert link.rois() is not None
        if (frame := link.newest) is not None:
            assert math.isfinite(frame.time + frame.x.origin + frame.y.scale * frame.index)
            assert repr(frame) + frame._repr_html_()

    def _let_in(self):
        while True:
            raw = Peer(self._server.accept()[0])
            try:
                hello = raw.receive(protocol.HELLO).header
                ours = protocol.nonce()
                claim = protocol.proof(self._token, "server", hello["nonce"], ours)
                raw.send(protocol.HELLO, version=1, nonce=ours, proof=claim)
                raw.receive(protocol.AUTH)
                raw.send(protocol.WELCOME, **HEADERS[protocol.WELCOME])
                raw.receive(protocol.SUBSCRIBE)
                raw.send(protocol.SUBSCRIBE, **HEADERS[protocol.SUBSCRIBE])
            except (OSError, AssertionError):
                raw.close()  # it has waited too long, and reconnects
            else:
                return raw


class Peer(Raw):
    """The other end of an accepted connection."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(PATIENCE)
        self.decoder = protocol.Decoder()
        self.waiting = []

    def close(self):
        self.socket.close()
