"""DM-script's functions: those that Python scripts use."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.frame import Axis
from dmlink.simulator.dm.displays import TEXT, Component, Display
from dmlink.simulator.dm.dmscript_syntax import ScriptError
from dmlink.simulator.dm.images import Image
from dmlink.simulator.dm.tags import find_tag, set_tag, tag_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.dm.displays import Roi
    from dmlink.simulator.dm.documents import Document
    from dmlink.simulator.dm.workspace import Workspace

_TAG_TYPES: dict[type, float] = {dict: 0, list: 0, int: 3, float: 7, bool: 8, tuple: 15, str: 20}
_KINDS: dict[str, Callable[[Any], Any]] = {
    "string": str, "text": str, "number": float, "float": float, "double": float, "boolean": bool,
    "long": int, "short": int, "uint16": int, "uint32": int, "int32": int, "taggroup": lambda group: group,
}  # fmt: skip
_OUTPUTS = {
    "getapplicationversion": (0, 1, 2),
    "taggroupparsetagpath": (2, 3),
    "componentgetboundingrect": (1, 2, 3, 4),
    "stringappend": (0,),
    "getmaximaldocumentwindowrect": (1, 2, 3, 4),
}


class Functions:
    """Every `_do_...` method is a DM-script function; in a method call, the object is its first argument."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, name: str) -> Callable[..., Any] | None:
        """Return the function with this lower-case name; None if this DigitalMicrograph has none."""
        call, switches = f"dmscript.{name}", self._workspace.switches
        if call in map(str.lower, switches.missing):
            return None
        no_removal = name == "imagedisplaydeleteroi" and switches.roi_removal == "no"
        if no_removal or call in map(str.lower, switches.failing):
            return _fail
        match = re.fullmatch(r"taggroup(set|get|insert)(indexed)?tagas(\w+)", name)
        if match:
            return self._tags(match[1], match[3]) if match[3] in _KINDS else None
        function: Callable[..., Any] | None = getattr(self, "_do_" + name, None)
        return function

    def outputs(self, name: str, arguments: int) -> tuple[int, ...]:
        """Return the arguments into which the function writes."""
        if name.startswith("taggroupget") and "tagas" in name:
            return (arguments - 1,)
        return _OUTPUTS.get(name, ())

    # Tags

    def _tags(self, verb: str, kind: str) -> Callable[..., Any]:
        convert = _KINDS[kind]

        def put(group: Any, where: Any, value: Any) -> None:
            if isinstance(where, str):
                set_tag(group, where, convert(value))
            elif isinstance(group, list):
                group[int(where)] = convert(value)
            else:
                group[list(group)[int(where)]] = convert(value)

        def insert(group: list[Any], where: float, value: Any) -> None:
            group.insert(int(min(where, len(group))), convert(value))

        def get(group: Any, where: Any, output: Any) -> float:
            found, value = find_tag(group, where) if isinstance(where, str) else _indexed(group, where)
            text = kind in {"string", "text"}
            if not found or (isinstance(value, (dict, list)) != (kind == "taggroup")):
                return 0.0
            output.set(value if kind == "taggroup" else tag_text(value) if text else float(value))
            return 1.0

        return {"set": put, "insert": insert, "get": get}[verb]

    def _do_getpersistenttaggroup(self) -> dict[str, Any]:
        return self._workspace.persistent_tags

    def _do_newtaggroup(self) -> dict[str, Any]:
        return {}

    def _do_newtaglist(self) -> list[Any]:
        return []

    def _do_taggroupisvalid(self, group: Any) -> float:
        return float(isinstance(group, (dict, list)))

    def _do_taggroupislist(self, group: Any) -> float:
        return float(isinstance(group, list))

    def _do_taggroupcounttags(self, group: Any) -> float:
        return float(len(group))

    def _do_taggroupgettaglabel(self, group: Any, index: float) -> str:
        return list(group)[int(index)] if isinstance(group, dict) else ""

    def _do_taggroupgettagtype(self, group: Any, index: float, _part: float) -> float:
        return _TAG_TYPES[type(_indexed(group, index)[1])]

    def _do_taggroupdoestagexist(self, group: Any, path: str) -> float:
        return float(find_tag(group, path)[0])

    def _do_taggroupcreatenewlabeledtag(self, group: dict[str, Any], label: str) -> float:
        group[label] = 0
        return float(list(group).index(label))

    def _do_taggroupparsetagpath(self, group: Any, path: str, source: Any, label: Any) -> float:
        head, _, last = path.rpartition(":")
        inner = find_tag(group, head)[1] if head else group
        source.set(inner)
        label.set(last)
        return float(list(inner).index(last))

    def _do_taggroupcopytagtoindex(self, group: Any, index: float, source: Any, at: float) -> None:
        key = list(group)[int(index)] if isinstance(group, dict) else int(index)
        group[key] = copy.deepcopy(_indexed(source, at)[1])

    def _do_taggroupdeletetagwithlabel(self, group: dict[str, Any], label: str) -> float:
        return float(group.pop(label, None) is not None)

    def _do_setpersistentnumbernote(self, path: str, value: float) -> None:
        set_tag(self._workspace.persistent_tags, path, float(value))

    def _do_setpersistentstringnote(self, path: str, value: str) -> None:
        set_tag(self._workspace.persistent_tags, path, value)

    # Text and numbers

    def _do_len(self, text: str) -> float:
        return float(len(text))

    def _do_left(self, text: str, n: float) -> str:
        return text[: max(0, int(n))]

    def _do_right(self, text: str, n: float) -> str:
        return text[len(text) - int(n) :] if n > 0 else ""

    def _do_mid(self, text: str, start: float, n: float) -> str:
        return text[int(start) : int(start + n)]

    def _do_find(self, text: str, part: str) -> float:
        return float(text.find(part))

    def _do_stringappend(self, text: Any, more: str) -> None:
        text.set(text.value + more)

    def _do_val(self, text: str) -> float:
        match = re.match(r"\s*-?\d+\.?\d*(?:[eE][+-]?\d+)?", text)
        return float(match[0]) if match else 0.0

    def _do_unc(self, text: str, index: float) -> float:
        return float(ord(text[int(index)]))

    def _do_infinity(self) -> float:
        return float("inf")

    # GMS

    def _do_getapplicationversion(self, major: Any, minor: Any, build: Any) -> None:
        for output, value in zip((major, minor, build), self._workspace.switches.version):
            output.set(float(value))

    def _do_getapplicationdirectory(self, _name: str, _create: float) -> str:
        return ""

    def _do_executepythonscriptstring(self, text: str, background: float = 0.0) -> None:
        self._workspace.run_python(text, bool(background))

    def _do_addscripttomenu(self, text: str, item: str, menu: str, submenu: str, library: float) -> None:
        if not library:
            self._workspace.menu[tuple(filter(None, (menu, submenu, item)))] = text

    def _do_result(self, value: Any) -> None:
        self._workspace.results.write(number_text(value))

    def _do_cleardebug(self) -> None:
        pass

    # Workspaces: pages of windows, which have no effect here

    def _do_workspacegetactive(self) -> float:
        return float(self._workspace.active_page)

    def _do_workspacesetactive(self, page: float) -> None:
        self._workspace.active_page = self._page(page)

    def _do_workspacegetcount(self) -> float:
        return float(len(self._workspace.pages))

    def _do_workspacegetfromindex(self, index: float) -> float:
        return float(list(self._workspace.pages)[int(index)])

    def _do_workspacegetindex(self, page: float) -> float:
        return float(list(self._workspace.pages).index(int(page)) if page in self._workspace.pages else -1)

    def _do_workspaceadd(self, _index: float) -> float:
        page = max(self._workspace.pages) + 1
        self._workspace.pages[page] = f"Workspace {page}"
        return float(page)

    def _do_workspacegetname(self, page: float) -> str:
        return self._workspace.pages[self._page(page)]

    def _do_workspacesetname(self, page: float, name: str) -> None:
        self._workspace.pages[self._page(page)] = name

    def _page(self, page: float) -> int:
        if page not in self._workspace.pages:
            raise ScriptError(f"There is no workspace {page:g}.")
        return int(page)

    def _do_getmaximaldocumentwindowrect(self, _options: float, *edges: Any) -> None:
        for output, value in zip(edges, (0.0, 0.0, 1000.0, 1800.0)):
            output.set(value)

    # Images

    def _do_getfrontimage(self) -> Image:
        image = self._workspace.front_image()
        if image is None:
            raise ScriptError("There is no front image.")
        return image

    def _do_findimagebyid(self, number: float) -> Image:
        for image in self._workspace.living_images():
            if image.id == number:
                return image
        raise ScriptError(f"There is no image with the ID {number:g}.")

    def _do_rgb(self, *planes: Image) -> Image:
        if len(planes) != 3 or not all(isinstance(p, Image) and not p.rgb for p in planes):
            raise ScriptError("rgb needs three images.")
        if len({p.shape for p in planes}) != 1 or {p.memory.dtype.name for p in planes} != {"uint8"}:
            raise ScriptError("rgb needs three images of the same size, of type uint8.")
        return self._workspace.new_image(np.stack([p.memory for p in planes], axis=-1), "Untitled", rgb=True)

    def _do_red(self, image: Image) -> Image:
        return self._plane(image, 0)

    def _do_green(self, image: Image) -> Image:
        return self._plane(image, 1)

    def _do_blue(self, image: Image) -> Image:
        return self._plane(image, 2)

    def _plane(self, image: Image, index: int) -> Image:
        if not _an_image(image).rgb:
            raise ScriptError(f"{image.name!r} is not an RGB image.")
        return self._workspace.new_image(image.memory[..., index].copy(), "Untitled")

    def _do_showimage(self, image: Image) -> None:
        self._workspace.show(self._workspace.document_for(_an_image(image)))

    def _do_updateimage(self, image: Image) -> None:
        self._workspace.update(_an_image(image))

    def _do_deleteimage(self, image: Image) -> None:
        self._workspace.delete(_an_image(image))

    def _do_setname(self, image: Image, name: str) -> None:
        _an_image(image).name = name

    def _do_setzoom(self, image: Image, _zoom: float) -> None:
        self._workspace.display_of(_an_image(image))

    def _do_imagegetid(self, image: Image) -> float:
        return float(_an_image(image).id)

    def _do_imagegettaggroup(self, image: Image) -> dict[str, Any]:
        return _an_image(image).tags

    def _do_imagegetdimensionsize(self, image: Image, dim: float) -> float:
        return float(_an_image(image).shape[::-1][int(dim)])

    def _do_imagecountimagedisplays(self, image: Image) -> float:
        return float(self._workspace.document_of(_an_image(image)) is not None)

    def _do_imagesetdimensioncalibration(
        self, image: Image, dim: float, origin: float, scale: float, unit: str, form: float
    ) -> None:
        if form != 0 or not 0 <= dim < len(_an_image(image).axes):
            raise ScriptError(f"ImageSetDimensionCalibration: dimension {dim:g}, format {form:g}.")
        image.axes[int(dim)] = Axis(origin, scale, unit)

    def _do_insitutags_copyrecordtags(self, source: Image, target: Image) -> None:
        _an_image(target).tags.update(copy.deepcopy({k: v for k, v in source.tags.items() if k == "In-situ"}))

    def _do_insitutags_setrawdatainfo(self, image: Image, _source: Image) -> None:
        set_tag(_an_image(image).tags, "Meta Data:Format", "Image stack")

    def _do_imdsetfunctioninsituprofile(self, image: Image) -> None:
        set_tag(_an_image(image).tags, "Meta Data:Function", "InSitu profile")

    def _do_imdsetfunctioninsitudirector(self, image: Image) -> None:
        set_tag(_an_image(image).tags, "Meta Data:Function", "InSitu director")

    # Documents and windows

    def _do_getfrontimagedocument(self) -> Document:
        document = self._workspace.front_document()
        if document is None:
            raise ScriptError("There is no front image document.")
        return document

    def _do_countimagedocuments(self, _workspace: float = 0.0) -> float:
        return float(len(self._workspace.documents))

    def _do_getimagedocument(self, index: float, _workspace: float = 0.0) -> Document:
        return self._workspace.documents[int(index)]

    def _do_imagedocumentgetname(self, document: Document) -> str:
        return document.name

    def _do_imagedocumentgetcurrentfile(self, document: Document) -> str:
        return document.file

    def _do_imagedocumentsetcurrentfile(self, document: Document, path: str) -> None:
        document.file = path

    def _do_imagedocumentsetcurrentfilesaveformat(self, document: Document, _name: str) -> None:
        if document.closed:
            raise ScriptError("The document is closed.")

    def _do_imagedocumentclean(self, document: Document) -> None:
        if document.closed:
            raise ScriptError("The document is closed.")

    def _do_imagedocumentoptimizewindow(self, document: Document) -> None:
        if document.window and document.display:
            h, w = (1, *document.display.image.shape)[-2:]
            document.window.size = w, h

    def _do_imagedocumentcountimages(self, document: Document) -> float:
        return float(document.display is not None)

    def _do_imagedocumentgetimage(self, document: Document, index: float) -> Image:
        if document.display is None or index:
            raise ScriptError(f"ImageDocumentGetImage({index:g}): there is none.")
        return document.display.image

    def _do_getdocumentwindow(self, _index: float) -> str:
        return "the script's window"  # here, no text is run from a file

    def _do_windowisvalid(self, _window: Any) -> float:
        return 1.0

    def _do_windowislinkedtofile(self, _window: Any) -> float:
        return 0.0

    # Displays

    def _do_imagegetimagedisplay(self, image: Image, number: float) -> Display:
        if number != 0:
            raise ScriptError(f"ImageGetImageDisplay({number:g}): an image has one display, number 0.")
        return self._workspace.display_of(_an_image(image))

    def _do_getroifromid(self, number: float) -> Roi:
        roi = self._workspace.roi(int(number))
        if roi is None:
            raise ScriptError(f"There is no ROI with the ID {number:g}.")
        return roi

    def _do_imagedisplaydeleteroi(self, display: Display, roi: Roi) -> None:
        if roi not in display.rois:
            raise ScriptError("ImageDisplayDeleteROI: the ROI is not on this display.")
        self._workspace.remove_roi(display, roi)

    def _do_newroi(self) -> Roi:
        return self._workspace.new_roi()

    def _do_roisetline(self, roi: Roi, *ends: float) -> None:
        x0, y0, x1, y1 = map(float, ends)
        roi.rectangle, roi.line = None, (x0, y0, x1, y1)
        self._workspace.changed()

    def _do_roisetvolatile(self, roi: Roi, on: float) -> None:
        roi.volatile = bool(on)

    def _do_imagedisplayaddroi(self, display: Display, roi: Roi) -> None:
        if roi not in display.rois:
            display.rois.append(roi)
            self._workspace.changed()

    def _do_newcomponent(self, kind: float, *rectangle: float) -> Component:
        top, left, bottom, right = rectangle
        return Component(int(kind), (top, left, bottom, right))

    def _do_newtextannotation(self, left: float, top: float, text: str, size: float) -> Component:
        component = Component(TEXT, (top, left, top + size, left + size * len(text) / 2))
        component.text = text
        return component

    def _do_componentaddchildatend(self, display: Display, component: Component) -> None:
        display.components.append(component)

    def _do_componentsetforegroundcolor(self, component: Component, *colour: float) -> None:
        red, green, blue = colour
        component.colour = (red, green, blue)

    def _do_componentgetboundingrect(self, component: Component, *edges: Any) -> None:
        for output, value in zip(edges, component.rectangle):
            output.set(value)

    def _do_componentgetchild(self, display: Display, index: float) -> Component:
        if not 0 <= index < len(display.components):
            raise ScriptError(f"ComponentGetChild({index:g}): it has {len(display.components)}.")
        return display.components[int(index)]

    def _do_componentremovefromparent(self, component: Component) -> None:
        happens = self._workspace.switches.annotations
        if happens == "refused":
            raise ScriptError("Unknown function 'ComponentRemoveFromParent'.")
        for document in list(self._workspace.documents):
            if document.display and component in document.display.components:
                if happens == "removed":
                    document.display.components.remove(component)
                return
        raise ScriptError("ComponentRemoveFromParent: the component has no parent.")


def _fail(*_: Any) -> None:
    raise ScriptError("This function fails in this version of GMS.")


def number_text(value: Any) -> str:
    """Return a value as DM-script writes it."""
    return value if isinstance(value, str) else f"{value:g}"


def _indexed(group: Any, index: float) -> tuple[bool, Any]:
    values = list(group.values()) if isinstance(group, dict) else group
    return (True, values[int(index)]) if 0 <= index < len(values) else (False, None)


def _an_image(value: Any) -> Image:
    if not isinstance(value, Image):
        raise ScriptError(f"Expected an image, not {value!r}.")
    return value
