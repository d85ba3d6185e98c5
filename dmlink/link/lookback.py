"""Look-back: the last seconds of a link, kept in memory, so that the moment before can be saved."""

from __future__ import annotations

import collections
import itertools
import math
import time
from typing import TYPE_CHECKING, Any, Self

from dmlink.link.packed_frames import KeptFrame, Packer
from dmlink.recordings.in_memory import FramesInMemory

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from pathlib import Path

    from dmlink.frame import Frame
    from dmlink.link.delivery import Delivery
    from dmlink.recordings.recording import Recording

REST = 2.0  # times as long as the last frame took to save
LONGEST_REST = 0.1  # s


class Lookback:
    """The frames of the last seconds; made by `link.lookback()`. A context manager, which closes it.

    It keeps the frames that arrive anyway, in the memory into which they were received. If nobody else reads
    from the link, it requests frames itself. A frame with another shape, data type or source, or from a
    restarted companion, empties it first.

    Parameters
    ----------
    delivery : Delivery
        The link's delivery.
    seconds : float
        How far back it reaches.
    memory : int
        Bytes that it may use; the oldest frames are dropped first.
    compress : bool
        Whether frames are compressed (Blosc, LZ4) shortly after they arrive: more of them fit, but each must
        be decompressed when it is used.
    on_close : callable
        Called when it is closed.

    Attributes
    ----------
    first, last : int or None
        Numbers of the oldest and the newest frame; None if there is none.
    seconds : float
        Time between these two.
    bytes : int
        Memory that the frames take.
    reason : str
        Why less is kept than was requested; empty if nothing is missing.

    Raises
    ------
    ValueError
        If `seconds` or `memory` is not a positive number.
    """

    def __init__(
        self,
        delivery: Delivery,
        seconds: float,
        memory: int,
        on_close: Callable[[], None] = lambda: None,
        *,
        compress: bool = False,
    ) -> None:
        for name, value in (("seconds", seconds), ("memory", memory)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name}={value!r}: a look-back needs a positive number.")
        self._delivery = delivery
        self._changed = delivery.status.changed
        self._limits = seconds, memory
        self._on_close = on_close
        self._kept: collections.deque[KeptFrame] = collections.deque()
        self._newest: Frame | None = None
        self._to_pack: collections.deque[KeptFrame] = collections.deque()
        self._bytes = 0
        self._short = False  # the memory is used up before the seconds are
        self._too_large = 0  # bytes of a frame that does not fit at all
        self._closed = False
        self._compress = compress
        with self._changed:
            if delivery.newest:
                self.put(delivery.newest)
            delivery.add(self)
        self._packer = Packer(self._next_to_pack, self._take_packed) if compress else None

    @property
    def first(self) -> int | None:  # noqa: D102 - among the attributes
        with self._changed:
            return self._kept[0].index if self._kept else None

    @property
    def last(self) -> int | None:  # noqa: D102
        with self._changed:
            return self._kept[-1].index if self._kept else None

    @property
    def newest(self) -> Frame | None:
        """The newest frame."""
        with self._changed:
            return self._newest

    @property
    def seconds(self) -> float:  # noqa: D102
        with self._changed:
            return self._kept[-1].time - self._kept[0].time if self._kept else 0.0

    @property
    def bytes(self) -> int:  # noqa: D102
        with self._changed:
            return self._bytes

    @property
    def missing(self) -> int:
        """Frames of the source between `first` and `last` that the link did not receive."""
        with self._changed:
            return self._kept[-1].index - self._kept[0].index + 1 - len(self._kept) if self._kept else 0

    @property
    def reason(self) -> str:  # noqa: D102 - among the attributes
        seconds, memory = self._limits
        with self._changed:
            if self._too_large:
                return (
                    f"A frame takes {self._too_large / 1e6:.4g} MB, but the look-back has only "
                    f"{memory / 1e6:.4g} MB; give it more (memory={self._too_large * 10}), or use an ROI."
                )
            if self._short:
                kept = self._kept[-1].time - self._kept[0].time if self._kept else 0.0
                return (
                    f"{memory / 1e6:.4g} MB hold {kept:.1f} of {seconds:.4g} s; give the look-back more "
                    "memory, or use an ROI."
                )
            return ""

    @property
    def frames(self) -> Recording:
        """The frames kept at this moment, as a recording; they stay in memory as long as it is in use.

        Raises
        ------
        ValueError
            If there are none yet.
        """
        with self._changed:
            kept = tuple(self._kept)
        if not kept:
            raise ValueError(f"The look-back holds no frame. {self._why_empty()}")
        return FramesInMemory(kept)

    def frame(self, index: int, when: float) -> Frame | None:
        """Return the frame with this number that was taken at `when` (s), if it is still kept."""
        with self._changed:
            found = (one for one in reversed(self._kept) if one.index == index and one.time == when)
            kept = next(found, None)
        return kept.frame if kept else None

    def nearest(self, time: float) -> Frame | None:
        """Return the frame taken nearest to that time (s); None if nothing is kept."""
        with self._changed:
            kept = min(self._kept, key=lambda one: abs(one.time - time), default=None)
        return kept.frame if kept else None

    def after(self, index: int | None, since: float) -> tuple[Frame, ...]:
        """Return the frames after number `index` that were taken at `since` (s) or later, oldest first."""
        with self._changed:
            newer = itertools.takewhile(
                lambda frame: frame.time >= since and (index is None or frame.index > index),
                reversed(self._kept),
            )
            found = tuple(newer)[::-1]
        return tuple(kept.frame for kept in found)

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the frames kept now as a recording; return its path. The look-back keeps running.

        It pauses twice as long as it works, so that cells and views stay nearly as fast.

        Raises
        ------
        ValueError
            If nothing is kept, or the disk is nearly full.
        FileExistsError
            If there is something at `path`, unless it is a dmlink recording and `overwrite` is set.
        OSError
            If it cannot be written; the frames written until then are a complete recording.
        """
        from dmlink.recordings.writing.frame_writer import FrameWriter  # noqa: PLC0415 - zarr takes 0.2 s

        frames = self.frames
        writer = FrameWriter(path, overwrite=overwrite)
        try:
            for frame in frames:
                began = time.perf_counter()
                writer.write(frame)
                time.sleep(min(REST * (time.perf_counter() - began), LONGEST_REST))
        except ValueError as error:
            raise ValueError(f"{error} {writer.frames} frames are kept in {writer.path}.") from None
        finally:
            writer.close()
        return writer.path

    def close(self) -> None:
        """Release the frames."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._delivery.remove(self)  # first: no frame comes after the others are gone
            self._clear()
            self._changed.notify_all()
        if self._packer:
            self._packer.join()
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        with self._changed:
            n = len(self._kept)
        return f"<Lookback: {n} frames, {self.seconds:.1f} s, {self.bytes / 1e6:.0f} MB>"

    # For the delivery, which holds the condition

    @property
    def room(self) -> int:
        """A large number: there is always room, because the oldest frames make it."""
        return self._limits[1]

    def put(self, frame: Frame) -> None:
        """Keep a frame; drop those that are too old or no longer fit."""
        seconds, memory = self._limits
        newest = self._newest
        if newest and frame.index == newest.index and frame.data.shape == newest.data.shape:
            return  # a still image, sent again
        if newest and not _continues(frame, newest):
            self._clear()
        kept = KeptFrame(frame)
        size = kept.size
        self._too_large = size if size > memory else 0
        if self._too_large:
            self._clear()
            return
        while self._bytes + size > memory:
            self._let_go()
            self._short = True
        self._kept.append(kept)
        self._newest = frame
        self._bytes += size
        if self._compress:
            self._to_pack.append(kept)
        while frame.time - self._kept[0].time > seconds:
            self._let_go()
            self._short = False

    def _let_go(self) -> None:
        kept = self._kept.popleft()
        self._bytes -= kept.size
        if self._to_pack and self._to_pack[0] is kept:
            self._to_pack.popleft()

    def _clear(self) -> None:
        self._kept.clear()
        self._to_pack.clear()
        self._newest = None
        self._bytes = 0
        self._short = False

    # The packer's thread

    def _next_to_pack(self) -> KeptFrame | None:
        """Return the oldest frame that is not packed, but not the newest one, which cells still use."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._to_pack) > 1)
            return None if self._closed else self._to_pack.popleft()

    def _take_packed(self, kept: KeptFrame, data: Any) -> None:
        with self._changed:
            gone = not self._kept or kept.index < self._kept[0].index or kept.time < self._kept[0].time
            if data is not None and not gone:
                self._bytes -= kept.pack(data)

    def _why_empty(self) -> str:
        if self._closed:
            return "It is closed; make another one: link.lookback()."
        return self.reason or self._delivery.status.reason or "None has arrived yet; wait for the first one."


def _continues(frame: Frame, newest: Frame) -> bool:
    """Return whether a frame fits into the same recording as the previous one."""
    return (
        frame.index > newest.index
        and frame.time >= newest.time
        and frame.data.shape == newest.data.shape
        and frame.data.dtype == newest.data.dtype
        and frame.source == newest.source
    )
