"""DM tags: the tags of a DM3 or DM4 file as a tree of plain values; arrays of pixels stay in the file.

The layout is described by Chris Boothroyd, "Digital Micrograph file format" (2011).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dmlink.recordings.mapped import MappedFile

#: DM's encoded types as characters of `struct` and of NumPy.
CHARACTERS = {2: "h", 3: "i", 4: "H", 5: "I", 6: "f", 7: "d", 8: "?", 9: "b", 10: "B", 11: "q", 12: "Q"}
STRUCT, STRING, ARRAY = 15, 18, 20
GROUP, DATA = 20, 21

#: Longer arrays stay in the file as blocks.
LONGEST = 4096

#: Deeper than any tag of DM; a damaged file could be nested endlessly.
DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Block:
    """An array in the file: its offset in bytes, number of elements and dtype."""

    offset: int
    count: int
    dtype: np.dtype[Any]


def read_tags(file: MappedFile) -> dict[str, Any]:
    """Return the tags of a DM file: groups as dicts, lists of unnamed entries as lists.

    Raises
    ------
    ValueError
        If the file is not DM3 or DM4, or ends before its tags do.
    """
    try:
        tags = _Walker(file).tags
    except (struct.error, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"{file.path} is not a complete DM3 or DM4 file (its tags are cut short or damaged); copy it "
            "again."
        ) from error
    if not isinstance(tags, dict):
        raise ValueError(f"{file.path} has no named tags; it is not a DM image.")  # noqa: TRY004
    return tags


class _Walker:
    """Reads tag after tag; `at` is its position in the file."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.buffer = file.bytes
        (self.version,) = struct.unpack_from(">I", self.buffer, 0)
        if self.version not in (3, 4):
            raise KeyError(self.version)
        self.word = ">I" if self.version == 3 else ">Q"
        self.word_size = struct.calcsize(self.word)
        (little,) = struct.unpack_from(">I", self.buffer, 4 + self.word_size)
        if little not in (0, 1):
            raise KeyError(little)
        self.order = "<" if little else ">"
        self.at = 8 + self.word_size
        self.tags = self.group(0)

    def words(self, n: int) -> tuple[int, ...]:
        if n > LONGEST:
            raise OverflowError(n)
        values = struct.unpack_from(f">{n}{self.word[1]}", self.buffer, self.at)
        self.at += n * self.word_size
        return values

    def group(self, depth: int) -> dict[str, Any] | list[Any]:
        if depth > DEEPEST:
            raise OverflowError(depth)
        self.at += 2  # sorted, open
        (n,) = self.words(1)
        entries: list[tuple[str, Any]] = []
        for _ in range(n):
            kind, length = struct.unpack_from(">BH", self.buffer, self.at)
            name = self.buffer[self.at + 3 : self.at + 3 + length].decode("latin-1")
            self.at += 3 + length
            if self.version == 4:
                self.at += self.word_size  # length of the entry
            if kind == GROUP:
                entries.append((name, self.group(depth + 1)))
            elif kind == DATA:
                entries.append((name, self.data(name)))
            else:
                raise KeyError(kind)
        if entries and not any(name for name, _ in entries):
            return [value for _, value in entries]
        return {name or str(i): value for i, (name, value) in enumerate(entries)}

    def data(self, name: str) -> Any:
        if self.buffer[self.at : self.at + 4] != b"%%%%":
            raise KeyError(self.at)
        self.at += 4
        (n,) = self.words(1)
        info = self.words(n)
        if info[0] == ARRAY:
            return self.array(info[1:-1], info[-1], name)
        if info[0] == STRUCT:
            return list(self.values("".join(self.members(info))))
        if info[0] == STRING:
            return self.text(info[1], 1)
        return self.values(CHARACTERS[info[0]])[0]

    def array(self, info: tuple[int, ...], count: int, name: str) -> Any:
        if info[0] == STRUCT:
            dtype = np.dtype([(f"f{i}", self.order + c) for i, c in enumerate(self.members(info))])
        else:
            dtype = np.dtype(self.order + CHARACTERS[info[0]])
        start, size = self.at, count * dtype.itemsize
        if start + size > self.file.size:
            raise IndexError(size)
        if name == "Data" or count > LONGEST:
            self.at += size
            return Block(start, count, dtype)
        if dtype.char == "H":  # DM keeps its strings as arrays of 16 bits
            return self.text(count, 2)
        self.at += size
        return np.frombuffer(self.buffer, dtype, count, start).tolist()

    def text(self, count: int, width: int) -> str:
        raw = self.buffer[self.at : self.at + count * width]
        self.at += count * width
        order = "le" if self.order == "<" else "be"
        return raw.decode(f"utf-16-{order}" if width == 2 else "latin-1", "replace")

    def values(self, characters: str) -> tuple[Any, ...]:
        values = struct.unpack_from(self.order + characters, self.buffer, self.at)
        self.at += struct.calcsize(self.order + characters)
        return values

    @staticmethod
    def members(info: tuple[int, ...]) -> list[str]:
        """Return the characters of a struct's members: (15, 0, n, 0, type, 0, type, ...)."""
        return [CHARACTERS[kind] for kind in info[4 : 4 + 2 * info[2] : 2]]
