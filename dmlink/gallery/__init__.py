"""The gallery: ready live cells as texts, to run, to read and to change.

Each module here is the text of one cell: `%live load gallery/NAME` puts it into the notebook, and
`dmlink.LiveCell(gallery.text(NAME), NAME)` runs it from a script. They are not imported.
"""

from __future__ import annotations

from importlib import resources

__all__ = ["names", "text"]


def names() -> list[str]:
    """Return the names of the cells, in alphabetical order."""
    files = (file.name for file in resources.files("dmlink").joinpath("gallery").iterdir())
    return sorted(name.removesuffix(".py") for name in files if name.endswith(".py") and name[0] != "_")


def text(name: str) -> str:
    """Return the text of the cell `name`.

    Raises
    ------
    ValueError
        If there is no such cell; the message says which there are.
    """
    if name not in names():
        has = ", ".join(names()) or "none"
        raise ValueError(f"There is no cell {name!r} in the gallery; there are: {has}.")
    file = resources.files("dmlink").joinpath("gallery", f"{name}.py")
    return file.read_text(encoding="utf-8")
