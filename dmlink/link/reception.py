"""Reception: receives FRAME messages into shared memory and makes frames of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis, Frame, Line, MaskedRoi, Roi
from dmlink.indm import packing, protocol
from dmlink.indm.protocol import ProtocolError
from dmlink.link.offers import Offers
from dmlink.ring import Ring

if TYPE_CHECKING:
    from dmlink.link.connection import Connection
    from dmlink.link.logs import Logs
    from dmlink.link.requests import Requests


class Reception:
    """Receives frames from a connection and adds their view's ROIs and the newest values of `logs`.

    `roi` names the ROI that the frames are of; None for the whole image.

    Attributes
    ----------
    offers : Offers
        The slots of its memory that the companion has.
    """

    def __init__(self, logs: Logs, requests: Requests, roi: str | None = None) -> None:
        self._logs = logs
        self._requests = requests
        self._roi = roi
        self._ring = Ring()
        self.offers = Offers(self._ring)
        self._packer: Any = None  # made for the first packed frame

    def receive(self, connection: Connection, header: dict[str, Any], size: int, dropped: int) -> Frame:
        """Receive a payload of `size` bytes and return the frame that it and the header describe.

        `dropped` is the number of frames left out before it.

        Raises
        ------
        ProtocolError
            If a field is missing or has the wrong type.
        """
        shape, dtype = protocol.pixels(header, size)
        length = math.prod(shape) * dtype.itemsize
        shared = self.offers.take(header, length)
        self.offers.expect(length)
        memory, block = shared or self._ring.take(length)
        if "packing" in header:
            self._unpack(connection, size, memory)
        elif not shared:
            connection.fill(memory)
        data = memory.view(dtype).reshape(shape)
        data.flags.writeable = False
        frame = unpacked(header, data, block, dropped)
        log, known = self._logs.at(frame.time), self._requests.rois
        if not log and not known:
            return frame
        outline = known[self._roi].outline if self._roi in known else None
        roi = MaskedRoi(*frame.roi, outline=outline) if frame.roi and outline else frame.roi
        rois = {name: place.seen_from(frame.roi) for name, place in known.items()}
        return replace(frame, log=log, roi=roi, rois=rois)

    def reserve(self, size: int) -> None:
        """Allow `size` more bytes for frames that are kept, such as a look-back's; negative undoes it."""
        self._ring.reserve(size)

    def close(self) -> None:
        """Free the memory; frames that are still in use stay until they are not."""
        self.offers.restart(None)
        self._ring.close()

    def _unpack(self, connection: Connection, size: int, memory: np.ndarray) -> None:
        if self._packer is None:
            self._packer = packing.packer()
        data = np.empty(size, np.uint8)
        connection.fill(data)
        packing.unpack(self._packer, data, memory)


def unpacked(header: dict[str, Any], data: np.ndarray, block: str, dropped: int) -> Frame:
    """Return the frame; `block` names its shared memory, `dropped` is the number left out before it.

    Raises
    ------
    ProtocolError
        If a field is missing or has the wrong type.
    """
    index, time, source, tags, roi, line = map(header.get, ("index", "time", "source", "tags", "roi", "line"))
    if type(index) is not int or not _is_number(time) or not isinstance(source, str):
        raise ProtocolError(
            f"Frame with invalid number {index!r:.50}, time {time!r:.50} or source {source!r:.50}."
        )
    if not isinstance(tags, dict) or not all(map(_is_number, tags.values())):
        raise ProtocolError(f"A frame's tags must be names with numbers, not {tags!r:.100}.")
    value_unit = header.get("value_unit", "")
    if not isinstance(value_unit, str):
        raise ProtocolError(f"The unit of a frame's values must be a text, not {value_unit!r:.100}.")
    if roi is not None:
        roi = Roi(*_numbers(roi))
        if not all(type(side) is int for side in roi):
            raise ProtocolError(f"A frame's ROI must be in whole pixels, not {roi!r:.100}.")
    return Frame(
        data,
        index,
        float(header["time"]),
        _axis(header.get("y")),
        _axis(header.get("x")),
        roi,
        source,
        tags,
        dropped,
        block,
        Line(*map(float, _numbers(line))) if line else None,
        value_unit=value_unit,
    )


def _axis(fields: Any) -> Axis:
    if not isinstance(fields, list) or len(fields) != 3 or not isinstance(fields[2], str):
        raise ProtocolError(f"An axis must be [origin, scale, unit], not {fields!r:.100}.")
    if not all(map(_is_number, fields[:2])):
        raise ProtocolError(f"An axis's origin and scale must be numbers, not {fields!r:.100}.")
    return Axis(*fields)


def _numbers(four: Any) -> list[Any]:
    if not isinstance(four, list) or len(four) != 4 or not all(map(_is_number, four)):
        raise ProtocolError(f"A rectangle or line must be four numbers, not {four!r:.100}.")
    return four


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
