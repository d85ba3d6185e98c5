"""Streams DigitalMicrograph's live view to dmlink.

Run it in a script window with the live view in front and "Execute on background thread" ticked. It prints one
line, dmlink://..., and goes on until it is run again, or stopped with Ctrl+Shift+Q.

DigitalMicrograph is never made to wait: a listener copies the pixels that somebody has asked for and returns;
the loop of this script does everything else, and waits for nobody.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import secrets
import select
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import refusal, version
from dmlink.indm.protocol import (
    AUTH,
    CREDIT,
    ERROR,
    EVENT,
    FRAME,
    HANDSHAKE_SECONDS,
    HELLO,
    MAX_HEADER,
    MAX_UNKNOWN,
    ROI,
    SOURCES,
    SUBSCRIBE,
    VERSION,
    WELCOME,
    Decoder,
    ProtocolError,
    nonce,
    pack,
    proof,
    proves,
)
from dmlink.indm.view import Picture, Region, View

HOST = "127.0.0.1"  # this computer only; from another one connect through an SSH tunnel
PORT = 52370  # the next free port is taken if this one is in use

LOOK_SECONDS = 0.05  # how often the rectangles in DM are read
STILL_SECONDS = 0.5  # without an event for so long, the image is sent as it stands
STALLED_SECONDS = 10.0  # a client that reads nothing for so long is dropped
MAX_STRANGERS = 8  # connections that have not shown the token yet


class Client:
    """A connected link: what it may be sent, and what is on its way to it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.decoder = Decoder(MAX_UNKNOWN, 0)
        self.nonces = ("", nonce())  # theirs, ours
        self.welcome = False
        self.closing = False
        self.region: Region | None = None
        self.credit = 0
        self.seen: tuple[Any, ...] | None = None  # the moment of the last picture sent
        self.progress = time.monotonic()  # when it last took something
        self._outbox: collections.deque[tuple[memoryview, Picture | None]] = collections.deque()

    @property
    def sending(self) -> bool:
        """Whether something is waiting to be sent."""
        return bool(self._outbox)

    def put(self, kind: int, header: dict[str, Any]) -> None:
        """Line up a message."""
        self._line_up(pack(kind, header), None)

    def put_picture(self, picture: Picture) -> None:
        """Line up a frame, against one credit."""
        self.credit -= 1
        self.seen = picture.moment
        picture.readers += 1
        self._line_up(pack(FRAME, picture.header, picture.pixels), picture)

    def send(self) -> None:
        """Send as much as goes without waiting."""
        while self._outbox:
            view, picture = self._outbox[0]
            try:
                sent = self.socket.send(view)
            except BlockingIOError:
                return
            self.progress = time.monotonic()
            if sent < len(view):
                self._outbox[0] = (view[sent:], picture)
            else:
                self._outbox.popleft()
                _done(picture)

    def overdue(self, now: float) -> bool:
        """Tell whether to give up: the token not shown, or nothing read, in time."""
        if not self.welcome:
            return now - self.progress > HANDSHAKE_SECONDS
        return self.sending and now - self.progress > STALLED_SECONDS

    def close(self) -> None:
        """Close the connection and forget what was lined up."""
        self.socket.close()
        while self._outbox:
            _done(self._outbox.popleft()[1])

    def _line_up(self, buffers: list[Any], picture: Picture | None) -> None:
        if self.welcome and not self._outbox:
            self.progress = time.monotonic()
        views = [memoryview(buffer) for buffer in buffers]
        self._outbox.extend((view, None) for view in views[:-1])
        self._outbox.append((views[-1], picture))


class Companion:
    """Listens for links and sends each the newest frame whenever it has asked for one."""

    def __init__(self, image: Any, host: str, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self.stop = False
        self.stopped = threading.Event()
        self._clients: list[Client] = []
        self._rois: dict[str, Any] = {}
        self._next_look = 0.0
        self._on_main_thread = DM.IsScriptOnMainThread()
        self._server = _listen(host, port)
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._view: View | None = View(image, self._wake)
        self._name = self._view.name
        self.host, self.port = self._server.getsockname()[:2]

    def run(self) -> None:
        """Serve until `stop` is set, or Ctrl+Shift+Q."""
        try:
            while not self.stop:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        """Wait until there is something to do, at most `LOOK_SECONDS`, and do it."""
        inputs = [self._server, self._ear, *(client.socket for client in self._clients)]
        outputs = [client.socket for client in self._clients if client.sending]
        readable, _, _ = select.select(inputs, outputs, [], self._pause())
        if self._on_main_thread:
            DM.DoEvents()  # else DM would stand still, and its events would not come
        if self._ear in readable:
            self._ear.recv(4096)
        if self._server in readable:
            self._accept()
        for client in list(self._clients):
            if client.socket in readable:
                self._attend(client, self._listen_to)
        self._look(time.monotonic())
        self._distribute()
        for client in list(self._clients):
            self._attend(client, Client.send)

    def _pause(self) -> float:
        polling = self._view is not None and self._view.polling
        return 0.005 if polling or self._on_main_thread else LOOK_SECONDS

    def _close(self) -> None:
        if self._view:
            self._view.listener.end()
        for client in self._clients:
            client.close()
        for sock in (self._server, self._ear, self._mouth):
            sock.close()
        self.stopped.set()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: awake already; closed: over
            self._mouth.send(b"\0")

    # What clients say

    def _accept(self) -> None:
        try:
            sock, _ = self._server.accept()
        except OSError:
            return  # gone again
        if sum(not client.welcome for client in self._clients) >= MAX_STRANGERS:
            sock.close()
        else:
            self._clients.append(Client(sock))

    def _attend(self, client: Client, do: Any) -> None:
        """Do something for a client; a fault ends this client and touches nobody else."""
        try:
            do(client)
        except ProtocolError as error:
            client.closing = True
            client.put(ERROR, {"text": str(error)})
        except OSError:
            self._drop(client)
            return
        if client.overdue(time.monotonic()) or (client.closing and not client.sending):
            self._drop(client)

    def _listen_to(self, client: Client) -> None:
        data = client.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        if client.closing:
            return
        for kind, header, _ in client.decoder.feed(data):
            if client.welcome:
                self._answer(client, kind, header)
            else:
                self._admit(client, kind, header)

    def _admit(self, client: Client, kind: int, header: dict[str, Any]) -> None:
        if kind == HELLO and not client.nonces[0]:
            if header.get("version") != VERSION:
                raise ProtocolError(
                    f"This companion speaks version {VERSION}, the link {header.get('version')!r}. Make a "
                    "new companion with `dmlink companion -o dm_companion.py`."
                )
            client.nonces = (str(header.get("nonce")), client.nonces[1])
            claim = proof(self.token, "server", *client.nonces)
            client.put(HELLO, {"version": VERSION, "nonce": client.nonces[1], "proof": claim})
        elif kind == AUTH and proves(header.get("proof"), self.token, "client", *client.nonces):
            client.welcome = True
            client.decoder.limits = (MAX_HEADER, 0)
            client.put(WELCOME, {"sources": self._sources(), "rois": self._rois, "clock": time.time()})
            if self._view is None:
                client.put(EVENT, {"state": "waiting", "reason": self._reason()})
        else:
            raise ProtocolError(
                "The token is not that of the companion running now. Take the dmlink://... line that it "
                "printed last."
            )

    def _answer(self, client: Client, kind: int, header: dict[str, Any]) -> None:
        if kind == CREDIT:
            client.credit += max(0, int(header.get("n", 1)))
        elif kind == SUBSCRIBE:
            self._subscribe(client, header.get("source"), header.get("roi"))
        elif kind == ROI:
            self._set_roi(header.get("name"), header.get("rectangle"))
        elif kind == SOURCES:
            client.put(SOURCES, {"sources": self._sources()})
        else:
            raise ProtocolError(f"A message of kind {kind} makes no sense here.")

    def _subscribe(self, client: Client, source: Any, roi: Any) -> None:
        if source not in {None, self._name}:
            raise ProtocolError(f"There is no view named {source!r}; there is {self._name!r}.")
        if roi is not None and roi not in self._rois:
            known = ", ".join(repr(name) for name in self._rois) or "none"
            raise ProtocolError(f"There is no ROI named {roi!r} on the live view; there are: {known}.")
        client.region = self._region(roi)
        client.put(SUBSCRIBE, {"source": self._name, "roi": roi})

    def _set_roi(self, name: Any, rectangle: Any) -> None:
        numbers = isinstance(rectangle, list) and all(type(v) in {int, float} for v in rectangle)
        if not isinstance(name, str) or not numbers or len(rectangle) != 4:
            raise ProtocolError(
                f"An ROI is a name and [top, left, bottom, right], not {name!r}, {rectangle!r}."
            )
        if self._view and not self._view.closed:
            image = DM.FindImageByID(self._view.id)
            self._view.set_roi(image, name, rectangle)
            self._read_rois(self._view, image)  # what is asked for next may be this rectangle's pixels

    def _region(self, roi: str | None) -> Region | None:
        return self._view.regions.setdefault(roi, Region(roi)) if self._view else Region(roi)

    def _sources(self) -> list[dict[str, Any]]:
        return [self._view.source()] if self._view else []

    # What DigitalMicrograph shows

    def _look(self, now: float) -> None:
        """Do what needs DM and no event: closed and new views, rectangles, still images, polling."""
        view = self._view
        if view is None or view.closed:
            self._find_view(now)
            return
        if now < self._next_look and not view.polling:
            return
        image = DM.FindImageByID(view.id)
        view.look(image)
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._read_rois(view, image)
            if now - view.last_event > STILL_SECONDS:
                view.observe_now(image, self._unserved(view))
        del image  # DM frees an image only when Python has let go of it

    def _read_rois(self, view: View, image: Any) -> None:
        rois = view.rois(image)
        if rois != self._rois:
            self._rois = rois
            self._tell(ROI, {"rois": rois})

    def _unserved(self, view: View) -> set[Region]:
        """Return the regions that somebody waits for and has not been sent as they stand."""
        return {
            client.region
            for client in self._clients
            if client.credit > 0
            and client.region
            and client.seen != (view.index, self._rois.get(client.region.roi or ""))
        }

    def _find_view(self, now: float) -> None:
        """Take leave of a closed view, and look for one of the same name."""
        if self._view is not None:
            self._view.listener.end()
            self._view = None
            self._tell(EVENT, {"state": "waiting", "reason": self._reason()})
        if now < self._next_look:
            return
        self._next_look = now + STILL_SECONDS
        for i in range(DM.CountImageDocuments()):
            image = DM.GetImageDocument(i).GetImage(0)
            if image.GetName() == self._name:
                self._view = View(image, self._wake)
                for client in self._clients:
                    client.region = client.region and self._region(client.region.roi)
                self._tell(EVENT, {"state": "live", "reason": ""})
                return

    def _reason(self) -> str:
        return f"The view {self._name!r} was closed in DigitalMicrograph; waiting for it to be opened again."

    # What clients get

    def _distribute(self) -> None:
        """Hand new pictures to the clients that have credit, and note which regions are wanted next."""
        for region in list(self._view.regions.values()) if self._view else []:
            ready = [c for c in self._clients if c.region is region and c.credit > 0 and not c.sending]
            if ready and region.mailbox:
                picture = region.mailbox.pop()
                for client in ready:
                    client.put_picture(picture)
                ready = [client for client in ready if client.credit > 0]
            region.wanted = bool(ready)
            if not ready:
                region.mailbox.clear()  # nobody waits for it: it would be old when somebody does

    def _tell(self, kind: int, header: dict[str, Any]) -> None:
        for client in self._clients:
            if client.welcome:
                client.put(kind, header)

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            client.close()


def _done(picture: Picture | None) -> None:
    """One client less that has to be sent this picture."""
    if picture:
        picture.readers -= 1
        if picture.readers == 0:
            picture.region.give_back(picture.pixels)


def _listen(host: str, port: int) -> socket.socket:
    for candidate in [*range(port, port + 20), 0]:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two companions share a port
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, candidate))
        except OSError:
            server.close()
            continue
        server.listen(MAX_STRANGERS)
        server.setblocking(False)
        return server
    raise OSError(f"No port can be had on {host}.")


def _write_endpoint(companion: Companion) -> None:
    """Leave the endpoint where links of this user look for it, readable by this user alone."""
    folder = Path(os.environ.get("DMLINK_HOME") or Path.home() / ".dmlink")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "endpoint.json"
    fields = {"host": companion.host, "port": companion.port, "token": companion.token, "pid": os.getpid()}
    if path.exists():
        path.unlink()  # what is there may be readable by others
    with open(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        json.dump(fields, file)


def main() -> None:
    """Start, say where, and serve."""
    previous = globals().get("dmlink_companion_running")
    if previous is not None:
        previous.stop = True
        previous.stopped.wait(2.0)
    gms = version()
    if refusal(gms):
        print("dmlink:", refusal(gms))
        return
    image = DM.GetFrontImage()
    companion = Companion(image, HOST, PORT)
    del image
    globals()["dmlink_companion_running"] = companion
    _write_endpoint(companion)
    print(f"dmlink://{companion.host}:{companion.port}?token={companion.token}", flush=True)
    numbers = ".".join(str(n) for n in gms)
    print(f"dmlink: streaming, with GMS {numbers}, Python {sys.version.split()[0]}, NumPy {np.__version__}.")
    companion.run()


if __name__ == "__main__":
    main()
