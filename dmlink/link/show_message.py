"""SHOW message: a result packed for display in DigitalMicrograph; `indm.companion.showing` reads it there."""

from __future__ import annotations

from typing import Any

import numpy as np

from dmlink.indm import results
from dmlink.indm.data_types import dtype_in_dm


def packed(name: str, result: Any) -> tuple[dict[str, Any], memoryview]:
    """Return header and payload of a SHOW message.

    Raises
    ------
    TypeError
        If DigitalMicrograph cannot show a result of this type.
    """
    result = results.as_result(result, name)
    header: dict[str, Any] = {"name": str(name), "kind": getattr(result, "kind", "")}
    if isinstance(result, results.Scalar):
        values: Any = np.array(list(result.series.values()), np.float64)
        header.update(names=list(result.series), value_unit=result.unit)
    elif isinstance(result, results.Profile):
        values = result.values
        header.update(x=result.x, value_unit=result.value_unit)
    elif isinstance(result, results.Image):
        values = result.values
        header.update(x=result.x, y=result.y)
    else:
        raise TypeError(
            f"A {type(result).__name__} cannot be shown in DigitalMicrograph; use a number, a dict of "
            "numbers, a profile, an image or a colour image."
        )
    values = np.ascontiguousarray(values, dtype_in_dm(values.dtype).newbyteorder("<"))
    header.update(shape=list(values.shape), dtype=values.dtype.str)
    return header, memoryview(values.reshape(-1).view(np.uint8))
