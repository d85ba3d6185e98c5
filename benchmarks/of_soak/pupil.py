"""Pupil: what a notebook of the class has counted."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import dmlink
from dmlink.cell.live_cell import live_cells

from .accounts import cell_account, link_account, recorder_account

if TYPE_CHECKING:
    from os import PathLike

LATEST, LOSSLESS = "latest", "lossless"  # its cells


class Follower:
    """A thread that counts the frames of a recording while it is written."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.count = 0
        self._frames = dmlink.follow(path)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        for _ in self._frames:
            self.count += 1


def counts(names: dict[str, Any]) -> str:
    """Return, as JSON, the counts of this notebook."""
    link, look_back = names["link"], names["look_back"]
    recorder, follower = names.get("recorder"), names.get("follower")
    cells = {cell.name: cell for cell in live_cells()}
    accounts = [
        link_account("link", link),
        cell_account("cell, latest", cells[LATEST], link),
        cell_account("cell, lossless", cells[LOSSLESS], link),
        *([recorder_account("recorder", recorder, link)] if recorder else []),
    ]
    kept = [frame.index for frame in look_back.frames] if look_back.first is not None else []
    return json.dumps(
        {
            "totals": {account.name: account.total() for account in accounts},
            "lost": cells[LOSSLESS].stats.dropped + (recorder.dropped if recorder else 0),
            "events": cells[LOSSLESS].event_count,
            "clips": len(cells[LOSSLESS].clips),
            "errors": sum(cell.stats.errors for cell in cells.values()),
            "unsure": link.stats.unsure,
            "dropped": link.stats.dropped,  # the link sends the newest frame, so a busy computer drops some
            "gaps": kept[-1] - kept[0] + 1 - len(kept) if kept else 0,  # in the look-back
            "recorded": recorder.frames if recorder else 0,
            "followed": follower.count if follower else 0,
        }
    )
