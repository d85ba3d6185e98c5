"""FileBackedCell: live while the camera records, and then the results of every frame in the file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmlink.cell.live_cell import LiveCell, unlist
from dmlink.growing import follow
from dmlink.growing.link import FollowedLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from dmlink.frame import Roi
    from dmlink.growing import Following
    from dmlink.indm.results import Result
    from dmlink.link.link import Link
    from dmlink.program.program import Program


class FileBackedCell(LiveCell):
    """A live cell whose program also runs on every frame of the file that is being recorded.

    The live view and the file have no frame number in common, so no single result can be replaced. Until the
    file is finished, the cell shows the live view's results, which are provisional. When every frame of the
    finished file has been processed, the live part ends, and the cell has the file's results, counts and
    errors instead. It also does so when the live part ends by itself, for instance because the link was
    closed. Each part has a `state` of its own; parameters and a moved ROI apply to both.

    Parameters
    ----------
    text, name, namespace, **options
        As for `LiveCell`. `mode`, `max_rate` and the options of clips concern the live part only.
    file : str or PathLike
        What `dmlink.follow` takes; it does not have to exist yet.
    idle : float or None
        Seconds without new data after which the recording counts as finished, as for `dmlink.follow`.

    Attributes
    ----------
    file : pathlib.Path
        Path of the recording.
    following : Following or None
        The recording since the last start.
    written : LiveCell or None
        The lossless cell on the recording since the last start.
    live_link : Link or FollowedLink or None
        The live view's link, also when the cell already shows the file's results.
    live_ended : str
        Why the live part ended by itself; empty if it did not.
    """

    def __init__(
        self,
        text: str | Program,
        name: str = "cell",
        namespace: Mapping[str, Any] | None = None,
        *,
        file: str | PathLike[str],
        idle: float | None = 30.0,
        **options: Any,
    ) -> None:
        super().__init__(text, name, namespace, **options)
        self.file = Path(file).expanduser()
        self._idle = idle
        self.following: Following | None = None
        self.written: LiveCell | None = None
        self.live_link: Link | FollowedLink | None = None
        self.live_ended = ""
        self._roi: Roi | None = None  # as it was last copied to the file
        self._switching = threading.Lock()  # guards `_switched`
        self._switched = False  # to the file, or about to

    @property
    def provisional(self) -> bool:
        """Whether the results are still those of the live view."""
        return self.written is None or self._outcomes is not self.written._outcomes  # noqa: SLF001 - of a LiveCell

    @property
    def difference(self) -> str:
        """How the file's frames differ from the live view's in shape or data type; empty if they do not."""
        live = self.live_link.newest if self.live_link else None
        written = self.written.link.newest if self.written and self.written.link else None
        if live is None or written is None:
            return ""
        one, other = (f"{f.data.shape} {f.data.dtype}" for f in (live, written))
        return "" if one == other else f"The live view's frames are {one}, the file's {other}."

    def start(self, link: Link | FollowedLink, roi: str | None = None) -> FileBackedCell:
        """Run on the live view of `link`, and on the file from its first frame; see `LiveCell.start`.

        Raises
        ------
        ValueError
            If there is no such ROI, or `link` itself reads a growing recording.
        ConnectionError
            If the link is closed.
        """
        if link is self.link and not self.provisional and self.live_link:
            link = self.live_link
        if isinstance(link, FollowedLink):
            raise ValueError(  # noqa: TRY004
                f"The cell {self.name!r} needs a live view besides the file {self.file}, but this link "
                f"follows {link.following.path}: give a link to DigitalMicrograph, or leave out the file."
            )
        following = follow(self.file, idle=self._idle)  # if it refuses the options, nothing has started
        try:
            super().start(link, roi)
        except BaseException:
            following.close()
            raise
        self.live_link, self.live_ended = self.link, ""
        o = self.options
        written = LiveCell(self.program, every=o.every, mode="lossless", timeout=o.timeout, memory=o.memory)
        with self._switching:
            self.following, self.written, self._roi, self._switched = following, written, None, False
        self._copy_roi()
        written.start(following.link, self.live_link.roi if self.live_link else None)
        unlist(written)
        written.watch(self._follow_file)
        following.watch(self._follow_file)
        self._follow_file()  # for changes before we watched it
        return self

    def stop(self, why: str = "") -> None:
        """Stop both parts; the newest result stays."""
        with self._switching:
            self._switched = True  # it stays as it is
        if self.written:
            self.written.stop(why)
        if self.following:
            self.following.close()
        super().stop(why)

    def set(self, **values: Any) -> None:
        """Set parameters by name, for the live view and for the frames of the file still to be processed."""
        written = self.written if self.provisional else None  # before the cell may switch
        super().set(**values)
        if written:
            written.set(**values)

    def replace(self, program: Program) -> None:
        """Switch both parts to another program, each with an empty `state`."""
        written = self.written if self.provisional else None
        super().replace(program)
        if written:
            LiveCell.replace(written, program)

    def reset(self) -> None:
        """Before the next frame of each part, empty its `state`."""
        written = self.written if self.provisional else None
        super().reset()
        if written:
            written.reset()

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield each (frame index, result) of the file, in order; never a provisional one.

        Raises
        ------
        RuntimeError
            If the cell is not running and has no result of the file.
        """
        written, following = self.written, self.following
        if written is None or following is None:
            return super().results()
        if written.latest is None and not written.running:
            why = written.error or following.reason
            raise RuntimeError(f"The cell {self.name!r} has no result of {self.file}. {why}".rstrip())
        return written.results()

    # Switching to the file

    def _tell(self) -> None:
        super()._tell()
        self._look()

    def _follow_file(self) -> None:
        """React to a change of the file, or to a result on it."""
        self._look()
        self._watchers.tell()

    def _look(self) -> None:
        if self.provisional:
            self._copy_roi()
            self._switch_if_due()

    def _copy_roi(self) -> None:
        """Give the file the ROI of the live view, and again whenever it has moved."""
        link, following = self.live_link, self.following
        if link is None or following is None or link.roi is None or link.closed:
            return
        roi = link.rois().get(link.roi)
        if roi is not None and roi != self._roi:
            self._roi = roi  # first: setting it calls this again
            following.link.set_roi(link.roi, roi)

    def _switch_if_due(self) -> None:
        with self._switching:
            if self._switched or not self._due():
                return
            self._switched = True
        if not self.running:
            self.live_ended = self._outcomes.error
        super().stop()
        written = self.written
        assert written is not None  # noqa: S101 - or it would not be due
        with self._lock:
            self.link = written.link
            self._outcomes, self._runner = written._outcomes, written._runner  # noqa: SLF001
        self._watchers.tell()

    def _due(self) -> bool:
        """Whether the live part has ended, or every frame of the finished file has been processed."""
        following, written = self.following, self.written
        if following is None or written is None or following.closed:
            return False
        if not self.running:
            return True
        if not following.finished or not following.written or following.behind:
            return False
        stats = written.stats  # its `dropped` has the last frame until that is processed
        return stats.processed + stats.skipped + len(following.bad) >= following.written
