"""ReplayBar: play, pause, step and scrub through a recording that is played as a live view."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink_widgets import text
from dmlink_widgets.panel import Panel
from dmlink_widgets.toolbar import button, toggle, toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.frame import Frame
    from dmlink.replay import Replay

SPEEDS = {"1/10": 0.1, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "5": 5.0, "10": 10.0, "fastest": math.inf}


class ReplayBar(Panel):
    """Controls a Replay and follows it, whoever else controls it.

    Parameters
    ----------
    replay : Replay
        Made by `dmlink.replay`.
    """

    def __init__(self, replay: Replay) -> None:
        super().__init__()
        self.replay = replay
        self._shown: dict[str, Any] = {}  # by control: what was set because the replay is so
        self._unwatch: Callable[[], None] | None = None
        self._play = toggle("play", "Play, or pause", lambda _: None)
        self._loop = toggle("repeat", "Begin again at the end", lambda _: None)
        self._slider = ipywidgets.IntSlider(
            min=0, max=max(0, len(replay) - 1), readout=False, layout={"width": "260px"}, tooltip="Frame"
        )
        self._speed = ipywidgets.Dropdown(
            options=SPEEDS, value=1.0, tooltip="Speed", layout={"width": "84px"}
        )
        self._place = ipywidgets.HTML()
        self._error = ipywidgets.HTML()
        for name, control in self._controls.items():
            control.observe(lambda change, name=name: self._set(name, change["new"]), "value")
        row = toolbar(
            button("step-backward", "One frame back", lambda: self._ask(lambda: replay.step(-1))),
            self._play,
            button("step-forward", "One frame on", lambda: self._ask(replay.step)),
            self._slider,
            self._loop,
            self._speed,
            self._place,
        )
        self.open([row, self._error])

    def age_of(self, frame: Frame) -> float:
        """Return how old a frame is now, in seconds."""
        return self.replay.link.age(frame)

    def in_page(self, there: bool) -> None:
        """Follow the replay while a page has the bar."""
        if self._unwatch:
            self._unwatch()
        self._unwatch = self.replay.link.watch(self.changed) if there else None
        super().in_page(there)

    def draw(self, *, small: bool) -> Frame | None:  # noqa: ARG002 - it is small
        """Show where the replay is."""
        self._ask(self._follow)
        return None

    def draw_status(self) -> None:
        """Show where the replay is, also while no frames come."""
        self._ask(self._follow)

    def close(self) -> None:
        """Take the bar out of the notebook; the replay goes on."""
        self.in_page(there=False)
        super().close()

    @property
    def _controls(self) -> dict[str, Any]:
        return {"playing": self._play, "loop": self._loop, "position": self._slider, "speed": self._speed}

    def _follow(self) -> None:
        replay = self.replay
        for name, control in self._controls.items():
            value = getattr(replay, name)
            if name == "speed":
                value = math.inf if value is None else value
                if value not in SPEEDS.values():
                    continue
            if control.value != value:
                self._shown[name] = value
                control.value = value
        self._play.icon = "pause" if self._play.value else "play"
        last = len(replay) - 1
        self._place.value = text.facts(
            ("frame", f"{self._slider.value} of {last}", 2 * len(str(last)) + 4),
            ("", f"{replay.time:.3f} s", 9),
        )

    def _set(self, name: str, value: Any) -> None:
        """Do what the user has set; not what was set to show how the replay is."""
        if name in self._shown and self._shown.pop(name) == value:
            return
        if name == "playing":
            self._ask(self.replay.play if value else self.replay.pause)
        elif name == "position":
            self._ask(lambda: self.replay.seek(int(value)))
        elif name == "speed":
            self._ask(lambda: setattr(self.replay, name, None if value == math.inf else value))
        else:
            self._ask(lambda: setattr(self.replay, name, value))

    def _ask(self, call: Callable[[], None]) -> None:
        try:
            call()
        except (OSError, ValueError, IndexError) as error:
            self._error.value = text.error(str(error))
        else:
            self._error.value = ""
