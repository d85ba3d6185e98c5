"""Refusal: a reader that refuses a file lets go of everything that it has opened."""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def letting_go_if_refused() -> Iterator[None]:
    """Let go of what a reader has opened if it raises.

    Python, and above all a notebook, keeps an exception, and with it everything that the reader referred to.
    Windows lets nobody write to a file that is still mapped into memory.
    """
    try:
        yield
    except Exception as error:
        reason: BaseException | None = error
        while reason is not None:
            traceback.clear_frames(reason.__traceback__)
            reason = reason.__cause__ or reason.__context__
        raise
