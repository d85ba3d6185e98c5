# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Listeners: Py_ScriptObject and the registrations that lead events to it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dmlink.simulator.handles import unwrap
from dmlink.simulator.output import Output, speaking

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.workspace import Workspace


@dataclass(eq=False)
class Registration:
    """One listener's wish to hear of one kind of event at one object."""

    id: int
    handler: str
    listener: Callable[[], Any]
    output: Output | None
    active: bool = True


class _ScriptObject:
    """Base of listeners, without `UnregisterAllListeners`, as it was up to GMS 3.5.1."""

    _workspace: ClassVar[Workspace]
    _dm_registrations: list[Registration] | None = None
    _dm_output: Output | None = None

    def __init__(self) -> None:
        self._dm_registrations = []
        self._dm_output = speaking.get()

    def __del__(self) -> None:
        self._dm_unregister()

    def ImageHandleDataChangedEvent(self, image: Any, plugin: str) -> int:
        return self._dm_register(image, "Py_Image", "DataChanged", plugin)

    def WindowHandleWindowClosedEvent(self, window: Any, plugin: str) -> int:
        return self._dm_register(window, "Py_Window", "WindowClosed", plugin)

    def ImageDisplayHandleROIRemovedEvent(self, display: Any, plugin: str) -> int:
        return self._dm_register(display, "Py_ImageDisplay", "ROIRemoved", plugin)

    def ImageDisplayHandleComponentChangedEvent(self, display: Any, plugin: str) -> int:
        return self._dm_register(display, "Py_ImageDisplay", "ComponentChanged", plugin)

    def _dm_register(self, handle: Any, wanted: str, event: str, plugin: str) -> int:
        call = f"{wanted[3:]}Handle{event}Event"
        if self._dm_registrations is None:
            raise RuntimeError(f"{call}: DM.Py_ScriptObject.__init__(self) was not called before.")
        if plugin != "pythonplugin":
            raise ValueError(f"{call}: the second argument must be 'pythonplugin', not {plugin!r}.")
        target = unwrap(handle, wanted, call)
        workspace = self._workspace
        listener: Callable[[], Any] = weakref.ref(self)
        if workspace.switches.references == "strong":
            listener = _Strong(self)
        registration = Registration(
            workspace.new_id(), f"Handle{event}Event", listener, speaking.get() or self._dm_output
        )
        self._dm_registrations.append(registration)
        with workspace.lock:
            target.listeners.append(registration)
        return registration.id

    def _dm_unregister(self) -> None:
        for registration in self._dm_registrations or ():
            registration.active = False
            registration.listener = _nobody
        if self._dm_registrations is not None:
            self._dm_registrations = []


class Py_ScriptObject(_ScriptObject):
    """Base of listeners."""

    def UnregisterAllListeners(self) -> None:
        if self._dm_registrations is None:
            raise RuntimeError("UnregisterAllListeners: DM.Py_ScriptObject.__init__(self) was not called.")
        self._dm_unregister()


def script_object_class(workspace: Workspace) -> type:
    """Return `Py_ScriptObject` as this DigitalMicrograph has it."""
    base = Py_ScriptObject if workspace.switches.unregister_all else _ScriptObject
    return type("Py_ScriptObject", (base,), {"_workspace": workspace, "__module__": "DigitalMicrograph"})


class _Strong:
    """A reference like a `weakref.ref`, but one that keeps its object."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener

    def __call__(self) -> Any:
        return self._listener


def _nobody() -> None:
    """Return the listener of a registration that has ended."""
