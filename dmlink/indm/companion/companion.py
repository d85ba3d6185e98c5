"""Streams DigitalMicrograph's live view to dmlink.

Run it in a script window with the live view in front and "Execute on background thread" ticked. It prints one
line, dmlink://..., and continues until it is run again, or stopped with Ctrl+Shift+Q.

DigitalMicrograph never has to wait: a listener copies the requested pixels and returns;
the loop of this script does everything else, and never blocks.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import select
import socket
import threading
import time
import traceback
from functools import partial
from typing import Any, Callable

import DigitalMicrograph as DM

from dmlink.indm.clock import steady_time
from dmlink.indm.companion.camera import Camera
from dmlink.indm.companion.client import Client, named, with_outlines
from dmlink.indm.companion.door import (
    BACKLOG,
    LOOPBACK,
    endpoint_file,
    listen,
    remove_endpoint,
    write_endpoint,
)
from dmlink.indm.companion.greeting import Greeting
from dmlink.indm.companion.region import LOSSLESS_BYTES, Region
from dmlink.indm.companion.settings import (
    CAMERA_BINNING,
    CAMERA_EXPOSURE,
    CAMERA_PROCESSING,
    COMPRESS,
    EXPOSE,
    FEED,
    HOST,
    PORT,
    STILL_SECONDS,
)
from dmlink.indm.companion.showing import Showing
from dmlink.indm.companion.slots import MAX_SLOTS
from dmlink.indm.companion.view import View
from dmlink.indm.companion.views import Views, images_called
from dmlink.indm.gms import pixels_of, refusal, unless_closed, version
from dmlink.indm.outline import checked_outline
from dmlink.indm.packing import packer
from dmlink.indm.protocol import (
    BLOSC,
    BYE,
    CREDIT,
    EVENT,
    HIDE,
    MAX_HEADER,
    PING,
    PONG,
    ROI,
    SHOW,
    SOURCES,
    SUBSCRIBE,
    WELCOME,
    ProtocolError,
    RefusedError,
    in_parts,
    is_name,
)

LOOK_SECONDS = 0.05  # interval at which the rectangles in DM are read
ANNOUNCE_SECONDS = 0.5  # delay after which a link is told of frames that it was not sent
MAX_STRANGERS = 8  # connections that have not yet proved that they have the token
MAX_CLIENTS = 64
GOODBYE_SECONDS = 3.0  # time that slow links get to read the last messages when the companion ends
MAX_TROUBLES = 5  # errors in the loop that are printed


class Companion:
    """Listens for links and sends each of them the newest frame on request."""

    def __init__(self, host: str = HOST, port: int = PORT) -> None:
        self.token = secrets.token_urlsafe(24)
        self.stop = False
        self.stopped = threading.Event()
        self._closed = False
        self.on_main_thread = DM.IsScriptOnMainThread()
        self._clients: list[Client] = []
        self.roi_names: dict[int, str] = {}  # by ID; the next run of the companion continues with them
        self.outlines: dict[int, Any] = {}  # those of masks, likewise
        self._views = Views(self._wake, self.roi_names, self.outlines)
        self._camera: Any = None
        self._showing = Showing()
        self._greeting: Greeting | None = None
        self._next_look = 0.0
        self._packer = packer() if COMPRESS else None
        self._troubles = 0
        self._server = listen(host, port, expose=EXPOSE)
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self.host, self.port = self._server.getsockname()[:2]

    def greet(self, gms: tuple[int, ...]) -> None:
        """Schedule the line that says what was found."""
        self._greeting = Greeting(gms, time.monotonic())

    def run(self) -> None:
        """Serve until `stop` is set, or Ctrl+Shift+Q."""
        try:
            with contextlib.suppress(Exception):  # the loop reports it
                self._find_views()
            while not self.stop and not self._replaced():
                try:
                    self._turn()
                except Exception:  # noqa: BLE001, PERF203 - one error in DM must not end a long session
                    self._trouble()
        finally:
            self.close("The companion was stopped in DigitalMicrograph.")

    def _replaced(self) -> bool:
        """Return whether another run, started at the same moment, has taken over."""
        running = shared_names().get("dmlink_companion_running")
        return running is not self and hasattr(running, "stopped")  # otherwise another script's variable

    def close(self, why: str) -> None:
        """Send BYE and close everything, even if one part fails; a second call does nothing."""
        if self._closed:
            return
        self._closed = self.stop = True
        sockets = (self._server, self._ear, self._mouth)
        looked_at = [(client, self._views.of(client.source)) for client in self._clients]
        steps: list[Callable[[], Any]] = [self._views.end, self._showing.release]
        steps += [self._camera.stop] if self._camera else []
        steps += [partial(self._part, client, view, why) for client, view in looked_at]
        steps += [self._wait_for_goodbyes, *(client.close for client in self._clients)]
        steps += [self._clients.clear, *(sock.close for sock in sockets)]
        steps += [partial(remove_endpoint, self.token)]  # before the next companion writes its own
        for step in steps:
            try:
                step()
            except Exception:  # noqa: BLE001, PERF203 - a failed step must not prevent the others
                traceback.print_exc()
        self.stopped.set()

    def _part(self, client: Client, view: View | None, why: str) -> None:
        with contextlib.suppress(OSError):
            client.part(why, view.counts if view else None)

    def _wait_for_goodbyes(self) -> None:
        """Wait briefly for links to close their ends.

        If a socket is closed with unread bytes, the data it has sent may be discarded.
        """
        seconds = LOOK_SECONDS if self.on_main_thread else GOODBYE_SECONDS
        end, clients = time.monotonic() + seconds, list(self._clients)
        while clients and time.monotonic() < end:
            outputs = [client.socket for client in clients if client.sending]
            inputs = [client.socket for client in clients]
            readable, writable, _ = select.select(inputs, outputs, [], max(0.0, end - time.monotonic()))
            for client in list(clients):
                try:
                    if client.socket in writable:
                        client.send()
                    if client.socket in readable:
                        list(client.receive())
                except (OSError, ProtocolError):  # noqa: PERF203 - a lost client affects no other
                    clients.remove(client)

    @property
    def packs(self) -> bool:
        """Whether frames can be packed here."""
        return self._packer is not None

    @property
    def behind(self) -> bool:
        """Whether a replay must wait before its next frame so that none is lost."""
        return any(view.behind for view in list(self._views))

    def acquire(self) -> None:
        """Use the camera directly and stream what it acquires, instead of the user's view."""
        self._camera = Camera(CAMERA_EXPOSURE, CAMERA_BINNING, CAMERA_PROCESSING)
        self._views.default = self._camera.name

    def _turn(self) -> None:
        """Wait for something to do, at most `LOOK_SECONDS`, and do it."""
        inputs = [self._server, self._ear, *(client.socket for client in self._clients)]
        outputs = [client.socket for client in self._clients if client.sending]
        readable, _, _ = select.select(inputs, outputs, [], self._pause())
        if self.on_main_thread:
            DM.DoEvents()  # otherwise DM would freeze, and its events would not arrive
            if self.stop:
                return  # one of these events was a second run of this script
        if self._ear in readable:
            self._ear.recv(4096)
        if self._server in readable:
            self._accept()
        for client in list(self._clients):
            if client.socket in readable:
                self._attend(client, self._listen_to)
        self._look(time.monotonic())
        self._distribute()
        now = time.monotonic()
        for client in list(self._clients):
            self._attend(client, Client.send)
            self._attend(client, lambda client: client.check(now))
        self._distribute()  # a client that was just sent a picture may want the next one
        self._showing.draw()

    def _pause(self) -> float:
        if self._camera:
            return 0.0  # this waits for the camera
        hurry = self.on_main_thread or any(view.polling for view in self._views)
        pause = 0.005 if hurry else LOOK_SECONDS
        return min(pause, self._showing.rest) if self._showing.waiting else pause

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: already awake; closed: finished
            self._mouth.send(b"\0")

    def _trouble(self) -> None:
        self._troubles += 1
        if self._troubles <= MAX_TROUBLES:
            traceback.print_exc()
        time.sleep(LOOK_SECONDS)  # if errors continue, they must not slow down DM

    # What clients send

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                sock, _address = self._server.accept()
            except OSError:
                return  # no connection is waiting, or it is gone again
            self._receive_stranger(sock)

    def _receive_stranger(self, sock: socket.socket) -> None:
        strangers = [client for client in self._clients if not client.welcome]
        if len(strangers) >= MAX_STRANGERS:  # the oldest has had the most time to authenticate
            self._clients.remove(strangers[0])
            strangers[0].close()
        self._clients.append(Client(sock))

    def _attend(self, client: Client, do: Callable[[Client], None]) -> None:
        """Do something for a client; a fault disconnects this client only."""
        if client not in self._clients:
            return  # already disconnected
        try:
            do(client)
        except ProtocolError as error:
            client.refuse(str(error))
        except OSError:
            self._clients.remove(client)
            client.close()
        except Exception as error:  # noqa: BLE001 - it came from this client's request
            if client.welcome:  # a client without the token cannot make us print or pause
                self._trouble()
            client.refuse(f"The companion failed to handle a message: {error!r}"[:1000])

    def _listen_to(self, client: Client) -> None:
        for kind, header, payload in client.receive():
            if client.welcome:
                try:
                    self._answer(client, kind, header, payload)
                except RefusedError as error:
                    client.decline(kind, header, str(error))
            elif client.introduce(kind, header, self.token):
                self._welcome(client)

    def _welcome(self, client: Client) -> None:
        if sum(other.welcome for other in self._clients) > MAX_CLIENTS:
            raise ProtocolError(f"{MAX_CLIENTS} links are connected already; close one of them first.")
        view = self._views.of(client.source)
        rois = with_outlines(view.rois.known, view.rois.outlines) if view else []
        first, _ = next(in_parts(rois, MAX_HEADER // 4))
        about = {"clock": steady_time(), "slots": MAX_SLOTS}
        client.put_sources(WELCOME, self._views.sources(), **named(first), **about)

    def _answer(self, client: Client, kind: int, header: dict[str, Any], payload: Any) -> None:
        if kind == CREDIT:
            n = header.get("n", 1)
            if type(n) is not int or not 0 < n <= 1000:
                raise RefusedError(f"A CREDIT must be for 1 to 1000 frames, not {n!r:.50}.")
            client.slots.offer(header.get("slots", []))
            client.credit = min(client.credit + n, 1000)
        elif kind == SUBSCRIBE:
            self._subscribe(client, header)
        elif kind == ROI:
            if "line" in header:
                self._change_line(client, header["line"])
            else:
                self._change_roi(client, header.get("name"), header.get("rectangle"), header.get("outline"))
        elif kind == SOURCES:
            client.put_sources(SOURCES, self._views.sources())
        elif kind == SHOW:
            self._showing.take(header, payload)
        elif kind == HIDE:
            self._showing.hide(header)
        elif kind == PING:
            client.put(PONG)
        elif kind == BYE:
            raise ConnectionResetError
        elif kind != PONG:
            raise ProtocolError(f"A message of kind {kind} is not allowed here.")

    def _subscribe(self, client: Client, header: dict[str, Any]) -> None:
        source, roi, mode = header.get("source"), header.get("roi"), header.get("mode", "latest")
        if not isinstance(source, (str, type(None))) or not isinstance(roi, (str, type(None))):
            raise RefusedError(f"Source and ROI must be names, not {source!r:.100} and {roi!r:.100}.")
        if mode not in ("latest", "lossless"):
            raise RefusedError(f'The mode must be "latest" or "lossless", not {mode!r:.100}.')
        view = self._views.of(source) or self._open(source)
        if not header.get("wait"):
            self._check_exists(source, roi, view)
        client.source = source
        unpacks = header.get("packing")
        client.packer = self._packer if isinstance(unpacks, list) and BLOSC in unpacks else None
        lossless = mode == "lossless"
        counts = view.counts if view else ()  # before a frame can be copied for this client
        client.region = view.region(roi, lossless) if view else Region(roi, lossless)
        client.region.wanted = client.region.wanted or lossless
        client.shape = view.shape if view else ()
        client.seen = client.announced = None
        client.told = state, reason = self._state(client, view)
        answer: dict[str, Any] = {
            "source": source or self._views.default,
            "roi": roi,
            "state": state,
            "reason": reason,
        }
        if view:
            answer.update(zip(("announced", "unsure"), counts))
        rois = (view.rois.known, view.rois.outlines) if view else ({}, {})
        client.put_rois(SUBSCRIBE, *rois, **answer)

    def _check_exists(self, source: str | None, roi: str | None, view: View | None) -> None:
        if view is None and source not in {None, self._views.default}:
            for image in images_called(source):
                with unless_closed(image):
                    _check_streamable(image)
            known = ", ".join(repr(s["name"]) for s in self._views.sources()) or "none"
            raise RefusedError(f"There is no view named {source!r:.200}; available: {known}.")
        if roi is not None and (view is None or roi not in view.rois.known):
            known = ", ".join(repr(name) for name in view.rois.known) if view else ""
            raise RefusedError(
                f"There is no ROI named {roi!r:.200} on the view; available: {known or 'none'}."
            )

    def _change_roi(self, client: Client, name: Any, rectangle: Any, outline: Any) -> None:
        removed = rectangle is None
        numbers = isinstance(rectangle, list) and all(type(v) in {int, float} for v in rectangle)
        if not is_name(name) or not (removed or (numbers and len(rectangle) == 4)):
            raise RefusedError(
                f"An ROI needs a name and [top, left, bottom, right], not {name!r:.100}, {rectangle!r:.100}."
            )
        if outline is not None:
            try:
                outline = checked_outline(*outline)
            except (TypeError, ValueError) as error:
                raise RefusedError(f"The outline of the ROI {name!r:.100} is not valid: {error}") from error
        view = self._views.of(client.source)
        image = view.image() if view else None
        if view is None or image is None:
            return
        with unless_closed(image):
            if removed:
                view.remove_roi(image, name)
            else:
                view.set_roi(image, name, rectangle, outline)
        self._next_look = 0.0

    def _change_line(self, client: Client, line: Any) -> None:
        numbers = isinstance(line, list) and all(type(v) in {int, float} for v in line)
        if line is not None and not (numbers and len(line) == 4 and all(map(math.isfinite, line))):
            raise RefusedError(f"A line must be [y0, x0, y1, x1] in pixels, not {line!r:.100}.")
        view = self._views.of(client.source)
        image = view.image() if view else None
        if view is not None and image is not None:
            with unless_closed(image):
                view.set_line(image, line)
            self._next_look = 0.0

    # What DigitalMicrograph shows

    def _look(self, now: float) -> None:
        """Do what needs DM but no event: closed and new views, rectangles, still images, polling."""
        if self._camera:
            self._camera.wait(self._views.of(None))
        due = now >= self._next_look
        if due:
            self._next_look = now + LOOK_SECONDS
        for view in list(self._views):
            if not (due or view.polling):
                continue
            image = view.image()
            if image is None:
                continue
            with unless_closed(image):
                view.look(image)
                if due:
                    view.look_for_rois(image)
                    if now - view.last_event > STILL_SECONDS:
                        view.observe_now(image, self._unserved(view))
            del image  # DM frees an image only when Python no longer refers to it
        if due:
            self._showing.tidy()
            self._find_views()
            if self._greeting:
                self._greeting.look(self._views.of(None), now, self._views.fault)
            for client in list(self._clients):
                self._attend(client, self._inform)

    def _find_views(self) -> None:
        wanted = {client.source for client in self._clients}
        self._views.let_go(wanted)
        for name in self._views.missing(wanted):
            self._open(name)

    def _open(self, name: str | None) -> View | None:
        opened = self._views.open(name)
        if opened is None:
            return None
        with unless_closed(opened[1]):
            self._attach(*opened)
        return opened[0]

    def _attach(self, view: View, image: Any) -> None:
        mine = [client for client in self._clients if self._views.of(client.source) is view]
        self._draw_again(view, image, mine)
        view.look_for_rois(image)
        for client in mine:
            old = client.region
            if old:
                client.region = view.region(old.roi, old.lossless)
                if old.lossless:
                    client.region.mailbox.extend(old.mailbox)
                    client.region.missed = old.missed
                    client.region.wanted = True  # last, so that new frames come after earlier ones

    def _draw_again(self, view: View, image: Any, clients: list[Client]) -> None:
        """Draw the rectangles that links wait for on a reopened view without rectangles."""
        view.look_for_rois(image)
        if view.rois.known:
            return
        h, w = pixels_of(image).shape[:2]
        for client in clients:
            name = client.region.roi if client.region else None
            if name and name in (client.rois or {}) and client.shape:
                y, x = h / client.shape[0], w / client.shape[1]
                top, left, bottom, right = client.rois[name]
                place = top * y, left * x, bottom * y, right * x
                view.set_roi(image, name, place, client.outlines.get(name))

    def _unserved(self, view: View) -> set[Region]:
        """Return the regions for which a client is waiting and whose current state it has not been sent."""
        return {
            client.region
            for client in self._clients
            if client.ready
            and client.region in view.regions
            and not client.region.mailbox
            and client.seen != view.moment(client.region)
        }

    def _inform(self, client: Client) -> None:
        """Tell a client what has changed for it: rectangles, and whether frames can be sent."""
        if not client.region:
            return
        view = self._views.of(client.source)
        if view and (view.rois.known, view.rois.outlines) != (client.rois, client.outlines):
            client.put_rois(ROI, view.rois.known, view.rois.outlines)
        if view:
            client.shape = view.shape
        state = self._state(client, view)
        if state != client.told:
            client.told = state
            client.put(EVENT, {"state": state[0], "reason": state[1]})
        if view:
            self._announce(client, view)

    def _announce(self, client: Client, view: View) -> None:
        """Report frames that a client was not sent, unless a later frame shows it."""
        if client.announced and time.monotonic() - client.announced_at < ANNOUNCE_SECONDS:
            return
        counts = view.counts  # read before the mailbox, so that a frame arriving now is counted later
        waiting = client.sending or (client.region and client.region.mailbox)
        if not waiting and counts != client.announced:
            client.announce(counts)

    def _state(self, client: Client, view: View | None) -> tuple[str, str]:
        region, name = client.region, client.source or self._views.default
        if view is None and name is None:
            fault = self._views.fault
            return "waiting", (
                f"No image in DigitalMicrograph can be streamed ({fault})."
                if fault
                else "No image is open in DigitalMicrograph; start the live view."
            )
        if view is None:
            return "waiting", f"The view {name!r} was closed in DigitalMicrograph; open it again."
        if region and region.roi is not None and region.roi not in view.rois.known:
            return "waiting", (
                f"The ROI {region.roi!r} is not on the view {name!r} any more; draw a rectangle in "
                "DigitalMicrograph, or set it from here."
            )
        if region and region.missed:
            return "live", (
                f"{region.missed} frames were dropped: more than {LOSSLESS_BYTES >> 20} MB were waiting for "
                "lossless links. Process faster, or use a smaller ROI."
            )
        return "live", ""

    # What clients are sent

    def _distribute(self) -> None:
        """Give new pictures to the clients with credit, and note which regions are wanted next."""
        for view in self._views:
            users = [client.region for client in self._clients if client.region]
            view.regions = [region for region in view.regions if region in users]
        for region in {client.region for client in self._clients if client.region}:
            mine = [client for client in self._clients if client.region is region]
            region.slots = mine[0].slots if len(mine) == 1 else None
            ready = [client for client in mine if client.ready]
            picture = region.take() if ready else None
            if picture:
                if len(mine) > 1 or (picture.slot and picture.slot.home is not region.slots):
                    picture.own()
                for client in ready:
                    client.put_picture(picture)
                ready = [client for client in ready if client.credit > 0]
            if region.lossless:
                continue
            region.wanted = bool(ready)
            if not ready:
                region.mailbox.clear()  # nobody is waiting for it, and later it would be old


def _check_streamable(image: Any) -> None:
    try:
        pixels_of(image)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def shared_names() -> dict[str, Any]:
    """Return the global names that all scripts share; this script has its own (see `dmlink.bundle`)."""
    shared: dict[str, Any] = globals().get("dmlink_shared", globals())
    return shared


def replace_running() -> tuple[dict[int, str], dict[int, Any]]:
    """Stop an earlier run of this script, if any; return the names of its ROIs and their outlines."""
    previous: Any = shared_names().get("dmlink_companion_running")
    if not hasattr(previous, "stopped"):  # there is none, or it belongs to another script
        return {}, {}
    previous.stop = True
    if previous.on_main_thread and DM.IsScriptOnMainThread():
        previous.close("The companion was run again.")  # it waits for us, further down on this same stack
    previous.stopped.wait(2.0 if DM.IsScriptOnMainThread() else GOODBYE_SECONDS + 1.0)
    # an older version has none
    return dict(getattr(previous, "roi_names", {})), dict(getattr(previous, "outlines", {}))


def main() -> None:
    """Start, print the endpoint, and serve."""
    roi_names, outlines = replace_running()
    gms = version()
    if refusal(gms):
        print("dmlink:", refusal(gms))
        return
    try:
        companion = Companion()
    except (OSError, ValueError) as error:
        print("dmlink:", error)
        return
    except Exception as error:  # noqa: BLE001 - for whatever reason GMS refuses it
        print(
            f"dmlink: cannot stream from this GMS ({error}). Please send us the file that the self-test "
            "writes (dmlink companion --self-test)."
        )
        return
    companion.roi_names.update(roi_names)
    companion.outlines.update(outlines)
    shared_names()["dmlink_companion_running"] = companion
    try:
        if FEED == "camera":
            companion.acquire()
    except Exception as error:  # noqa: BLE001 - whatever the camera or its driver refuses
        print(f"dmlink: the camera cannot be used: {error}. Make it ready, or stream the live view instead.")
        companion.close("The camera cannot be used.")
        return
    try:
        write_endpoint(companion.host, companion.port, companion.token)
    except OSError as error:
        print(f"dmlink: {endpoint_file()} cannot be written ({error}); connect with the line below.")
    print(f"dmlink://{companion.host}:{companion.port}?token={companion.token}", flush=True)
    companion.greet(gms)
    if companion.host not in LOOPBACK:
        print(
            f"dmlink: other computers can connect to {companion.host}:{companion.port}. Anyone with the "
            "token can see the live view, move its ROIs and open windows; the traffic is not encrypted."
        )
    if COMPRESS:
        how = "packed" if companion.packs else "not packed: this Python has no numcodecs"
        print(f"dmlink: frames are {how}.")
    companion.run()


if __name__ == "__main__":
    main()
