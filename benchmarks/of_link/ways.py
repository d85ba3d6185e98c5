"""Ways to send frames from one process to another: Link, a bare socket, and other packages.

`publish(tell, array, pace)` reports its address and sends the array forever, waiting in `pace()` before each;
`consume(address, array)` yields for each frame when it was sent, and its pixels as an array. Peers are
imported in these functions, as not all of them need be installed.
"""

from __future__ import annotations

import importlib.util
import queue
import socket
import struct
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import dmlink
from dmlink.indm import protocol

from . import sender

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Tell = Callable[[Any], None]
    Pace = Callable[[], None]
    Stamped = Generator[tuple[float, np.ndarray]]

HOST = "127.0.0.1"
IN_FLIGHT = 4  # frames that peers may queue: enough to keep them busy
STAMP = struct.Struct("<d")
(CREDIT,) = protocol.pack(protocol.CREDIT, {"n": 1})


class Way(NamedTuple):
    """One way: its two ends, and the package that it needs."""

    publish: Callable[[Tell, np.ndarray, Pace], None]
    consume: Callable[[Any, np.ndarray], Generator[Any]]
    package: str = ""

    @property
    def installed(self) -> bool:
        """Whether its package can be imported."""
        return not self.package or importlib.util.find_spec(_module(self.package)) is not None

    @property
    def version(self) -> str:
        """Version of its package."""
        return metadata.version(self.package) if self.package else ""


# Link


def consume_link(address: Any, array: np.ndarray) -> Stamped:  # noqa: ARG001 - the link knows the shape
    with dmlink.connect(address) as link:
        for frame in link:
            yield frame.time, frame.data
            del frame  # else its memory is held while the next one is received


# A bare loop over a socket


def publish_bare(tell: Tell, array: np.ndarray, pace: Pace, *, credited: bool = True) -> None:
    with socket.create_server((HOST, 0)) as server:
        tell(server.getsockname()[1])
        sock, _address = server.accept()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pixels = memoryview(array).cast("B")
        while True:
            if credited and not sock.recv(len(CREDIT), socket.MSG_WAITALL):
                return
            pace()
            sender.send_whole(sock, STAMP.pack(time.time()), pixels)


def consume_bare(address: Any, array: np.ndarray, *, credited: bool = True) -> Stamped:
    pixels = np.empty_like(array)
    view, stamp = memoryview(pixels).cast("B"), bytearray(STAMP.size)
    with socket.create_connection((HOST, address)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if credited:
            sock.sendall(CREDIT)
        while True:
            sock.recv_into(stamp, flags=socket.MSG_WAITALL)
            if credited:
                sock.sendall(CREDIT)  # as Link does: the next frame is prepared while this one is in flight
            sock.recv_into(view, flags=socket.MSG_WAITALL)
            yield STAMP.unpack(stamp)[0], pixels


def publish_pipelined(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    publish_bare(tell, array, pace, credited=False)


def consume_pipelined(address: Any, array: np.ndarray) -> Stamped:
    return consume_bare(address, array, credited=False)


# pyzmq


def publish_zmq(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    import zmq  # noqa: PLC0415

    out = zmq.Context().socket(zmq.PUSH)
    out.setsockopt(zmq.SNDHWM, IN_FLIGHT)
    tell(out.bind_to_random_port(f"tcp://{HOST}"))
    while True:
        pace()
        out.send(STAMP.pack(time.time()), zmq.SNDMORE)
        out.send(array, copy=False)


def consume_zmq(address: Any, array: np.ndarray) -> Stamped:
    import zmq  # noqa: PLC0415

    with zmq.Context() as context, context.socket(zmq.PULL) as pull:
        pull.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        pull.setsockopt(zmq.LINGER, 0)
        pull.connect(f"tcp://{HOST}:{address}")
        while True:
            stamp, pixels = pull.recv_multipart(copy=False)
            data = np.frombuffer(pixels.buffer, array.dtype).reshape(array.shape)
            yield STAMP.unpack(stamp.buffer)[0], data


# imagezmq


def publish_imagezmq(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    import imagezmq  # noqa: PLC0415

    with socket.create_server((HOST, 0)) as server:
        address = f"tcp://{HOST}:{server.getsockname()[1]}"
    tell(address)  # in imagezmq, the receiver listens
    out = imagezmq.ImageSender(connect_to=address, REQ_REP=True)
    while True:
        pace()
        out.send_image(str(time.time()), array)


def consume_imagezmq(address: Any, array: np.ndarray) -> Stamped:  # noqa: ARG001
    import imagezmq  # noqa: PLC0415

    with imagezmq.ImageHub(open_port=address, REQ_REP=True) as hub:
        while True:
            stamp, data = hub.recv_image()
            hub.send_reply(b"OK")
            yield float(stamp), data


# websockets


def publish_websockets(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    from websockets.sync.server import serve  # noqa: PLC0415

    def handle(connection: Any) -> None:
        pixels = memoryview(array).cast("B")
        while True:
            pace()
            connection.send(STAMP.pack(time.time()))
            connection.send(pixels)

    with serve(handle, HOST, 0, compression=None, max_size=None) as server:
        tell(server.socket.getsockname()[1])
        server.serve_forever()


def consume_websockets(address: Any, array: np.ndarray) -> Stamped:
    from websockets.sync.client import connect  # noqa: PLC0415

    with connect(
        f"ws://{HOST}:{address}", compression=None, max_size=None, proxy=None, close_timeout=0.1
    ) as connection:
        while True:
            stamp, pixels = connection.recv(), connection.recv()
            yield STAMP.unpack(stamp)[0], np.frombuffer(pixels, array.dtype).reshape(array.shape)


# Pyro5


def publish_pyro(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    import Pyro5.api  # noqa: PLC0415

    @Pyro5.api.expose
    class Microscope:
        def frame(self) -> Any:
            pace()
            return time.time(), array.tobytes()

    Pyro5.config.SERIALIZER = "msgpack"
    daemon = Pyro5.api.Daemon(HOST)
    tell(str(daemon.register(Microscope())))
    daemon.requestLoop()


def consume_pyro(address: Any, array: np.ndarray) -> Stamped:
    import Pyro5.api  # noqa: PLC0415

    Pyro5.config.SERIALIZER = "msgpack"
    with Pyro5.api.Proxy(address) as microscope:
        while True:
            stamp, pixels = microscope.frame()
            yield stamp, np.frombuffer(pixels, array.dtype).reshape(array.shape)


# p4p


def publish_p4p(tell: Tell, array: np.ndarray, pace: Pace) -> None:
    from p4p.nt import NTNDArray  # noqa: PLC0415
    from p4p.server import Server  # noqa: PLC0415
    from p4p.server.thread import SharedPV  # noqa: PLC0415

    variable = SharedPV(nt=NTNDArray(), initial=array)
    with Server(providers=[{"benchmark:image": variable}], isolate=True) as server:
        tell(server.conf())
        while True:
            pace()
            variable.post(array, timestamp=time.time())


def consume_p4p(address: Any, array: np.ndarray) -> Stamped:  # noqa: ARG001
    from p4p.client.thread import Context  # noqa: PLC0415

    came: queue.Queue[Any] = queue.Queue(IN_FLIGHT)
    with (
        Context("pva", conf=address, useenv=False) as context,
        context.monitor("benchmark:image", came.put, request="record[queueSize=4]"),
    ):
        while True:
            value = came.get()
            yield value.timestamp, value


BARE, LINK, PIPELINED = "bare recv_into", "Link", "bare, no credits"
WAYS = {
    BARE: Way(publish_bare, consume_bare),
    LINK: Way(sender.send, consume_link),
    PIPELINED: Way(publish_pipelined, consume_pipelined),
    "pyzmq": Way(publish_zmq, consume_zmq, "pyzmq"),
    "imagezmq": Way(publish_imagezmq, consume_imagezmq, "imagezmq"),
    "websockets": Way(publish_websockets, consume_websockets, "websockets"),
    "Pyro5": Way(publish_pyro, consume_pyro, "Pyro5"),
    "p4p": Way(publish_p4p, consume_p4p, "p4p"),
}
PEERS = tuple(name for name, way in WAYS.items() if way.package)


def versions() -> dict[str, str]:
    """Return each peer's version, or that it is not installed."""
    return {name: WAYS[name].version if WAYS[name].installed else "not installed" for name in PEERS}


def _module(package: str) -> str:
    return "zmq" if package == "pyzmq" else package
