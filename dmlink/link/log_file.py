"""Log file: another instrument's CSV table, read into a link's logs while it grows."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import math
import threading
from pathlib import Path
from time import time as now
from typing import TYPE_CHECKING, Self

from dmlink.link.logs import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from dmlink.link.link import Link
    from dmlink.link.logs import Log

LOOK_SECONDS = 0.2  # how often to check the file
DELIMITERS = ";", "\t", ","
TIMES = "use seconds since 1970, or date and time such as 2026-12-01 14:03:07"
READ_BYTES = 1 << 20  # per read
BEGIN = 64  # bytes: if the first ones change, the file was replaced
FORMATS = "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f"
DAY = 86400.0  # seconds; clocks may differ by less
SINCE_1970 = 1e8  # seconds (1973); a smaller time counts from the instrument's own start


class LogFile:
    """Follows a CSV file that another program writes; returned by `dmlink.log_file`. A context manager.

    Attributes
    ----------
    rows : int
        Rows read into the logs.
    skipped : int
        Rows in which the time, or every value, could not be read.
    bytes_read : int
        Bytes read so far; each row is read once, unless the file is replaced or the offset set.
    offset : float
        Seconds to add to the file's times; setting it also shifts the rows already read.
    reason : str
        Why no rows are read; empty if everything works.
    """

    def __init__(
        self, path: Path, add: Callable[[str], Log], time: str, columns: Sequence[str], offset: float
    ) -> None:
        self._path = path
        self._add = add
        self._time, self._columns = time, list(columns)
        self._offset = number(offset, "offset")
        self.rows = self.skipped = self.bytes_read = 0
        self._unread = self._missing = self._misread = ""  # why not the file, a column, the newest rows
        self._begin, self._done = b"", 0  # the file's first bytes, and how many of them were read
        self._logs: dict[int, Log] = {}  # by column
        self._formats = list(FORMATS)  # the one that was read last comes first
        self._from_start = False  # the file has to be read again from the start
        self._forget()
        self._closing = threading.Event()
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dmlink-log-file", daemon=True)
        self._thread.start()

    @property
    def reason(self) -> str:  # noqa: D102 - among the attributes
        return self._unread or self._missing or self._misread

    @property
    def offset(self) -> float:  # noqa: D102 - among the attributes
        return self._offset

    @offset.setter
    def offset(self, offset: float) -> None:
        self._offset = number(offset, "offset")
        self._from_start = True
        self._again.set()

    def close(self) -> None:
        """Stop following the file; the values read so far stay."""
        self._closing.set()
        self._again.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        offset = f", clock {self._offset:+g} s" if self._offset else ""
        reason = f"; {self.reason}" if self.reason else ""
        return f"<LogFile {self._path.name!r}: {self.rows} rows, {self.skipped} skipped{offset}{reason}>"

    # The thread

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                more = self._read()
                self._unread = ""
            except FileNotFoundError:
                self._unread, more = f"{self._path} is not there yet.", False
            except OSError as error:
                self._unread, more = f"{self._path} cannot be read ({error.strerror or error}).", False
            if not more:
                self._again.wait(LOOK_SECONDS)
                self._again.clear()

    def _read(self) -> bool:
        """Read new rows; return whether there may be more to read right away."""
        with self._path.open("rb") as file:
            begin = file.read(BEGIN)
            size = file.seek(0, 2)
            again, self._from_start = self._from_start, False
            if again or size < self._done or not begin.startswith(self._begin):
                self._forget()  # the file was replaced or truncated
            self._begin = begin
            file.seek(self._done)
            data = file.read(READ_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self._done += len(whole)
        self.bytes_read += len(whole)
        if whole:
            self._take(_decoded(whole).splitlines())
        elif len(data) == READ_BYTES:
            self._misread = f"{self._path} is not a table: a line has more than {READ_BYTES / 1e6:.0f} MB."
        return len(data) == READ_BYTES and bool(whole)

    def _forget(self) -> None:
        self._begin, self._done = b"", 0
        self._missing = self._misread = ""
        self._head: list[str] | None = None
        self._dialect: tuple[str, bool] = (",", False)
        self.rows = self.skipped = 0
        for log in self._logs.values():
            log.clear()
        self._logs = {}

    def _take(self, lines: list[str]) -> None:
        """Parse whole lines."""
        pairs: dict[int, list[tuple[float, float]]] = {}
        rows = skipped = 0
        self._misread = ""
        for line in lines:
            if self._head is None:
                self._look_for_head(line)
                continue
            delimiter, decimal_comma = self._dialect
            cells = _cells(line, delimiter)
            if any(cells):
                found = self._take_row(cells, pairs, decimal_comma=decimal_comma)
                rows, skipped = rows + found, skipped + (not found)
        if rows:
            self._misread = ""
        for place, values in pairs.items():
            self._logs[place].extend(values)
        self.skipped += skipped
        self.rows += rows  # last: what is counted is in the logs
        if self._head is None:
            self._misread = f"{self._path} has no column {self._time!r} yet."

    def _look_for_head(self, line: str) -> None:
        """Take a line as the head if it has the time column, with whatever delimiter."""
        for delimiter in DELIMITERS:
            cells = _cells(line, delimiter)
            if self._time in cells and (len(cells) > 1 or delimiter == DELIMITERS[-1]):
                self._dialect = delimiter, delimiter != ","
                self._take_head(cells)
                return

    def _take_head(self, cells: list[str]) -> None:
        self._head = cells
        wanted = self._columns or [cell for cell in cells if cell and cell != self._time]
        missing = [name for name in wanted if name not in cells]
        there = ", ".join(repr(cell) for cell in cells)
        self._missing = f"There is no column {missing[0]!r}; available: {there}." if missing else ""
        self._logs = {cells.index(name): self._add(name) for name in wanted if name in cells}
        for log in self._logs.values():
            log.offset = self._offset

    def _take_row(
        self, cells: list[str], pairs: dict[int, list[tuple[float, float]]], *, decimal_comma: bool
    ) -> bool:
        """Add a row's numbers to `pairs`; return whether it has any."""
        assert self._head is not None  # noqa: S101 - as called
        place = self._head.index(self._time)
        time = self._seconds(cells[place], decimal_comma=decimal_comma) if place < len(cells) else None
        if time is None and place < len(cells):
            self._misread = f"{cells[place]!r} in {self._path.name} is no time that dmlink can read; {TIMES}."
        if time is not None and time + self._offset < SINCE_1970:
            self._misread = (
                f"Times in {self._path.name}, such as {cells[place]}, do not count from 1970; set offset= to "
                "the time at which they start, in seconds since 1970, as time.time() returns it."
            )
            time = None
        if time is not None and time + self._offset > now() + DAY:
            self._misread = (
                f"Times in {self._path.name}, such as {cells[place]}, are in the future; give seconds (not "
                "milliseconds), and set offset= if they do not count from 1970."
            )
            time = None
        found = False
        if time is not None:
            for column in self._logs:
                value = _number(cells[column], decimal_comma=decimal_comma) if column < len(cells) else None
                if value is not None:
                    pairs.setdefault(column, []).append((time + self._offset, value))
                    found = True
        return found

    def _seconds(self, text: str, *, decimal_comma: bool) -> float | None:
        """Return seconds since 1970, or a plain number as it is; None if the text is not a time."""
        plain = _number(text, decimal_comma=decimal_comma)
        if plain is not None:
            return None if math.isnan(plain) else plain
        text = text.replace(",", ".")
        with contextlib.suppress(ValueError, OverflowError):
            return dt.datetime.fromisoformat(text).timestamp()
        for form in self._formats:
            with contextlib.suppress(ValueError, OverflowError):
                seconds = dt.datetime.strptime(text, form).astimezone().timestamp()
                if form is not self._formats[0]:
                    self._formats.remove(form)
                    self._formats.insert(0, form)
                return seconds
        return None


def log_file(
    path: str | PathLike[str],
    link: Link,
    *,
    time: str = "time",
    columns: Sequence[str] = (),
    offset: float = 0.0,
) -> LogFile:
    """Follow a CSV file that another program writes: cells read its columns as `info.log[column]`.

    The delimiter (comma, semicolon, tab) and a decimal comma are detected. Times are seconds since 1970, or
    date and time, in this computer's time zone unless they give one. The file need not exist yet; if it is
    replaced or truncated, it is read again from the start.

    Parameters
    ----------
    path : str or PathLike
    link : Link
    time : str
        Name of the time column.
    columns : sequence of str
        Columns to read; by default all others.
    offset : float
        Seconds to add to the file's times if its clock differs from that of the microscope's computer.

    Raises
    ------
    ValueError
        If the link follows a recording.
    """
    if not hasattr(link, "logs"):
        raise ValueError(f"{link.endpoint.address} is a recording; logs belong to the frames of a live view.")
    if isinstance(columns, str):
        columns = [columns]
    return LogFile(Path(path).expanduser(), link.logs.log, time, columns, offset)


def _decoded(data: bytes) -> str:
    """Return the text, in UTF-8 or else in the Western European encoding of older programs."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; a quote that is not closed affects no other line."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:  # no table has such a line
        return ["?"]


def _number(text: str, *, decimal_comma: bool) -> float | None:
    try:
        return number(text.replace(",", ".") if decimal_comma else text, "")
    except ValueError:
        return None
