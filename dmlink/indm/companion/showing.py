"""Results that links show in DigitalMicrograph: the newest of each, as fast as DM can draw."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from dmlink.indm.companion.window import ResultWindow
from dmlink.indm.info import Axis
from dmlink.indm.protocol import MAX_NAME, RefusedError, is_name, pixels
from dmlink.indm.results import Drawn, Image, Profile, Scalar

REST = 4.0  # after a drawing, DM gets this many times as long to itself
SHORTEST_REST = 0.05  # s
MAX_WINDOWS = 32


class Showing:
    """The windows of the results; used only by the script's loop."""

    def __init__(self) -> None:
        self._windows: dict[str, ResultWindow] = {}
        self._newest: dict[str, Drawn] = {}  # not drawn yet
        self._not_before = 0.0  # perf_counter

    def take(self, header: dict[str, Any], payload: Any) -> None:
        """Accept a SHOW message; it is drawn when there is time.

        Raises
        ------
        RefusedError
            If the result cannot be shown, or there are too many.
        """
        name = _name(header)
        result = unpacked(header, payload)
        if name not in self._windows:
            if len(self._windows) >= MAX_WINDOWS:
                raise RefusedError(f"{MAX_WINDOWS} results are shown already; hide some of them first.")
            self._windows[name] = ResultWindow(_ascii(name))
        window = self._windows[name]
        if not window.closed:
            window.take(result)
            self._newest[name] = result

    def hide(self, header: dict[str, Any]) -> None:
        """Close the window of that name."""
        name = _name(header)
        self._newest.pop(name, None)
        window = self._windows.pop(name, None)
        if window:
            window.close()

    @property
    def waiting(self) -> bool:
        """Whether there is something to draw."""
        return bool(self._newest)

    @property
    def rest(self) -> float:
        """Seconds until DM has had enough time since the last drawing."""
        return max(0.0, self._not_before - time.perf_counter())

    def tidy(self) -> None:
        """Let DM free the images of windows that the user has closed."""
        for window in self._windows.values():
            if window.closed:
                window.release()

    def release(self) -> None:
        """Release all windows; they stay open."""
        for window in self._windows.values():
            window.release()
        self._newest.clear()

    def draw(self) -> None:
        """Draw one result, if there is one and DM has had enough time since the last."""
        began = time.perf_counter()
        if not self._newest or began < self._not_before:
            return
        name = next(iter(self._newest))
        result = self._newest.pop(name)
        try:
            self._windows[name].draw(result)
        except RuntimeError as error:  # its window is given up, so this is printed once
            print(f"dmlink: {_ascii(name)} cannot be shown here: {error}")
        finally:
            now = time.perf_counter()
            self._not_before = now + max(SHORTEST_REST / len(self._windows), REST * (now - began))


def unpacked(header: dict[str, Any], payload: Any) -> Drawn:
    """Return the result in a SHOW message.

    Raises
    ------
    RefusedError
        If it contains none.
    """
    shape, dtype = pixels(header, len(payload))
    values: Any = np.frombuffer(payload, dtype).reshape(shape)
    kind, unit = header.get("kind"), str(header.get("value_unit", ""))
    try:
        if kind == "scalar":
            names = [str(name) for name in header["names"]]
            if values.ndim != 1 or len(names) != len(values) or len(set(names)) != len(names):
                raise ValueError(f"{len(names)} names for values of shape {shape}")  # noqa: TRY301
            return Scalar(dict(zip(names, values.tolist())), unit)
        x = Axis(*_axis(header["x"]))
        if kind == "profile":
            return Profile(values, x.scale, x.origin, x.unit, unit)
        if kind == "image":
            y = Axis(*_axis(header["y"]))
            image = Image(values, x.scale, (y.origin, x.origin), x.unit)
            image.y = y
            return image
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"This is not a {kind!r:.50} that can be shown: {error!r}.") from None
    raise RefusedError(f"A result of kind {kind!r:.50} cannot be shown in DigitalMicrograph.")


def _axis(fields: Any) -> tuple[float, float, str]:
    origin, scale, unit = fields
    return float(origin), float(scale), str(unit)


def _name(header: dict[str, Any]) -> str:
    name = header.get("name")
    if not is_name(name):
        raise RefusedError(
            f"The name of a shown result must have 1 to {MAX_NAME} printable characters, not {name!r:.100}."
        )
    return str(name)


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode("ascii")
