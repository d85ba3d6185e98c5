"""Diagnosis: why no frames arrive. Checks one thing after another, with advice for each."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from dmlink.link import endpoint as endpoints
from dmlink.link.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_SECONDS = 20.0  # even a still image is sent, but DigitalMicrograph may be busy
NEXT_SECONDS = 5.0


def examine(endpoint: str | endpoints.Endpoint | None, roi: str | None = None) -> Iterator[tuple[bool, str]]:
    """Yield (ok, finding) for each check, from the network to the frames; stop at the first that fails."""
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
        advice = "Is dm_companion.py still running? If DM is on another computer: is the SSH tunnel up?"
        yield False, f"Nothing listens at {found.address} ({error}). {advice}"
        return
    yield True, "Something listens there."
    try:
        link = Link(found, roi=roi)
    except (ConnectionError, ValueError) as error:
        yield False, str(error)
        return
    with link:
        yield True, "It is a companion, and the token is correct."
        if link.state != "live":
            yield False, link.reason
            return
        for source in link.sources():
            yield True, f"It has the view {source.name!r}, {source.shape} {source.dtype}."
        for name, rectangle in link.rois().items():
            top, left, bottom, right = rectangle
            yield True, f"It has the ROI {name!r}: rows {top} to {bottom}, columns {left} to {right}."
        try:
            first = link.next(FIRST_SECONDS)
        except TimeoutError as error:
            yield False, f"{error} Is the live view running? Start View in DigitalMicrograph."
            return
        yield True, f"A frame arrived: {first!r}."
        try:
            second = link.next(NEXT_SECONDS)
        except TimeoutError:
            advice = "Start View in DigitalMicrograph, or run the companion with the live view in front."
            yield False, f"No second frame within {NEXT_SECONDS:g} s: the image does not change. {advice}"
            return
        yield True, f"The next one arrived {second.time - first.time:.3f} s later: everything works."
