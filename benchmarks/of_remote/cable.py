"""Cable: passes packets between two hosts with the bandwidth and delay of a long cable.

A TUN device on each host (Linux's Documentation/networking/tuntap.rst) gives its packets to this process, so
both hosts speak real TCP over a line with a delay. `tc` would need netem, which not every kernel has.
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
LONGEST = 65535  # bytes of a packet: with small ones, this process would be slower than the cable
WIRE = 1538 / 1448  # Ethernet bytes per TCP byte: its packets are short, with headers and gaps
ROOM_SECONDS = 0.05  # s that a packet may wait for the cable; later ones are dropped, as by a switch


def carry(pipe: Connection, hosts: tuple[str, str], rate: float, delay: float) -> None:
    """Join two hosts, report it, and carry packets until nobody listens: `rate` in bytes/s, `delay` in s."""
    a, b = (_end(host) for host in hosts)
    for source, sink in ((a, b), (b, a)):
        sent: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        threading.Thread(target=_put_in, args=(source, sent, rate, delay), daemon=True).start()
        threading.Thread(target=_take_out, args=(sent, sink), daemon=True).start()
    pipe.send(None)
    pipe.poll(None)


def _end(host: str) -> int:
    """Return the file descriptor of a new TUN device on a host."""
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
