"""DM-script: the few statements that Python scripts hand to `ExecuteScriptString`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from dmlink.indm.info import Axis
from dmlink.simulator.images import Image
from dmlink.simulator.tags import set_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmlink.simulator.displays import Component, Display, Roi
    from dmlink.simulator.workspace import Workspace

_TOKEN = re.compile(r'\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|("(?:\\.|[^"\\])*")|([A-Za-z_]\w*)|(:=|[=().,;-]))')
_TYPES = {"number", "string", "image", "rgbimage", "taggroup", "imagedisplay", "roi"}
_INTEGERS = {"long", "short", "uint16", "uint32", "int32"}


class ScriptError(Exception):
    """What is wrong with a statement."""


class DMScript:
    """One text of DM-script: declarations, assignments and calls; the names in it are its own."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._variables: dict[str, Any] = {}
        self._colour: set[str] = set()  # variables declared RGBimage
        self._tokens: list[str] = []

    def execute(self, text: str) -> None:
        """Run `text`.

        Raises
        ------
        ValueError
            If the text is not ASCII, on which GMS can crash.
        RuntimeError
            "Error in line N" and the reason, for every text that is not understood.
        """
        if not text.isascii():
            raise ValueError("ExecuteScriptString: text that goes to DM-script must be ASCII.")
        for number, line in enumerate(text.splitlines(), 1):
            try:
                self._tokens = _tokens(line)
                while self._tokens:
                    if not self._take(";"):
                        self._statement()
            except (ScriptError, TypeError, ValueError) as error:
                raise RuntimeError(f"Error in line {number}\n{error}") from None

    def _statement(self) -> None:
        word = self._tokens[0].lower()
        declared = word in _TYPES
        if declared:
            self._next()
        while True:
            name = self._tokens[0].lower() if self._tokens else ""
            operator = self._tokens[1] if len(self._tokens) > 1 else ""
            if declared and not name.isidentifier():
                raise ScriptError(f"A name should follow {word!r}.")
            if word == "rgbimage":
                self._colour.add(name)
            if operator in {"=", ":="}:
                del self._tokens[:2]
                self._assign(name, operator, self._value(self._expression()), declared=declared)
            elif declared:
                self._variables[self._next().lower()] = "" if word == "string" else 0.0
            else:
                self._value(self._expression())
            if not (declared and self._take(",")):
                break
        if self._tokens and not self._take(";"):
            raise ScriptError(f"Unexpected {self._tokens[0]!r}.")

    def _assign(self, name: str, operator: str, value: Any, *, declared: bool) -> None:
        if not declared and name not in self._variables:
            raise ScriptError(f"The variable {name!r} is not declared.")
        old = self._variables.get(name)
        if operator == "=" and isinstance(value, Image) and value.rgb and name not in self._colour:
            raise ScriptError(f"{name!r} must be declared RGBimage to be assigned colours.")
        if operator == "=" and not declared and isinstance(old, Image):
            if not isinstance(value, Image) or old.memory.shape != value.memory.shape or old.rgb != value.rgb:
                raise ScriptError(f"What is assigned to {name!r} is not an image of its size and type.")
            old.memory[...] = value.memory
        else:
            self._variables[name] = value

    # A parsed expression is (kind, what, arguments): "value", "name" or "call".

    def _expression(self) -> tuple[str, Any, list[Any]]:
        word = self._next()
        if word == "-":
            return "call", "negate", [self._expression()]
        parsed: tuple[str, Any, list[Any]]
        if word[0].isdigit():
            parsed = ("value", float(word), [])
        elif word.startswith('"'):
            parsed = ("value", re.sub(r"\\(.)", r"\1", word[1:-1]), [])
        elif word.isidentifier():
            parsed = ("call", word, self._arguments()) if self._take("(") else ("name", word, [])
        else:
            raise ScriptError(f"Unexpected {word!r}.")
        while self._take("."):
            method = self._next()
            if not self._take("("):
                raise ScriptError(f"{method!r} should be followed by its arguments.")
            parsed = ("call", method, [parsed, *self._arguments()])
        return parsed

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        while not self._take(")"):
            arguments.append(self._expression())
            if not self._take(",") and self._tokens[:1] != [")"]:
                raise ScriptError("A ')' is missing.")
        return arguments

    def _value(self, parsed: tuple[str, Any, list[Any]]) -> Any:
        kind, what, arguments = parsed
        if kind == "value":
            return what
        name = what.lower()
        if kind == "name":
            if name in self._variables:
                return self._variables[name]
            for image in self._workspace.living_images():
                if image.label.lower() == name:
                    return image
            raise ScriptError(f"Unknown name {what!r}.")
        if name == "getapplicationversion":
            return self._application_version(arguments)
        values = [self._value(argument) for argument in arguments]
        if match := re.fullmatch(r"taggroupsettagas(\w+)", name):
            return _set_tag_as(match[1], *values)
        function: Callable[..., Any] | None = getattr(self, "_do_" + name, None)
        if function is None:
            raise ScriptError(f"The simulator does not know the function {what!r}.")
        return function(*values)

    def _application_version(self, arguments: list[Any]) -> None:
        for (kind, what, _), number in zip(arguments, self._workspace.switches.version, strict=True):
            if kind != "name" or what.lower() not in self._variables:
                raise ScriptError("GetApplicationVersion wants three declared variables.")
            self._variables[what.lower()] = float(number)

    def _do_negate(self, value: float) -> float:
        return -value

    def _do_getpersistenttaggroup(self) -> dict[str, Any]:
        return self._workspace.persistent

    def _do_setpersistentnumbernote(self, path: str, value: float) -> None:
        set_tag(self._workspace.persistent, path, float(value))

    def _do_setpersistentstringnote(self, path: str, value: str) -> None:
        set_tag(self._workspace.persistent, path, value)

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

    def _do_imagegetimagedisplay(self, image: Image, number: float) -> Display:
        if number != 0:
            raise ScriptError(f"ImageGetImageDisplay({number:g}): an image has one display, number 0.")
        return _an_image(image).display

    def _do_getroifromid(self, number: float) -> Roi:
        roi = self._workspace.rois.get(int(number))
        if roi is None:
            raise ScriptError(f"There is no ROI with the ID {number:g}.")
        return roi

    def _do_imagedisplaydeleteroi(self, display: Display, roi: Roi) -> None:
        if roi not in display.rois:
            raise ScriptError("ImageDisplayDeleteROI: the ROI is not on this display.")
        display.remove_roi(roi)

    def _do_componentgetchild(self, display: Display, index: float) -> Component:
        if not 0 <= index < len(display.components):
            raise ScriptError(f"ComponentGetChild({index:g}): there are {len(display.components)}.")
        return display.components[int(index)]

    def _do_componentremovefromparent(self, component: Component) -> None:
        happens = self._workspace.switches.annotations
        if happens == "refused":
            raise ScriptError("Unknown function 'ComponentRemoveFromParent'.")
        for image in self._workspace.living_images():
            if image.document and component in image.display.components:
                if happens == "removed":
                    image.display.components.remove(component)
                return
        raise ScriptError("ComponentRemoveFromParent: the component has no parent.")

    def _do_rgb(self, *planes: Image) -> Image:
        if len(planes) != 3 or not all(isinstance(p, Image) and not p.rgb for p in planes):
            raise ScriptError("rgb wants three images.")
        if len({p.shape for p in planes}) != 1 or {p.memory.dtype.name for p in planes} != {"uint8"}:
            raise ScriptError("rgb wants three images of one size, of type uint8.")
        return Image(self._workspace, np.stack([p.memory for p in planes], axis=-1), "Untitled", rgb=True)

    def _do_showimage(self, image: Image) -> None:
        _an_image(image).ensure_document().show()

    def _do_updateimage(self, image: Image) -> None:
        _an_image(image).update()

    def _do_setname(self, image: Image, name: str) -> None:
        _an_image(image).name = name

    def _do_imagegetid(self, image: Image) -> float:
        return float(_an_image(image).id)

    def _do_imagegettaggroup(self, image: Image) -> dict[str, Any]:
        return _an_image(image).tags

    def _do_imagesetdimensioncalibration(
        self, image: Image, dim: float, origin: float, scale: float, unit: str, form: float
    ) -> None:
        if form != 0 or not 0 <= dim < len(_an_image(image).axes):
            raise ScriptError(f"ImageSetDimensionCalibration: dimension {dim:g}, format {form:g}.")
        image.axes[int(dim)] = Axis(origin, scale, unit)

    def _do_result(self, value: Any) -> None:
        self._workspace.results.write(f"{value:g}" if isinstance(value, float) else str(value))

    def _next(self) -> str:
        if not self._tokens:
            raise ScriptError("The line ends too early.")
        return self._tokens.pop(0)

    def _take(self, mark: str) -> bool:
        if self._tokens[:1] != [mark]:
            return False
        self._tokens.pop(0)
        return True


def _tokens(line: str) -> list[str]:
    tokens, position = [], 0
    while (rest := line[position:].strip()) and not rest.startswith("//"):
        match = _TOKEN.match(line, position)
        if match is None:
            raise ScriptError(f"Cannot read {rest!r}.")
        tokens.append(match[0].strip())
        position = match.end()
    return tokens


def _an_image(value: Any) -> Image:
    if not isinstance(value, Image):
        raise ScriptError(f"An image is wanted, not {value!r}.")
    return value


def _set_tag_as(kind: str, group: dict[str, Any], path: str, value: Any) -> None:
    if kind == "string":
        set_tag(group, path, str(value))
    elif kind in _INTEGERS:
        set_tag(group, path, int(value))
    elif kind in {"number", "float", "double"}:
        set_tag(group, path, float(value))
    elif kind == "boolean":
        set_tag(group, path, bool(value))
    else:
        raise ScriptError(f"The simulator does not know the function TagGroupSetTagAs{kind}.")
