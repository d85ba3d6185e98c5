"""Following: a recording read while it is written, every frame once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmlink.growing.growth import Growth
from dmlink.growing.reader import FrameReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from dmlink.frame import Frame
    from dmlink.growing.link import FollowedLink


class Following(Growth):
    """A growing recording; made by `dmlink.follow`. An iterator over its frames, and a context manager.

    Frames have the same numbers, times and calibration as with `dmlink.open`. Each comes once, in order,
    when it is complete on disk; a frame that cannot be read is listed in `bad` and left out.

    Attributes
    ----------
    path : pathlib.Path
        Where the recording is, or will be.
    newest_first : bool
        Whether readers get the newest frame first, and earlier ones when there is no newer one.
    idle : float or None
        Seconds without a new frame after which it counts as finished; None: never.
    bad : dict of int to str
        Numbers of the frames that cannot be read, and why.
    """

    def __init__(
        self, path: str | PathLike[str], *, newest_first: bool = False, idle: float | None = 30.0
    ) -> None:
        self._reader: FrameReader | None = None  # used by `next`
        self._link: FollowedLink | None = None
        super().__init__(path, newest_first=newest_first, idle=idle)

    def next(self, timeout: float | None = None) -> Frame:
        """Return the first frame not yet returned, waiting for it for up to `timeout` seconds.

        Raises
        ------
        TimeoutError
            If none arrived in time; it can be called again.
        EOFError
            If the recording is finished and all its frames were returned.
        ConnectionError
            If this was closed.
        """
        if self._reader is None:
            self._reader = FrameReader(self)
        return self._reader.next(timeout)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                yield self.next()
            except (EOFError, ConnectionError):
                return

    @property
    def link(self) -> FollowedLink:
        """The frames for live cells and views; each of its readers starts at frame 0."""
        if self._link is None:
            from dmlink.growing.link import FollowedLink  # noqa: PLC0415 - shared memory is for cells only

            self._link = FollowedLink(self)
        return self._link

    def close(self) -> None:
        """Stop following; a waiting `next` raises a ConnectionError. Frames already read stay valid."""
        super().close()
        if self._link is not None:
            self._link.free()


def follow(path: str | PathLike[str], newest_first: bool = False, *, idle: float | None = 30.0) -> Following:
    """Read a recording while it is being written: every frame once, in order, when it is complete on disk.

    Parameters
    ----------
    path : path
        What `dmlink.open` opens once it is finished: Gatan in-situ data (the .dm4, a .raw, or the folder that
        contains them or Hour_00), a folder of images, a dmlink recording, a MIB file. It need not exist
        yet.
    newest_first : bool
        Return the newest frame first, and earlier ones when there is no newer one: for cells without `state`.
    idle : float or None
        Seconds without new data after which the recording counts as finished, if it does not say so
        itself; None: never.

    Returns
    -------
    Following
        An iterator over the frames that ends with the recording. `dmlink.view` and `%%live` accept it like
        a replay.
    """
    return Following(path, newest_first=newest_first, idle=idle)
