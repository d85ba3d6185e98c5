"""Requests: everything but frames that a link asks of DigitalMicrograph: views, ROIs, showing results."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink.frame import MaskedRoi, Roi
from dmlink.indm import protocol
from dmlink.indm.outline import checked_outline
from dmlink.link import show_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Line
    from dmlink.link.status import Status

ANSWER_SECONDS = 2.0  # how long to wait for the companion's answer


class Source(NamedTuple):
    """A view that the companion can send: its name, its id in DM, shape (h, w) and data type."""

    name: str
    id: int
    shape: tuple[int, ...]
    dtype: str


class Requests:
    """Sends requests to the companion and keeps its newest answers.

    Parameters
    ----------
    status : Status
        The link's status.
    send : callable
        Sends (kind, header) or (kind, header, payload) over the present connection; raises ConnectionError
        if there is none.
    """

    def __init__(self, status: Status, send: Callable[..., None]) -> None:
        self._status = status
        self._send = send
        self.rois: dict[str, Roi] = {}
        self._some_rois: dict[str, Roi] = {}  # part of a list that is still arriving
        self._drawn: set[str] = set()  # ROIs that we asked for and DM may not have yet
        self.known_sources: tuple[Source, ...] = ()
        self._some_sources: tuple[Source, ...] = ()
        self._refused: dict[str, str] = {}  # reason, by name of the result
        self._asked = self._answered = 0  # requests for the sources

    def sources(self) -> tuple[Source, ...]:
        """Ask for the current views; without an answer, return those known before."""
        changed = self._status.changed
        with changed:
            self._asked += 1
            wanted = self._asked
        with contextlib.suppress(OSError):
            self._send(protocol.SOURCES, {})
            with changed:
                changed.wait_for(
                    lambda: self._answered >= wanted or self._status.state in {"lost", "closed"},
                    ANSWER_SECONDS,
                )
        return self.known_sources

    def set_roi(self, name: str, roi: Roi) -> None:
        """Move the ROI `name`, or create it; raises the same errors as `Link.set_roi`."""
        _check_name(name, "an ROI")
        header: dict[str, Any] = {"name": name, "rectangle": [_whole(v) for v in roi]}
        if roi.outline:
            header["outline"] = list(roi.outline)
        self._send(protocol.ROI, header)
        self._drawn.add(name)

    def remove_roi(self, name: str) -> None:
        """Delete the ROI `name`; raises the same errors as `Link.remove_roi`."""
        if name not in self.rois and name not in self._drawn:
            known = ", ".join(repr(n) for n in self.rois) or "none"
            raise ValueError(f"There is no ROI named {name!r} on the view; available: {known}.")
        self._send(protocol.ROI, {"name": name, "rectangle": None})
        self._drawn.discard(name)

    def set_line(self, line: Line | None) -> None:
        """Move the line, or draw it; None deletes it. Raises the same errors as `Link.set_line`."""
        if line is not None and not all(map(math.isfinite, line)):
            raise ValueError(f"A line must be two points in finite numbers of pixels, not {line!r}.")
        self._send(protocol.ROI, {"line": None if line is None else [float(v) for v in line]})

    def show(self, name: str, result: Any) -> None:
        """Show a result in a window; raises the same errors as `Link.show`."""
        _check_name(name, "a shown result")
        if name in self._refused:
            raise ValueError(self._refused.pop(name))
        header, payload = show_message.packed(name, result)
        self._send(protocol.SHOW, header, payload)

    def hide(self, name: str) -> None:
        """Close the window that `show` opened."""
        _check_name(name, "a shown result")
        self._send(protocol.HIDE, {"name": name})

    def take_rois(self, header: dict[str, Any]) -> None:
        """Handle a message with the view's current ROIs, or with a part of the list."""
        rois = {name: Roi(*map(int, rectangle)) for name, rectangle in header["rois"].items()}
        for name, outline in header.get("outlines", {}).items():
            rois[name] = MaskedRoi(*rois[name], outline=checked_outline(*outline))
        self._some_rois = {**self._some_rois, **rois} if header.get("continued") else rois
        if not header.get("more"):
            self.rois = self._some_rois
            self._drawn -= set(self.rois)

    def take_sources(self, header: dict[str, Any], *, answer: bool = True) -> None:
        """Handle a message with the current views, or with a part of the list.

        `answer` says whether it answers a request.
        """
        sources = tuple(
            Source(str(s["name"]), int(s["id"]), tuple(map(int, s["shape"])), str(s["dtype"]))
            for s in header["sources"]
        )
        self._some_sources = (*self._some_sources, *sources) if header.get("continued") else sources
        if not header.get("more"):
            with self._status.changed:
                self.known_sources = self._some_sources
                # on a new connection, earlier requests are answered no more
                self._answered = self._answered + 1 if answer else self._asked
                self._status.changed.notify_all()

    def take_refusal(self, header: dict[str, Any]) -> None:
        """Note that the companion refused a message; the connection stays open."""
        text = str(header.get("text"))
        if header.get("about") == protocol.SHOW:
            self._refused[str(header.get("name"))] = text
        self._status.set(self._status.state, text)


def _check_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not protocol.is_name(name):
        raise ValueError(
            f"{name!r:.50} cannot name {what}: use 1 to {protocol.MAX_NAME} characters, without control "
            "characters or lone surrogates."
        )


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise ValueError(f"ROI edges must be finite numbers of pixels, not {value!r}.")
    return int(value)
