# ruff: noqa: N801, N802 - names and meaning are DigitalMicrograph's
"""The module `DigitalMicrograph` itself: its functions, and nothing that is not known to exist in GMS."""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dmlink.simulator.displays import Roi, line_plot
from dmlink.simulator.dmscript import DMScript
from dmlink.simulator.documents import Document
from dmlink.simulator.files import opened
from dmlink.simulator.handles import ascii_only, unwrap, wrap
from dmlink.simulator.images import Py_Image, create_image
from dmlink.simulator.listeners import script_object_class
from dmlink.simulator.output import speaking
from dmlink.simulator.tags import Py_TagGroup

if TYPE_CHECKING:
    from dmlink.simulator.acquisition import Py_Camera
    from dmlink.simulator.workspace import Workspace


def digitalmicrograph(workspace: Workspace, camera: Py_Camera) -> ModuleType:
    """Return the module as scripts of this workspace see it."""
    module = ModuleType("DigitalMicrograph", "A simulated DigitalMicrograph.")
    functions = _Functions(workspace, camera)
    for name in dir(functions):
        if not name.startswith("_"):
            setattr(module, name, getattr(functions, name))
    module.Py_ScriptObject = script_object_class(workspace)  # type: ignore[attr-defined]
    module.Py_Microscope = Py_Microscope  # type: ignore[attr-defined]
    return module


class Py_Microscope:
    """The microscope's column; no call of it is well enough known to be simulated."""

    __slots__ = ()


class _Functions:
    """Every public method is a function of the module."""

    def __init__(self, workspace: Workspace, camera: Py_Camera) -> None:
        self._workspace = workspace
        self._camera = camera

    # Finding

    def GetFrontImage(self) -> Any:
        return wrap(_existing(self._workspace.front_image(), "GetFrontImage"))

    def FindFrontImage(self) -> Any:
        return wrap(self._workspace.front_image())

    def GetFrontImageDocument(self) -> Any:
        return wrap(_existing(self._workspace.front_document(), "GetFrontImageDocument"))

    def FindImageByID(self, number: int) -> Any:
        return self._find("id", number)

    def FindImageByName(self, name: str) -> Any:
        return self._find("name", name)

    def FindImageByLabel(self, label: str) -> Any:
        return self._find("label", label)

    def _find(self, attribute: str, value: Any) -> Any:
        images = self._workspace.living_images()
        return next((Py_Image(image) for image in images if getattr(image, attribute) == value), None)

    def CountImageDocuments(self) -> int:
        return len(self._workspace.documents)

    def GetImageDocument(self, index: int) -> Any:
        with self._workspace.lock:
            if not 0 <= index < len(self._workspace.documents):
                raise IndexError(f"GetImageDocument({index}): there are {len(self._workspace.documents)}.")
            return wrap(self._workspace.documents[index])

    def ImageGetOrCreateImageDocument(self, image: Any) -> Any:
        return wrap(unwrap(image, "Py_Image", "ImageGetOrCreateImageDocument").ensure_document())

    def GetLinePlotImageDisplay(self, display: Any) -> Any:
        return wrap(line_plot(unwrap(display, "Py_ImageDisplay", "GetLinePlotImageDisplay")))

    def GetROIFromID(self, number: int) -> Any:
        return wrap(_existing(self._workspace.rois.get(number), f"GetROIFromID({number})"))

    # Making and ending

    def CreateImage(self, array: Any) -> Py_Image | None:
        return create_image(self._workspace, array)

    def NewImageDocument(self, name: str) -> Any:
        return wrap(Document(self._workspace, ascii_only(name, "NewImageDocument")))

    def NewROI(self) -> Any:
        return wrap(Roi(self._workspace))

    def DeleteImage(self, image: Any) -> None:
        unwrap(image, "Py_Image", "DeleteImage").delete()

    def CloseImage(self, image: Any) -> None:
        if document := unwrap(image, "Py_Image", "CloseImage").document:
            document.close()

    def OpenImage(self, path: str) -> Any:
        return wrap(opened(self._workspace, path, "OpenImage"))

    def NewImageDocumentFromFile(self, path: str) -> Any:
        return wrap(opened(self._workspace, path, "NewImageDocumentFromFile").ensure_document())

    def GetActiveCamera(self) -> Py_Camera:
        return self._camera

    # Tags and DM-script

    def GetPersistentTagGroup(self) -> Py_TagGroup:
        return Py_TagGroup(self._workspace.persistent, single_use=self._workspace.switches.stale_persistent)

    def NewTagGroup(self) -> Py_TagGroup:
        return Py_TagGroup({})

    def NewTagList(self) -> Py_TagGroup:
        return Py_TagGroup([])

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
        if not self._workspace.desktop.on_main_thread and speaking.get() is None:
            raise RuntimeError("Result from a Python thread of a script's own: GMS would hang here.")
        (speaking.get() or self._workspace.results).write(str(text))

    def ClearResults(self) -> None:
        self._workspace.results.clear()

    # Threads

    def IsScriptOnMainThread(self) -> bool:
        return self._workspace.desktop.on_main_thread

    def DoEvents(self) -> None:
        desktop = self._workspace.desktop
        if desktop.on_main_thread:
            desktop.do_events()
            return
        if self._workspace.switches.do_events == "raise":
            raise RuntimeError("DoEvents off the main thread: GMS would hang here.")
        while True:
            threading.Event().wait(0.05)  # in slices, so that an interrupt is seen

    def Sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            threading.Event().wait(min(left, 0.05))  # in slices, so that an interrupt is seen


def _existing(thing: Any, call: str) -> Any:
    if thing is None:
        raise RuntimeError(f"{call}: there is none.")
    return thing
