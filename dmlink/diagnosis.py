"""Diagnosis: why do no frames come? One question after the other, each with what to do."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dmlink import endpoint as endpoints
from dmlink.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMES_SECONDS = 5.0


def examine(endpoint: str | endpoints.Endpoint | None, roi: str | None = None) -> Iterator[tuple[bool, str]]:
    """Yield (whether it is well, what was found), from the network to the frames, until something is not."""
    try:
        found = endpoints.find(endpoint)
    except (ConnectionError, ValueError) as error:
        yield False, str(error)
        return
    where = "as given" if endpoint else f"from DMLINK_ENDPOINT or {endpoints.file()}"
    yield True, f"The companion should be at {found.address}, {where}."
    try:
        socket.create_connection(found[:2], 3.0).close()
    except OSError as error:
        advice = "Is dm_companion.py still running? On another computer: does the SSH tunnel stand?"
        yield False, f"Nothing listens at {found.address} ({error}). {advice}"
        return
    yield True, "Something listens there."
    try:
        link = Link(found, roi=roi)
    except (ConnectionError, ValueError) as error:
        yield False, str(error)
        return
    with link:
        yield True, "It is a companion, and the token is the right one."
        if link.state != "live":
            yield False, link.reason
            return
        for source in link.sources():
            yield True, f"It sees the view {source.name!r}, {source.shape} {source.dtype}."
        for name, rectangle in link.rois().items():
            top, left, bottom, right = rectangle
            yield True, f"It sees the ROI {name!r}: rows {top} to {bottom}, columns {left} to {right}."
        try:
            first = link.next(FRAMES_SECONDS)
        except TimeoutError as error:
            yield False, f"{error} Is the live view running? Start View in DigitalMicrograph."
            return
        yield True, f"A frame came: {first!r}."
        try:
            second = link.next(FRAMES_SECONDS)
        except TimeoutError:
            advice = "Start View in DigitalMicrograph, or run the companion with the live view in front."
            yield False, f"No second frame came within {FRAMES_SECONDS:g} s: the image stands still. {advice}"
            return
        yield True, f"Another one came after {second.time - first.time:.3f} s: all is well."
