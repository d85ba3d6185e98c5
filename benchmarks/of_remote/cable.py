"""Cable: hands packets from one host to the other, no faster and no sooner than a long cable would.

A device of each host (TUN, Linux's Documentation/networking/tuntap.rst) gives its packets to this process. So
both hosts speak TCP, with all that belongs to it, over a line with a delay; `tc` needs netem for that, which
not every kernel has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from .namespace import enter

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

DEVICE = Path("/dev/net/tun")
NAME = "cable"  # of both devices
SET_DEVICE, PACKETS_ALONE = 0x400454CA, 0x1001  # TUNSETIFF; IFF_TUN | IFF_NO_PI
LONGEST = 65535  # bytes of a packet: a small one would take this process more time than the cable
WIRE = 1538 / 1448  # of Ethernet's bytes for each of TCP's: its packets are short, with heads and gaps
ROOM_SECONDS = 0.05  # that a packet may wait for the cable; what waits longer is dropped, as switches do


def carry(pipe: Connection, hosts: tuple[str, str], rate: float, delay: float) -> None:
    """Join two hosts, say so, and carry until nobody listens any more: `rate` in bytes/s, `delay` in s."""
    a, b = (_end(host) for host in hosts)
    for source, sink in ((a, b), (b, a)):
        sent: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        threading.Thread(target=_put_in, args=(source, sent, rate, delay), daemon=True).start()
        threading.Thread(target=_take_out, args=(sent, sink), daemon=True).start()
    pipe.send(None)
    pipe.poll(None)


def _end(host: str) -> int:
    """Return a new device of a host, as a descriptor of its packets."""
    enter(host)
    end = os.open(DEVICE, os.O_RDWR)
    fcntl.ioctl(end, SET_DEVICE, struct.pack("16sH22x", NAME.encode(), PACKETS_ALONE))
    return end


def _put_in(source: int, sent: SimpleQueue[tuple[float, bytes]], rate: float, delay: float) -> None:
    free = 0.0  # when the last packet has left
    while True:
        packet = os.read(source, LONGEST)
        now = time.perf_counter()
        if free - now < ROOM_SECONDS:
            free = max(free, now) + len(packet) * WIRE / rate
            sent.put((free + delay, packet))


def _take_out(sent: SimpleQueue[tuple[float, bytes]], sink: int) -> None:
    while True:
        due, packet = sent.get()
        time.sleep(max(0.0, due - time.perf_counter()))
        with contextlib.suppress(OSError):  # the host's device is not up yet
            os.write(sink, packet)
