"""Handle: what Python gets for an object in DigitalMicrograph, and a new one each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmlink.simulator.dm.workspace import Workspace

CLASSES: dict[type, type[Handle]] = {}
"""Handle classes, by the class of what they stand for."""


class Handle:
    """Base of all `Py_...` classes that stand for an object in DM.

    Attributes
    ----------
    simulated : object
        The object. Only the simulator uses it: the one public name that GMS's handles do not have.
    """

    __slots__ = ("__weakref__", "_workspace", "simulated")

    def __init_subclass__(cls, wraps: tuple[type, ...] = ()) -> None:
        for kind in wraps:
            CLASSES[kind] = cls

    def __init__(self, workspace: Workspace, simulated: Any) -> None:
        self._workspace = workspace
        self.simulated = simulated


def wrap(workspace: Workspace, thing: Any) -> Any:
    """Return a new handle for `thing`; None, numbers and text are returned unchanged."""
    kind = workspace.handles.get(type(thing))
    return kind(workspace, thing) if kind else thing


def unwrap(handle: Any, wanted: type[Handle], call: str) -> Any:
    """Return what `handle` stands for; it must be an instance of `wanted`."""
    if not isinstance(handle, wanted):
        raise TypeError(f"{call} needs a {wanted.__name__}, not {handle!r}.")
    return handle.simulated
