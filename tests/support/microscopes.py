"""For tests of links: recordings with distinguishable frames, microscopes, and waiting."""

import re
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import dmlink
from dmlink import bundle
from dmlink.frame import Axis
from dmlink.indm import protocol
from dmlink.link import endpoint as endpoints
from dmlink.ring import Ring
from dmlink.simulator import Microscope

SHM = Path("/dev/shm")  # noqa: S108
PATIENCE = 180.0  # seconds; ends a wait in vain, even on a busy computer


class Noise:
    """A recording of noise: every frame can be distinguished from every other, by any part of it."""

    def __init__(self, n=11, shape=(48, 64), dtype=np.uint16, name="Gold"):
        self.name, self.shape, self.dtype = name, (n, *shape), np.dtype(dtype)
        numbers = np.random.default_rng(7).integers(0, 100, self.shape)
        self.stack = numbers.astype(dtype)
        self.x, self.y = Axis(-8.0, 0.5, "nm"), Axis(-4.0, 0.25, "nm")
        self.tags = {"Microscope Info:Voltage": 200000.0}

    def __len__(self):
        return len(self.stack)

    def __getitem__(self, i):
        return SimpleNamespace(data=self.stack[i])

    def number(self, frame):
        """Return the frame's number in the recording; fail if it is not in it."""
        assert self.has(frame), "a frame that the recording does not have"
        return int(np.flatnonzero(self._same(frame))[0])

    def has(self, frame):
        """Return whether this is a whole frame of the recording; DM may be late and the camera writes on."""
        return bool(self._same(frame).any())

    def _same(self, frame):
        t, left, b, r = frame.roi or (0, 0, *self.shape[1:3])
        return (self.stack[:, t:b, left:r] == frame.data).all(axis=(1, 2))


@contextmanager
def microscope(recording=None, fps=100.0, companion=True, constants=None, background=True, **switches):
    """A microscope with a running companion; checks that nothing escapes into DM or is left behind."""
    with Microscope(recording or Noise(), fps=fps, **switches) as dm:
        dm.endpoint = run_companion(dm, constants, background=background) if companion else None
        yield dm
        assert not dm.escaped
        troubles = [line for line in dm.results_window if "Traceback" in line]
        assert not troubles, "\n".join(dm.results_window)
    end = time.monotonic() + PATIENCE
    while dm.leaked_images and time.monotonic() < end:  # a thread may still be returning from its last call
        time.sleep(0.01)
    assert not dm.leaked_images


def run_companion(dm, constants=None, background=True):
    running = getattr(dm, "endpoint", None)
    port = endpoints.parse(running).port if running else 0  # a restarted companion gets the same port
    text = bundle.companion(port, **{"STILL_SECONDS": 0.2, "SEARCH_SECONDS": 0.2, **(constants or {})})
    dm.companion = dm.run_script(text, background=background, name="dm_companion")
    return dm.companion.wait_for("dmlink://", timeout=PATIENCE)


@contextmanager
def linked(recording=None, fps=100.0, roi=None, mode="latest", **options):
    """A microscope and a link to it."""
    with microscope(recording, fps, **options) as dm, dmlink.connect(dm.endpoint, roi=roi, mode=mode) as link:
        yield dm, link


def until(link, condition, timeout=PATIENCE):
    """Wait until the condition is true; it is checked whenever something arrives through the link."""
    changed = threading.Event()
    unwatch = link.watch(changed.set)
    end = time.monotonic() + timeout
    try:
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {timeout} s: {link!r}, {link.stats}"
            changed.wait(0.02)
            changed.clear()
        return value
    finally:
        unwatch()


@contextmanager
def being_lost(link):
    """Check that the link is lost in this context, and reconnects; yield the reasons it gave."""
    reasons = []
    unwatch = link.watch(lambda: reasons.append(link.reason) if link.state == "lost" else None)
    yield reasons
    until(link, lambda: reasons and link.state == "live")
    unwatch()


def number(line):
    """Return the number in a line."""
    return int(re.findall(r"\d+", line)[-1])


@contextmanager
def leaving_no_blocks(monkeypatch):
    """Check that shared memory taken in this context is released."""
    names, lend = set(), Ring.lend

    def noting(ring, size):
        lent = lend(ring, size)
        names.add(str(lent[1]) if lent else "")
        return lent

    monkeypatch.setattr(Ring, "lend", noting)
    yield names
    assert not staying(lambda: [name for name in names if name and (SHM / name.partition("+")[0]).exists()])


def staying(find):
    """Return what is left after there was time for it to go."""
    end = time.monotonic() + PATIENCE
    while (found := find()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def link_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dmlink-link")]


class Raw:
    """A client that speaks the protocol by hand."""

    def __init__(self, endpoint, *, enter=True, subscribe=True, buffer=None):
        self.host, self.port, self.token = endpoints.parse(endpoint)
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((self.host, self.port))
        self.decoder = protocol.Decoder()
        self.waiting = []
        if enter:
            nonce = protocol.nonce()
            self.send(protocol.HELLO, version=protocol.VERSION, nonce=nonce)
            theirs = self.receive(protocol.HELLO).header["nonce"]
            self.send(protocol.AUTH, proof=protocol.proof(self.token, "client", nonce, theirs))
            self.receive(protocol.WELCOME)
            if subscribe:
                self.send(protocol.SUBSCRIBE)
                self.receive(protocol.SUBSCRIBE)

    def send(self, kind, payload=b"", /, **header):
        for buffer in protocol.pack(kind, header, payload):
            self.socket.sendall(buffer)

    def receive(self, kind=None):
        """Return the next message (of this kind); None if the connection has ended."""
        while True:
            while self.waiting:
                message = self.waiting.pop(0)
                if kind is None or message.kind == kind:
                    return message
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert kind is None, f"no message of kind {kind} before the end"
                return None
            self.waiting += self.decoder.feed(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
