"""Dose: electrons per area that the sample has received, added up from the frames and logged on the link."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from dmlink.frame import Frame
    from dmlink.link.link import Link

NAME, RATE, UNIT = "dose", "dose rate", "e/A^2"
IN_ANGSTROM = {"nm": 10.0, "um": 1e4, "µm": 1e4, "A": 1.0, "Å": 1.0, "pm": 0.01}
MOST_RATE = 10.0  # frames per second; more are not evaluated
LONGEST_GAP = 2.0  # s; a longer gap between frames is not counted, because the beam is unknown


class Dose:
    """Adds up the dose of a link's frames; returned by `dmlink.log_dose`. A context manager.

    Attributes
    ----------
    total : float
        Electrons per square angstrom since its start.
    reason : str
        Why nothing is added; empty if everything works.
    """

    def __init__(self, link: Link, counts_per_electron: float, pixel: float | None) -> None:
        for name, value in (("counts_per_electron", counts_per_electron), ("pixel", pixel)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}={value!r}: it must be a positive number.")
        self.total = 0.0
        self.reason = "No frame has arrived yet."
        self._link, self._gain, self._pixel = link, counts_per_electron, pixel
        self._last: float | None = None  # when the last frame was taken
        self._seen: tuple[int, str] | None = None  # its number and source
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dmlink-dose", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop adding; the logs stay."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Dose: {self.total:.4g} {UNIT}{'; ' + self.reason if self.reason else ''}>"

    def add(self, frame: Frame) -> None:
        """Add a frame, whose rate counts for the time since the previous one; a still image counts once."""
        if (frame.index, frame.source) == self._seen:
            return
        self._seen = frame.index, frame.source
        area, exposure = self._area(frame), float(frame.tags.get("exposure") or 0.0)
        if not area:
            self.reason = f"The pixels are in {frame.x.unit!r}: give pixel=, their size in angstroms."
            return
        if not exposure > 0:
            self.reason = "The frame's tags have no exposure, so the dose rate is unknown."
            return
        with np.errstate(invalid="ignore"):
            rate = float(np.nanmean(frame.data)) / self._gain / area / exposure
        if not math.isfinite(rate):
            self.reason = f"Frame {frame.index} has no finite mean."
            return
        self.reason = ""
        step = frame.time - self._last if self._last is not None else exposure
        self._last = frame.time
        if 0 < step <= max(LONGEST_GAP, 2 * exposure):
            self.total += rate * step
        self._link.log(RATE, rate, f"{UNIT}/s", time=frame.time)
        self._link.log(NAME, self.total, UNIT, time=frame.time)

    def _area(self, frame: Frame) -> float:
        """Return the area of a pixel in square angstroms; 0 if unknown."""
        if self._pixel:
            return self._pixel**2
        scales = [abs(axis.scale) * IN_ANGSTROM.get(axis.unit, 0.0) for axis in (frame.y, frame.x)]
        return scales[0] * scales[1]

    def _run(self) -> None:
        reader = self._link.reader()
        while not self._closing.is_set():
            try:
                self.add(reader.next(0.2))
            except TimeoutError:
                continue
            except (ConnectionError, ValueError) as error:
                self.reason = str(error)
                return
            self._closing.wait(1 / MOST_RATE)


def log_dose(link: Link, counts_per_electron: float, *, pixel: float | None = None) -> Dose:
    """Log the dose of a live view: `info.log["dose"]` in e/A^2, added up, and `info.log["dose rate"]`.

    The rate is the frame's mean divided by counts per electron, pixel area and exposure. It counts for the
    time from one frame to the next; gaps of more than 2 s are left out.

    Parameters
    ----------
    link : Link
    counts_per_electron : float
        The camera's counts per electron (gain and quantum efficiency) at this high tension.
    pixel : float, optional
        Pixel size on the sample in angstroms; by default from the frames' calibration.

    Raises
    ------
    ValueError
        If a number is not positive.
    """
    return Dose(link, counts_per_electron, pixel)
