"""Messages between the kernel and a worker process, and how they are sent.

Requests are pickled to the worker's standard input. Answers from its standard output are only numbers, texts
and bytes, so whatever a cell returns cannot make the kernel execute anything. Pixels bypass the pipe: frames
and large results are in shared memory. Only the first result of a new size goes through the pipe, right after
its reply.
"""

from __future__ import annotations

import itertools
import marshal
import pickle
import struct
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dmlink.frame import Axis, Info, MaskedRoi, Outline, Roi
from dmlink.indm import results
from dmlink.indm.results import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmlink.indm.results import Result
    from dmlink.program.program import Program

SMALL = 64 * 1024  # bytes; results up to this size go through the pipe
MAX_RESULT = MAX_BYTES  # bytes
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64  # bytes: of the large arrays in shared memory


class Load(NamedTuple):
    """Request to load a program; the answer is why that failed, or an empty text.

    `memory` is how many bytes it may use in addition to its imports (None: no limit). `path` and `folder` are
    the kernel's `sys.path` and working folder, so that modules and files are found as in the kernel.
    `standard` lists the standard-library modules that the kernel has loaded; files with their names in the
    notebook's folder do not shadow them.
    """

    program: Program
    memory: int | None
    path: tuple[str, ...]
    folder: str
    standard: frozenset[str]


class Prepare(NamedTuple):
    """Request to import modules ahead of time; there is no answer."""

    modules: tuple[str, ...]


class Task(NamedTuple):
    """Request to process one frame; the answer is a Reply.

    `block` names the frame's shared memory; if it is empty, the bytes are in `pixels`. `reply_block` is
    shared memory of `reply_size` bytes for the result.
    """

    block: str
    shape: tuple[int, ...]
    dtype: str
    info: Info
    values: dict[str, Any]  # of the parameters that have changed
    reset: bool
    reply_block: str
    reply_size: int
    pixels: bytes = b""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain tuples, which takes a third of the time."""
        info = self.info
        x, y, roi = tuple(info.x), tuple(info.y), info.roi and _as_numbers(info.roi)
        rois = {name: _as_numbers(place) for name, place in info.rois.items()}
        fields = info.index, info.time, x, y, roi, info.source, info.tags, info.line, info.log, rois
        return _task, ((*fields, info.again), *self[:3], *self[4:])


def _task(fields: tuple[Any, ...], block: str, shape: tuple[int, ...], dtype: str, *rest: Any) -> Task:
    index, time, x, y, roi, source, tags, line, log, rois, again = fields
    places: dict[str, tuple[int, int, int, int]] = {name: _roi(*place) for name, place in rois.items()}
    info = Info(index, time, Axis(*x), Axis(*y), roi and _roi(*roi), source, tags, line, log, places, again)
    return Task(block, shape, dtype, info, *rest)


def _as_numbers(roi: tuple[int, ...]) -> tuple[Any, ...]:
    outline = getattr(roi, "outline", None)  # a cell's user may give a plain tuple
    return (*roi, *outline) if outline else (*roi,)


def _roi(top: int, left: int, bottom: int, right: int, *outline: Any) -> Roi:
    if outline:
        return MaskedRoi(top, left, bottom, right, outline=Outline(*outline))
    return Roi(top, left, bottom, right)


class Outcome(NamedTuple):
    """The outcome of processing one frame.

    `seconds` is the time that the cell took, `log` its output, and `error` its error with the cell's lines,
    empty if it succeeded. `state` is the cell's state after a failure, each (key, value)
    pickled until the user asks for it; None if the last one sent is recent enough.
    """

    result: Result | None = None
    error: str = ""
    log: str = ""
    seconds: float = 0.0
    state: tuple[bytes, ...] | None = None


class Reply(NamedTuple):
    """A packed outcome."""

    outcome: tuple[Any, ...]
    sizes: tuple[int, ...]  # bytes of its large arrays, one after another in the reply's block
    held: tuple[str, ...]  # slots of frames that the cell still uses


def send(pipe: IO[bytes], request: Load | Prepare | Task) -> None:
    """Write a request."""
    pickle.dump(request, pipe, protocol=5)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read the next request; EOFError if the other end has closed the pipe."""
    return pickle.load(pipe)  # noqa: S301 - from the kernel that started us


def answer(pipe: IO[bytes], plain: str | Reply, arrays: Sequence[np.ndarray] = ()) -> None:
    """Write an answer, followed by the bytes of `arrays`."""
    data = marshal.dumps(plain if isinstance(plain, str) else tuple(plain))
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    for array in arrays:
        pipe.write(np.ascontiguousarray(array).data)
        pipe.write(bytes(size_of(array) - array.nbytes))
    pipe.flush()


def answered(pipe: IO[bytes]) -> Any:
    """Read the next answer, a text or the fields of a Reply; EOFError if the other end has closed."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return marshal.loads(_exactly(pipe, length))  # noqa: S302 - plain values, from our own process


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


def pack(outcome: Outcome) -> tuple[tuple[Any, ...], list[np.ndarray]]:
    """Return the outcome as plain values, and separately its arrays if they are large.

    Raises
    ------
    ValueError
        If the result is larger than MAX_RESULT.
    """
    arrays: list[np.ndarray] = []
    result = None if outcome.result is None else _plain(outcome.result, arrays)
    total = sum(array.nbytes for array in arrays)
    if total > MAX_RESULT:
        raise ValueError(
            f"The result is {total / 1e6:.0f} MB, more than the limit of {MAX_RESULT / 1e6:.0f} MB. Bin or "
            "crop it."
        )
    large = total > SMALL
    kinds = [(array.dtype.str, array.shape, None if large else array.tobytes()) for array in arrays]
    return (result, kinds, *outcome[1:]), arrays if large else []


def size_of(array: np.ndarray) -> int:
    """Return how many bytes an array takes in the reply's block, padded to a cache line."""
    return -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT


def put(arrays: Sequence[np.ndarray], memory: np.ndarray) -> None:
    """Write large arrays into the reply's block."""
    begin = 0
    for array in arrays:
        there = np.ndarray(array.shape, array.dtype, memory, begin)
        there[...] = array
        begin += size_of(array)


def unpack(reply: Reply, memory: np.ndarray) -> Outcome:
    """Return the outcome of a reply whose large arrays are in `memory`; they stay there."""
    result, kinds, *rest = reply.outcome
    begins = itertools.accumulate(reply.sizes, initial=0)
    arrays = [
        np.ndarray(shape, dtype, memory, next(begins))
        if data is None
        else np.ndarray(shape, dtype, bytearray(data))
        for dtype, shape, data in kinds
    ]
    return Outcome(None if result is None else _result(result, arrays), *rest)


# Results as plain values: name of the class and its attributes, with an index in place of each array.


def _plain(result: Result, arrays: list[np.ndarray]) -> tuple[Any, ...]:
    def kept(values: Any) -> int:
        array = np.asarray(values)
        if array.dtype.kind not in "biufU":
            raise TypeError(f"A result may contain numbers and text, not {array.dtype}.")
        arrays.append(array)
        return len(arrays) - 1

    name = str(result.name)
    if isinstance(result, results.Scalar):
        value = result.value
        plain = {str(k): float(v) for k, v in value.items()} if isinstance(value, dict) else float(value)
        return "scalar", name, plain, str(result.unit)
    if isinstance(result, results.Text):
        return "text", name, str(result.text)
    if isinstance(result, results.Event):
        return "event", name, bool(result.happened), str(result.text)
    if isinstance(result, results.Profile):
        drawn = str(result.value_unit), bool(result.waterfall)
        return "profile", name, kept(result.values), _axis(result.x), *drawn
    if isinstance(result, results.Image):
        return "image", name, kept(result.values), _axis(result.y), _axis(result.x)
    if isinstance(result, results.Points):
        tails = [kept(tail) for tail in result.tails]
        return "points", name, kept(result.yx), tuple(map(str, result.labels)), tails
    if isinstance(result, results.Boxes):
        return "boxes", name, kept(result.tlbr), tuple(map(str, result.labels))
    if isinstance(result, results.Table):
        return "table", name, {str(key): kept(column) for key, column in result.columns.items()}
    if isinstance(result, results.Overlay):
        marks = [_plain(mark, arrays) for mark in result.marks]
        return "overlay", name, _plain(result.image, arrays), marks
    return "several", name, {str(key): _plain(one, arrays) for key, one in result.results.items()}


def _axis(axis: Axis) -> tuple[float, float, str]:
    return float(axis.origin), float(axis.scale), str(axis.unit)


def _result(plain: tuple[Any, ...], arrays: list[np.ndarray]) -> Result:
    kind, name, *rest = plain
    result: Result = _MADE[kind](name, arrays, *rest)
    return result


def _made(kind: type[Any], name: str, **attributes: Any) -> Any:
    """Return a result without its class's checks, which it passed in the worker."""
    result = object.__new__(kind)
    vars(result).update(attributes, name=name)
    return result


_MADE: dict[str, Callable[..., Any]] = {
    "scalar": lambda name, _, value, unit: _made(results.Scalar, name, value=value, unit=unit),
    "text": lambda name, _, text: _made(results.Text, name, text=text),
    "event": lambda name, _, happened, text: _made(results.Event, name, happened=happened, text=text),
    "profile": lambda name, arrays, values, x, unit, waterfall: _made(
        results.Profile, name, values=arrays[values], x=Axis(*x), value_unit=unit, waterfall=waterfall
    ),
    "image": lambda name, arrays, values, y, x: _made(
        results.Image, name, values=arrays[values], y=Axis(*y), x=Axis(*x)
    ),
    "points": lambda name, arrays, yx, labels, tails: _made(
        results.Points, name, yx=arrays[yx], labels=labels, tails=tuple(arrays[tail] for tail in tails)
    ),
    "boxes": lambda name, arrays, tlbr, labels: _made(results.Boxes, name, tlbr=arrays[tlbr], labels=labels),
    "table": lambda name, arrays, columns: _made(
        results.Table, name, columns={key: arrays[column] for key, column in columns.items()}
    ),
    "overlay": lambda name, arrays, image, marks: _made(
        results.Overlay,
        name,
        image=_result(image, arrays),
        marks=tuple(_result(mark, arrays) for mark in marks),
    ),
    "several": lambda name, arrays, parts: _made(
        results.Several, name, results={key: _result(part, arrays) for key, part in parts.items()}
    ),
}
