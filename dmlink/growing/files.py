"""Files that appear, one for each frame: in a folder, or in a tree of Hour_, Minute_ and Second_ folders."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from dmlink import recordings
from dmlink.growing.layout import GIVE_UP_SECONDS, STILL_SECONDS, Layout, Signature, signature
from dmlink.indm.recorded import PERIOD
from dmlink.recordings.formats.dm import images
from dmlink.recordings.formats.image_folder import ImageFolder, kind_of
from dmlink.recordings.formats.insitu import InSituTree, announced
from dmlink.recordings.formats.natural_order import in_natural_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dmlink.recordings.recording import Recording

#: Seconds for which a file waits for the previous one, if its number shows that there must be one.
GAP_SECONDS = 2.0

#: The last number in a name.
COUNTER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


class Sight(NamedTuple):
    """A file as first seen, or as of its last change."""

    signature: Signature
    since: float


class Files(Layout):
    """One file per frame (or per stack as long as the first), counted in order once it no longer changes.

    A name that appears after later names were counted is counted last, and `notes` says so.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(path)
        self._folder = folder
        self._names: list[str] = []  # counted, with / between folders
        self._known: set[str] = set()
        self._new: dict[str, Sight] = {}  # seen but not counted
        self._gone: dict[str, float] = {}  # counted, and since when they have been missing
        self._counted: list[float] = []  # when each was counted
        self._each = 0  # frames per file; 0 until the first can be read
        self._first = 0  # the name that serves as a template for all
        self._last = ""  # the last name counted in order
        self._step = 1  # difference between its number and the previous one
        self._late = 0

    @abstractmethod
    def _folders(self) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        """Yield each folder (from `_folder` on, with / at its end) in order, and the frames in it."""

    def look(self, now: float) -> bool:
        """Look for new names, and check the sizes of those not yet counted."""
        there: set[str] = set()
        changed = False
        ready: list[str] = []
        for below, entries in self._folders():
            new = []
            for entry in entries:
                name = below + entry.name
                there.add(name)
                if name not in self._known:
                    changed = self._see(name, entry.path, now) or changed
                    new.append(name)
            ready += in_natural_order(new)
        for name in self._new.keys() - there:  # a temporary file, or one that vanished before it was complete
            del self._new[name]
            changed = True
        self._gone = {name: self._gone.get(name, now) for name in self._known - there}
        before = self.whole
        self._count([name for name in ready if name in self._new], now)
        return changed or self.whole > before

    def _see(self, name: str, path: str, now: float) -> bool:
        """Record a file; return whether it is new or has changed."""
        # Not the entry's own status: on Windows, a folder listing has outdated sizes of open files.
        old, seen = self._new.get(name), signature(path)
        if seen is None or (old is not None and old.signature == seen):
            return False
        self._new[name] = Sight(seen, now)
        return True

    def _count(self, ready: list[str], now: float) -> None:
        """Count names in order, up to the first that is still changing or has a gap before it."""
        late, ready = self._at_last(ready)
        for name in ready:
            sight = self._new[name]
            still = now - sight.since
            if still < (STILL_SECONDS if sight.signature[0] else GIVE_UP_SECONDS):
                break
            step = self._step_to(name)
            if step > self._step and still < GAP_SECONDS:
                break
            self._step = max(1, step)
            self._last = name
            self._add(name, now)
        for name in late:
            sight = self._new[name]
            if sight.signature[0] and now - sight.since >= STILL_SECONDS:
                self._add(name, now)
                self._late += 1
                self.notes = [f"{self._late} files appeared late and are at the end, such as {name}."]
        if self._names and not self._each:
            self._open_first(now)
        self.whole = max(self.whole, len(self._names) * self._each)

    def _add(self, name: str, now: float) -> None:
        self._names.append(name)
        self._known.add(name)
        self._counted.append(now)
        del self._new[name]

    def _at_last(self, names: list[str]) -> tuple[list[str], list[str]]:
        """Return the names that should have come before the last one counted, and those after it."""
        if not self._last or not names:
            return [], names
        ordered = self._in_order([*names, self._last])
        at = ordered.index(self._last)
        return ordered[:at], ordered[at + 1 :]

    def _step_to(self, name: str) -> int:
        """Return by how much a name's number exceeds the last one's; 0 if it has none."""
        one, other = COUNTER.fullmatch(self._last), COUNTER.fullmatch(name)
        if not one or not other or (one[1], one[3]) != (other[1], other[3]):
            return 0
        return int(other[2]) - int(one[2])

    def _in_order(self, names: list[str]) -> list[str]:
        """Return names, with / between folders, in numerical order."""
        places: dict[str, list[str]] = {}
        for name in names:
            place, _, file = name.rpartition("/")
            places.setdefault(place, []).append(file)
        ordered = sorted(places, key=lambda p: [tuple(in_order_key(part)) for part in p.split("/")])
        return [
            f"{place}/{file}" if place else file
            for place in ordered
            for file in in_natural_order(places[place])
        ]

    def _open_first(self, now: float) -> None:
        """Find out how many frames a file has; a file that cannot be read for too long is given up."""
        name = self._names[self._first]
        try:
            with recordings.open(self._folder / name) as recording:
                self._each = len(recording)
        except (OSError, ValueError) as error:
            if now - self._counted[self._first] >= GIVE_UP_SECONDS and self._first + 1 < len(self._names):
                self.bad[self._first] = str(error)
                self._first += 1

    def recording(self) -> Recording:
        """Open the counted files."""
        names = self._names[: self.whole // max(1, self._each)]
        if not names:
            raise ValueError(f"{self._folder} has no complete frame yet.")
        return self._opened(names)

    @abstractmethod
    def _opened(self, names: list[str]) -> Recording:
        """Return a recording of these files."""

    def still_for(self, i: int, now: float) -> float:
        """Return how long the file of frame `i` has been counted, or missing."""
        at = i // max(1, self._each)
        name = self._names[at]
        return now - self._gone.get(name, self._counted[at])


class ImageFiles(Files):
    """A folder of images in one format: the most frequent one among the first files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder)
        self._kind = ""
        self._others: set[str] = set()  # names of other formats

    def _folders(self) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        with os.scandir(self._folder) as entries:
            found = [entry for entry in entries if entry.name not in self._others]
        if not self._names:
            counts = Counter(kind for e in found if e.name[0] != "." and (kind := kind_of(e.name)))
            self._kind = max(counts, key=lambda kind: counts[kind], default="")
        kept = [e for e in found if e.name in self._known or self._is_frame(e.name)]
        if self._names:
            self._others.update({e.name for e in found}.difference(e.name for e in kept))
        yield "", kept

    def _is_frame(self, name: str) -> bool:
        return name[0] != "." and kind_of(name) == self._kind != ""

    def _opened(self, names: list[str]) -> Recording:
        return ListedImages(self._folder, names, self._first)


class TreeFiles(Files):
    """A tree of Hour_, Minute_ and Second_ folders; a .dm4 next to Hour_00 is the header."""

    def __init__(self, folder: Path, header: Path | None) -> None:
        super().__init__(header or folder, folder)
        self._header = header
        self._announced = 0
        self._read_header: Signature | None = None

    def look(self, now: float) -> bool:
        """Look for new frames, and for a new or rewritten header."""
        changed = super().look(now)
        self._look_at_header()
        n, still = len(self._names), now - self._counted[-1] if self._counted else 0.0
        self.complete = not self._new and n > 0 and n == self._announced and still >= GAP_SECONDS
        return changed

    def _look_at_header(self) -> None:
        if self._header is None:
            headers = [name for name in os.listdir(self._folder) if name.lower().endswith(".dm4")]  # noqa: PTH208
            if len(headers) != 1:
                return
            self._header = self._folder / headers[0]
            self.path = self._header
        seen = signature(self._header)
        if seen is not None and seen != self._read_header:
            try:
                self._announced = announced(images(self._header)[0].tags)
                self._read_header = seen
            except (ValueError, OSError):  # half-written
                pass

    def _folders(self) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        yield from _walk(self._folder, "", top=True)

    def _opened(self, names: list[str]) -> Recording:
        header = self._header if self._read_header else None
        return ListedTree(self._folder, header, names, self._first)


class ListedImages(ImageFolder):
    """The listed files of a folder."""

    def __init__(self, folder: Path, names: list[str], first_at: int) -> None:
        self._told = folder.absolute(), names, first_at
        super().__init__(folder, names=names, first_at=first_at)

    def __reduce__(self) -> tuple[Any, ...]:
        return ListedImages, self._told


class ListedTree(InSituTree):
    """The listed files of a tree."""

    def __init__(self, folder: Path, header: Path | None, names: list[str], first_at: int) -> None:
        self._told = folder.absolute(), header and header.absolute(), names, first_at
        super().__init__(folder, header, names, first_at)

    def __reduce__(self) -> tuple[Any, ...]:
        return ListedTree, self._told


def in_order_key(part: str) -> Iterable[Any]:
    """Return the sort key of a folder name: its kind and its number."""
    match = PERIOD.fullmatch(part)
    return (match[1].lower(), int(match[2])) if match else (part, 0)


def _walk(folder: Path, below: str, *, top: bool) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield the folders of a tree in order of time, and the frames in each."""
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except FileNotFoundError:
        if top:
            raise
        return
    deeper = [entry.name for entry in listed if PERIOD.fullmatch(entry.name)]
    for name in sorted(deeper, key=lambda name: tuple(in_order_key(name))):
        yield from _walk(folder / name, f"{below}{name}/", top=False)
    if not top:
        frames = [e for e in listed if e.name.lower().endswith((".dm4", ".dm3")) and e.name[0] != "."]
        yield below, frames
