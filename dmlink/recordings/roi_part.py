"""RoiPart: the pixels of one ROI in every frame of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.recordings.recording import Composed, Recording, recalibrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmlink.frame import Frame, Roi


class RoiPart(Composed):
    """A recording of whole frames, cut to an ROI: a cell gets what it would have got live on that ROI.

    Parameters
    ----------
    whole : Recording
        The frames; it stays open as long as this is used.
    roi : str or Roi
        The name of an ROI that was recorded with the frames, which may move but not change its size; or a
        rectangle in pixels of the frames, with or without a mask (`Roi.around`).

    Raises
    ------
    ValueError
        If the first frame has no ROI of that name.
    """

    def __init__(self, whole: Recording, roi: str | Roi) -> None:
        self._whole, self._roi = whole, roi
        first = whole[0]
        place = self._place(first)
        self._size = place.shape
        super().__init__(
            whole.path,
            (len(whole), *self._size),
            whole.dtype,
            name=whole.name,
            y=whole.y.part(place.top),
            x=whole.x.part(place.left),
            times=whole.times if whole.timed else None,
            fps=whole.fps,
            dimensions=whole.dimensions,
            tags=whole.tags,
            notes=whole.notes,
        )
        self.options = {**whole.options, "roi": roi if isinstance(roi, str) else [*roi, roi.outline]}

    def files(self) -> Iterator[Any]:
        """Yield the files of the whole recording."""
        yield from self._whole.files()

    def _where(self, i: int) -> tuple[Recording, int]:
        return self._whole, i

    @property
    def logs(self) -> dict[str, np.ndarray]:
        """Those of the whole frames; see `Recording.logs`."""
        return self._whole.logs

    def _read(self, i: int) -> np.ndarray:
        frame = self._whole[i]
        place = self._place(frame)
        if place.shape != self._size:
            now, before = (f"{h} x {w}" for h, w in (place.shape, self._size))
            raise ValueError(f"The ROI {self._roi!r} is {now} in frame {i} of {self.name}, but was {before}.")
        return np.ascontiguousarray(frame.data[place.top : place.bottom, place.left : place.right])

    def _frame(self, data: np.ndarray, i: int) -> Frame:
        whole = super()._frame(data, i)
        return whole.within(self._place(whole), data)

    def _place(self, frame: Frame) -> Roi:
        """Return where the ROI is in a frame, in pixels of the frame."""
        roi = self._roi
        if isinstance(roi, str):
            if roi not in frame.rois:
                known = ", ".join(map(repr, frame.rois)) or "none"
                raise ValueError(
                    f"Frame {frame.index} of {frame.source} has no ROI {roi!r}; available: {known}. A "
                    "rectangle can be given instead: top, left, bottom, right."
                )
            roi = frame.rois[roi]
        return roi.clamped(self._whole.shape[1:])

    def __reduce__(self) -> tuple[Any, ...]:
        return _part_again, (self._whole, self._roi, self._calibration)


def _part_again(whole: Recording, roi: str | Roi, calibration: dict[str, Any]) -> Recording:
    part = RoiPart(whole, roi)
    recalibrate(part, calibration)
    return part
