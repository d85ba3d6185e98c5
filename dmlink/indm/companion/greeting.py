"""Greeting: one line that says what the companion has found, once it knows the camera's rate."""

from __future__ import annotations

import sys

from dmlink.indm.companion.view import View

GREET_SECONDS = 3.0  # time for which frames are counted; long enough to notice that no events arrive
PASTE = 'Paste the line above into dmlink.connect("..."); on this computer dmlink.connect() is enough.'


class Greeting:
    """The line printed once, `GREET_SECONDS` after the start."""

    def __init__(self, gms: tuple[int, ...], now: float) -> None:
        numbers = ".".join(str(n) for n in gms)
        self._versions = f"GMS {numbers or 'of unknown version'}, Python {sys.version.split()[0]}"
        self._start = now
        self._first: tuple[int, int, float] | None = None  # the view's ID, its frame number, time
        self._said = False

    def look(self, view: View | None, now: float, fault: str = "") -> None:
        """Look at the default view; `now` is from `time.monotonic`, `fault` why there is none."""
        if self._said:
            return
        if view is not None and (self._first is None or self._first[0] != view.id):
            self._first, self._start = (view.id, view.index, now), now
        if now - self._start < GREET_SECONDS:
            return
        self._said = True
        print(f"dmlink: {self._found(view, now, fault)} {PASTE}", flush=True)

    def _found(self, view: View | None, now: float, fault: str) -> str:
        if fault and view is None:
            return f"ready with {self._versions}, but no image can be streamed ({fault})."
        if view is None or self._first is None:
            return f"ready with {self._versions}; no image is open: start View."
        h, w = view.shape[:2]
        rate = (view.index - self._first[1]) / (now - self._first[2])
        at = f"{rate:.3g} frames/s" if rate else "not changing (start View for live frames)"
        return f"streaming {view.name!r} ({h} x {w} pixels), {at}, with {self._versions}."
