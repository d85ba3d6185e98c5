# ruff: noqa: N802 - names and meaning are DigitalMicrograph's
"""The module `DigitalMicrograph` itself, with only those functions that are known to exist in GMS."""

from __future__ import annotations

import threading
import time
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.dm.column import Column
from dmlink.simulator.dm.displays import Display
from dmlink.simulator.dm.dmscript import DMScript
from dmlink.simulator.dm.files import open_image
from dmlink.simulator.dm.python.camera import Py_Camera
from dmlink.simulator.dm.python.column import Py_Microscope
from dmlink.simulator.dm.python.digiscan import DigiScan
from dmlink.simulator.dm.python.displays import Py_ImageDisplay, delete_roi, line_plot
from dmlink.simulator.dm.python.handles import CLASSES, unwrap, wrap
from dmlink.simulator.dm.python.images import Py_Image, create_image
from dmlink.simulator.dm.python.listeners import script_object_class
from dmlink.simulator.dm.text import ascii_only
from dmlink.simulator.output import current_output

if TYPE_CHECKING:
    from dmlink.simulator.dm.python.calls import Calls
    from dmlink.simulator.dm.python.tags import Py_TagGroup
    from dmlink.simulator.dm.workspace import Workspace
    from dmlink.simulator.frames import Frames


def digitalmicrograph(workspace: Workspace, frames: Frames, calls: Calls) -> ModuleType:
    """Return the module as scripts of this workspace see it; its camera sees `frames`."""
    module = ModuleType("DigitalMicrograph", "A simulated DigitalMicrograph.")
    column = Column()
    workspace.handles = {kind: calls.of(handle) for kind, handle in CLASSES.items()}
    if workspace.switches.roi_removal == "python":
        display = workspace.handles[Display]
        deleting = {"__slots__": (), "DeleteROI": delete_roi}
        workspace.handles[Display] = type(display.__name__, (display,), deleting)
    camera = calls.of(Py_Camera)(workspace, frames)
    for functions in (_Functions(workspace, camera), DigiScan(workspace, column, frames)):
        for name in dir(functions):
            if not name.startswith("_") and calls.has(f"DM.{name}"):
                setattr(module, name, calls.changed(f"DM.{name}", getattr(functions, name)))
    listener = calls.of(script_object_class(workspace))
    microscope = type("Py_Microscope", (calls.of(Py_Microscope),), {"_column": column, "__slots__": ()})
    for kind in (*workspace.handles.values(), type(camera), listener, microscope):
        if calls.has(f"DM.{kind.__name__}"):
            setattr(module, kind.__name__, kind)
    calls.check()
    return module


class _Functions:
    """Every public method is a function of the module."""

    def __init__(self, workspace: Workspace, camera: Py_Camera) -> None:
        self._workspace = workspace
        self._camera = camera
        self._wrap = partial(wrap, workspace)

    # Finding

    def GetFrontImage(self) -> Any:
        return self._wrap(_existing(self._workspace.front_image(), "GetFrontImage"))

    def FindFrontImage(self) -> Any:
        return self._wrap(self._workspace.front_image())

    def GetFrontImageDocument(self) -> Any:
        return self._wrap(_existing(self._workspace.front_document(), "GetFrontImageDocument"))

    def FindImageByID(self, number: int) -> Any:
        return self._find("id", number)

    def FindImageByName(self, name: str) -> Any:
        return self._find("name", name)

    def FindImageByLabel(self, label: str) -> Any:
        return self._find("label", label)

    def _find(self, attribute: str, value: Any) -> Any:
        images = self._workspace.living_images()
        return next((self._wrap(image) for image in images if getattr(image, attribute) == value), None)

    def CountImageDocuments(self) -> int:
        return len(self._workspace.documents)

    def GetImageDocument(self, index: int) -> Any:
        with self._workspace.lock:
            if not 0 <= index < len(self._workspace.documents):
                raise IndexError(f"GetImageDocument({index}): there are {len(self._workspace.documents)}.")
            return self._wrap(self._workspace.documents[index])

    def ImageGetOrCreateImageDocument(self, image: Any) -> Any:
        return self._wrap(
            self._workspace.document_for(unwrap(image, Py_Image, "ImageGetOrCreateImageDocument"))
        )

    def GetLinePlotImageDisplay(self, display: Any) -> Any:
        return self._wrap(line_plot(unwrap(display, Py_ImageDisplay, "GetLinePlotImageDisplay")))

    def GetROIFromID(self, number: int) -> Any:
        return self._wrap(_existing(self._workspace.roi(number), f"GetROIFromID({number})"))

    # Making and ending

    def CreateImage(self, array: Any) -> Py_Image | None:
        return create_image(self._workspace, array)

    def NewImageDocument(self, name: str) -> Any:
        return self._wrap(self._workspace.new_document(ascii_only(name, "NewImageDocument")))

    def NewROI(self) -> Any:
        return self._wrap(self._workspace.new_roi())

    def DeleteImage(self, image: Any) -> None:
        self._workspace.delete(unwrap(image, Py_Image, "DeleteImage"))

    def CloseImage(self, image: Any) -> None:
        document = self._workspace.document_of(unwrap(image, Py_Image, "CloseImage"))
        if document:
            self._workspace.close(document)

    def OpenImage(self, path: str) -> Any:
        return self._wrap(open_image(self._workspace, path, "OpenImage"))

    def NewImageDocumentFromFile(self, path: str) -> Any:
        document = self._workspace.document_for(open_image(self._workspace, path, "NewImageDocumentFromFile"))
        document.file = path
        return self._wrap(document)

    def GetActiveCamera(self) -> Py_Camera:
        return self._camera

    def GetCameraUnprocessedEnum(self) -> int:
        return 1

    def GetCameraGainNormalizedEnum(self) -> int:
        return 3

    def WorkspaceCountWindows(self, _workspace: int) -> int:
        with self._workspace.lock:
            return sum(document.window is not None for document in self._workspace.documents)

    # Tags and DM-script

    def GetPersistentTagGroup(self) -> Py_TagGroup:
        kind, workspace = self._workspace.handles[dict], self._workspace
        group: Py_TagGroup = kind(
            workspace, workspace.persistent_tags, single_use=workspace.switches.stale_persistent
        )
        return group

    def NewTagGroup(self) -> Any:
        return self._wrap({})

    def NewTagList(self) -> Any:
        return self._wrap([])

    def ExecuteScriptString(self, text: str) -> None:
        DMScript(self._workspace).execute(text)

    # Talking to the user

    def OkDialog(self, text: str) -> None:
        self._dialog("OkDialog", text)

    def OkCancelDialog(self, text: str) -> bool:
        self._dialog("OkCancelDialog", text)
        return self._workspace.switches.confirm

    def GetNumber(self, prompt: str, default: float) -> tuple[bool, float]:
        self._dialog("GetNumber", prompt)
        return self._workspace.switches.confirm, float(default)

    def _dialog(self, call: str, text: str) -> None:
        self._workspace.dialogs.append(ascii_only(text, call))
        self._workspace.changed()

    def Result(self, text: str) -> None:
        if not self._workspace.main_thread.is_current and current_output.get() is None:
            raise RuntimeError("Result from a Python thread of a script's own: GMS would hang here.")
        (current_output.get() or self._workspace.results).write(str(text))

    def SetOutputTo(self, _window: int) -> None:
        """Send prints to the results (0) or the debug window (2); here there is only one."""

    def ClearResults(self) -> None:
        self._workspace.results.clear()

    # Threads

    def IsScriptOnMainThread(self) -> bool:
        return self._workspace.main_thread.is_current

    def DoEvents(self) -> None:
        main_thread = self._workspace.main_thread
        if main_thread.is_current:
            main_thread.do_events()
            return
        if self._workspace.switches.do_events == "raise":
            raise RuntimeError("DoEvents off the main thread: GMS would hang here.")
        while True:
            threading.Event().wait(0.05)  # in slices, so that an interrupt is seen

    def Sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            left = max(0.0, end - time.monotonic())
            threading.Event().wait(min(left, 0.05))  # in slices, so that an interrupt is seen


def _existing(thing: Any, call: str) -> Any:
    if thing is None:
        raise RuntimeError(f"{call}: there is none.")
    return thing
