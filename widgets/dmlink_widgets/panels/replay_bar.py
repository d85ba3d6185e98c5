"""ReplayBar: play, pause, step and scrub through a recording played as a live view."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ipywidgets

from dmlink_widgets.controls import html_text
from dmlink_widgets.controls.toolbar import button, toggle, toolbar
from dmlink_widgets.drawing.prints import Print
from dmlink_widgets.pacing.round import Html
from dmlink_widgets.panels.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.playback import Replay

SPEEDS = {"1/10": 0.1, "1/4": 0.25, "1/2": 0.5, "1": 1.0, "2": 2.0, "5": 5.0, "10": 10.0, "fastest": math.inf}


class ReplayBar(Panel):
    """Controls a Replay, and stays up to date when it is controlled from elsewhere.

    Parameters
    ----------
    replay : Replay
        Made by `dmlink.replay`.
    """

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay.link.age)
        self.replay = replay
        self._fault = ""  # why a frame was left out
        self._following: dict[str, Any] = {}  # by control: the value set by the replay rather than the user
        self._unwatch: Callable[[], None] | None = None
        self._play = toggle("play", "Play or pause", lambda _: None)
        self._loop = toggle("repeat", "Loop: start again at the end", lambda _: None)
        self._slider = ipywidgets.IntSlider(
            min=0, max=max(0, len(replay) - 1), readout=False, layout={"width": "260px"}, tooltip="Frame"
        )
        self._speed = ipywidgets.Dropdown(
            options=SPEEDS, value=1.0, tooltip="Speed", layout={"width": "84px"}
        )
        self._place = Html()
        self._error = Html()
        for name, control in self._controls.items():
            control.observe(lambda change, name=name: self._set(name, change["new"]), "value")
        row = toolbar(
            button("step-backward", "Previous frame", lambda: self._request(lambda: replay.step(-1))),
            self._play,
            button("step-forward", "Next frame", lambda: self._request(replay.step)),
            self._slider,
            self._loop,
            self._speed,
            self._place,
        )
        self.fill([row, self._error])

    def in_page(self, there: bool) -> None:
        """Start or stop updating, as a page begins or stops showing the bar."""
        if self._unwatch:
            self._unwatch()
        self._unwatch = self.replay.link.watch(self.changed) if there else None
        super().in_page(there)

    def draw_status(self) -> None:
        """Show the state of the replay."""
        self._request(self._follow)

    def printed(self) -> Print:
        """Return the position in the recording."""
        return Print("Replay", [f"frame {self.replay.position} of {len(self.replay) - 1}"])

    def close(self) -> None:
        """Remove the bar from the notebook; the replay continues."""
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
                self._following[name] = value
                control.value = value
        self._play.icon = "pause" if self._play.value else "play"
        last = len(replay) - 1
        times = replay.recording.times
        self._fault = replay.fault
        self._place.value = html_text.status(
            ("frame", f"{self._slider.value} of {last}", 2 * len(str(last)) + 4),
            ("", f"{times[self._slider.value] - times[0]:.3f} s", 9),
        )

    def _set(self, name: str, value: Any) -> None:
        """Apply what the user has set; ignore values set by the replay itself."""
        if name in self._following and self._following.pop(name) == value:
            return
        if name == "playing":
            self._request(self.replay.play if value else self.replay.pause)
        elif name == "position":
            self._request(lambda: self.replay.seek(int(value)))
        elif name == "speed":
            self._request(lambda: setattr(self.replay, name, None if value == math.inf else value))
        else:
            self._request(lambda: setattr(self.replay, name, value))

    def _request(self, call: Callable[[], None]) -> None:
        try:
            call()
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            self._error.value = html_text.error(str(error))
        else:
            self._error.value = html_text.error(self._fault)
