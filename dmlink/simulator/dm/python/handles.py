"""Handle: what Python holds of an object of DigitalMicrograph, new each time DM gives that object out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmlink.simulator.dm.workspace import Workspace

CLASSES: dict[type, type[Handle]] = {}
"""Of handles, by the class of what they stand for."""


class Handle:
    """Base of all `Py_...` classes that stand for something that is in DM.

    Attributes
    ----------
    simulated : object
        What it stands for. For the simulator alone: it is the one public name that GMS's handles do not have.
    """

    __slots__ = ("__weakref__", "_workspace", "simulated")

    def __init_subclass__(cls, wraps: tuple[type, ...] = ()) -> None:
        for kind in wraps:
            CLASSES[kind] = cls

    def __init__(self, workspace: Workspace, simulated: Any) -> None:
        self._workspace = workspace
        self.simulated = simulated


def wrap(workspace: Workspace, thing: Any) -> Any:
    """Return a new handle of `thing` for Python; None, numbers and text stay what they are."""
    kind = workspace.handles.get(type(thing))
    return kind(workspace, thing) if kind else thing


def unwrap(handle: Any, wanted: type[Handle], call: str) -> Any:
    """Return what `handle` stands for, which must be of the class `wanted`."""
    if not isinstance(handle, wanted):
        raise TypeError(f"{call} wants a {wanted.__name__}, not {handle!r}.")
    return handle.simulated
