# ruff: noqa: D102, N801, N802 - names and meaning are DigitalMicrograph's
"""Listeners: Py_ScriptObject, the base of the scripts' classes whose handlers DM calls."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from dmlink.simulator.dm.python.displays import Py_ImageDisplay
from dmlink.simulator.dm.python.documents import Py_Window
from dmlink.simulator.dm.python.handles import Handle, unwrap, wrap
from dmlink.simulator.dm.python.images import Py_Image
from dmlink.simulator.dm.registration import Registration
from dmlink.simulator.output import Output, current_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.dm.workspace import Workspace


_in_handler: ContextVar[bool] = ContextVar("in_handler", default=False)


class _ScriptObject:
    """Base of listeners, without `UnregisterAllListeners`, as it was up to GMS 3.5.1."""

    _workspace: ClassVar[Workspace]
    _dm_registrations: list[Registration] | None = None
    _dm_output: Output | None = None
    _dm_gone: list[bool] | None = None  # whether DM was told that it is being deleted, with `strict_del`

    def __init__(self) -> None:
        self._dm_refuse_in_handler("Py_ScriptObject.__init__")
        self._dm_registrations = []
        self._dm_output = current_output.get()
        if self._workspace.switches.strict_del:
            self._dm_gone = [False]
            end = weakref.finalize(self, _check_gone, self._workspace, type(self).__name__, self._dm_gone)
            end.atexit = False

    def __del__(self) -> None:
        if self._dm_gone and type(self).__del__ is not _ScriptObject.__del__:
            self._dm_gone[0] = True
        self._dm_unregister()

    def ImageHandleDataChangedEvent(self, image: Any, plugin: str) -> int:
        return self._dm_register(image, Py_Image, "DataChanged", plugin)

    def WindowHandleWindowClosedEvent(self, window: Any, plugin: str) -> int:
        return self._dm_register(window, Py_Window, "WindowClosed", plugin)

    def ImageDisplayHandleROIRemovedEvent(self, display: Any, plugin: str) -> int:
        return self._dm_register(display, Py_ImageDisplay, "ROIRemoved", plugin)

    def ImageDisplayHandleComponentChangedEvent(self, display: Any, plugin: str) -> int:
        return self._dm_register(display, Py_ImageDisplay, "ComponentChanged", plugin)

    def _dm_register(self, handle: Any, wanted: type[Handle], event: str, plugin: str) -> int:
        handler = f"Handle{event}Event"
        call = wanted.__name__[len("Py_") :] + handler
        self._dm_refuse_in_handler(call)
        if self._dm_registrations is None:
            raise RuntimeError(f"{call}: DM.Py_ScriptObject.__init__(self) must be called first.")
        if plugin != "pythonplugin":
            raise ValueError(f"{call}: the second argument must be 'pythonplugin', not {plugin!r}.")
        source = unwrap(handle, wanted, call)
        strong = self._workspace.switches.references == "strong"
        listener: Callable[[], Any] = partial(_itself, self) if strong else weakref.ref(self)
        output = current_output.get() or self._dm_output
        registration = Registration(handler, partial(_call, self._workspace, listener, handler, output))
        self._dm_registrations.append(registration)
        self._workspace.events.register(source, registration)
        return self._workspace.new_id()

    def _dm_refuse_in_handler(self, call: str) -> None:
        if _in_handler.get() and self._workspace.switches.nested_listeners is False:
            raise RuntimeError(f"{call} fails inside a handler in this version of GMS.")

    def _dm_unregister(self) -> None:
        for registration in self._dm_registrations or ():
            registration.end()
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


def _check_gone(workspace: Workspace, name: str, gone: list[bool]) -> None:
    """Report an object whose class does not tell DM of its deletion, as every published one does."""
    if not gone[0]:
        fault = RuntimeError(f"{name} has no __del__ that calls DM.Py_ScriptObject.__del__(self).")
        workspace.main_thread.escape(fault, None)


def _call(
    workspace: Workspace,
    reference: Callable[[], Any],
    handler: str,
    output: Output | None,
    *arguments: Any,
) -> None:
    """Call the handler of a listener, if that still exists, with new handles of the arguments."""
    listener = reference()
    if listener is None:
        return
    workspace.streams.install()
    token, inside = current_output.set(output), _in_handler.set(True)
    try:
        getattr(listener, handler)(*(wrap(workspace, argument) for argument in arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - DM continues whatever a script raises
        workspace.main_thread.escape(error, output)
        if workspace.switches.after_exception == "ends":
            listener._dm_unregister()  # noqa: SLF001 - a user's class: all names but these are its own
    finally:
        del listener  # or this frame would keep it alive, and its images
        current_output.reset(token)
        _in_handler.reset(inside)


def _itself(listener: Any) -> Any:
    """Return the listener: with `partial` a reference that keeps it alive."""
    return listener
