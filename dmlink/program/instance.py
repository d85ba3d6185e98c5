"""Instance: a program loaded into this process, with its state."""

from __future__ import annotations

import difflib
import traceback
from typing import TYPE_CHECKING, Any

from dmlink.indm.data_types import dtype_in_dm
from dmlink.indm.results import as_result
from dmlink.program.program import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from dmlink.frame import Info
    from dmlink.indm.results import Result
    from dmlink.program.program import Program

_READ_ONLY = (
    "frame is read-only: make a new array (frame = frame - 1), or copy it first (frame = frame.copy())."
)
_WHOLE = "The frames are whole here, so info.roi is None: choose an ROI (--roi), or test `if info.roi`."
_EMPTY_STATE = "state is empty before the first frame: state.setdefault(name, value) sets a first value."


class Instance:
    """A program loaded into this process, with its `state`.

    Raises whatever the program's imports and definitions raise.

    Attributes
    ----------
    state : dict
        What the cell keeps from frame to frame.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module = program.load()
        self._values: dict[str, Any] = {}  # of the parameters, as set here
        self.state: dict[str, Any] = {}
        self._shape: tuple[int, ...] | None = None  # of the newest frame
        self._dtype: np.dtype[Any] | None = None

    def process(self, frame: np.ndarray, info: Info) -> Result | None:
        """Process one frame, shape (h, w); if its shape differs from the last one's, `state` is emptied.

        The cell gets the frame read-only, in a data type of DigitalMicrograph's. Raises whatever the cell
        raises.
        """
        if frame.dtype is not (dtype := dtype_in_dm(frame.dtype)):
            frame = frame.astype(dtype)
        if frame.shape != self._shape:
            self.state.clear()
        self._shape, self._dtype = frame.shape, frame.dtype
        frame = frame.view()
        frame.flags.writeable = False
        try:
            result: Result | None = as_result(
                self._module.process(frame, info, self.state), self._program.name
            )
        except (ValueError, KeyError, AttributeError) as error:
            for note in self._advice(error, info):
                error.add_note(note)
            raise
        return result

    def explain(self, exception: BaseException) -> str:
        """Return the error with the cell's lines, the frame's shape and the parameters."""
        values = [f"{name} = {vars(self._module)[name]!r}" for name in self._program.parameters]
        frame = f"frame {self._shape} {self._dtype}" if self._shape else ""
        context = "; ".join([part for part in (frame, ", ".join(values)) if part])
        return f"{self._program.explain(exception)}\n{shortened(context)}".rstrip()

    def set(self, values: Mapping[str, Any]) -> None:
        """Set the parameters named in `values`."""
        self._values.update(values)
        vars(self._module).update(values)

    def reset(self) -> None:
        """Empty `state` and undo the cell's changes to the notebook's variables."""
        self.state.clear()
        self._module = self._program.load()
        self.set(self._values)

    def _advice(self, error: Exception, info: Info) -> Iterator[str]:
        """Yield advice on errors that are typical of live cells."""
        if isinstance(error, ValueError) and "read-only" in str(error):
            yield _READ_ONLY
            if self._program.arrays:
                yield f"So are the notebook's arrays: {', '.join(self._program.arrays)}."
        elif isinstance(error, AttributeError) and error.obj is info:
            yield f"info has {', '.join(name for name in dir(info) if not name.startswith('_'))}."
        elif isinstance(error, AttributeError) and error.obj is None and error.name == "mask":
            yield from [_WHOLE] * (info.roi is None)
        elif isinstance(error, AttributeError) and error.name:
            close = difflib.get_close_matches(error.name, dir(error.obj), 1)
            yield from (f"Did you mean {name!r}?" for name in close)
        elif isinstance(error, KeyError) and error.args[0] not in self.state:
            where = traceback.extract_tb(error.__traceback__)[-1]
            if where.filename == self._program.filename and "state[" in str(where.line):
                yield _EMPTY_STATE
