"""Words: texts and tables, printed in the Results window."""

import time

from dmlink.indm.info import ascii_text
from dmlink.indm.script.cell import SHOW

EVERY = 1.0  # s between two texts, because the Results window keeps all of them


def show_words(cell, name, result, info):
    """Print a text or a table if it has changed, but not for every frame."""
    when, before = cell.written.get(name, (float("-inf"), ""))
    if time.monotonic() - when > EVERY and result.text != before:
        cell.written[name] = time.monotonic(), result.text
        print(f"{name}, frame {info.index}:\n{ascii_text(result.text)}")


SHOW["text"] = SHOW["table"] = show_words
