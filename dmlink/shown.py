"""Shown: a result as the message that has DigitalMicrograph show it; `indm.showing` reads it there."""

from __future__ import annotations

from typing import Any

import numpy as np

from dmlink.indm import protocol, results


def packed(name: str, result: Any) -> tuple[dict[str, Any], memoryview]:
    """Return header and payload of a SHOW message.

    Raises
    ------
    TypeError
        If it is nothing that can be drawn.
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
            f"A {type(result).__name__} cannot be shown in DigitalMicrograph; a number, a dict of numbers, a "
            "profile, an image or a colour image can."
        )
    if values.dtype.str[1:] not in protocol.DTYPES:
        values = values.astype(np.float32)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    header.update(shape=list(values.shape), dtype=values.dtype.str)
    return header, memoryview(values.reshape(-1).view(np.uint8))
