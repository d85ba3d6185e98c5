"""Questions about images: which arrays can become images, and how drawings on them can be removed."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import delete_image
from dmlink.indm.selftest.answers import Answers

CUBE = np.zeros((2, 3, 4), np.float32)
TYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64", "complex128",
    "int64", "uint64", "bool", "float16",
)  # fmt: skip
FORMS: dict[str, Callable[[], Any]] = {
    **{name: partial(np.zeros, (3, 4), name) for name in TYPES},
    "view": lambda: CUBE[0],
    "linspace": lambda: np.linspace(0.0, 1.0, 5),
    "1-D": lambda: np.zeros(5, np.float32),
    "row": lambda: np.zeros((1, 5), np.float32),
    "3-D": lambda: np.zeros((2, 3, 4), np.float32),
    "Fortran order": lambda: np.zeros((4, 3), np.float32).T.copy(order="F"),
}


def own_image() -> Any:
    """Open a small window of our own."""
    image = DM.CreateImage(np.zeros((64, 64), np.float32))
    image.SetName("dmlink self-test")
    image.ShowImage()
    return image


def creations(front: Any) -> dict[str, str]:
    """Return the result of CreateImage for each kind of array: "ok", None or an exception."""
    made = {name: created(form) for name, form in FORMS.items()}
    if front is not None:
        made["array of an image"] = created(lambda: front.GetNumArray())  # noqa: PLW0108 - it may fail
    return made


def created(form: Callable[[], Any]) -> str:
    """Return the result of CreateImage for an array."""
    try:
        array = form()
        image = DM.CreateImage(array)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    if image is None:
        return "None"
    try:
        back = image.GetNumArray()
        same = back.shape == array.shape and back.dtype == array.dtype
        return "ok" if same else f"{back.dtype} {list(back.shape)}"
    finally:
        delete_image(image)


def ask_about_images(answers: Answers, image: Any) -> None:
    """Ask using our own open window."""
    display = image.GetImageDisplay(0)
    answers.attempt("DM.CountImageDocuments", lambda: DM.CountImageDocuments())  # noqa: PLW0108 - or missing
    answers.attempt("DM.GetImageDocument", lambda: DM.GetImageDocument(0).GetImage(0))
    answers.attempt("Py_Image.FindNextImage", lambda: image.FindNextImage())  # noqa: PLW0108
    answers.attempt("Py_Image.GetDataType", lambda: image.GetDataType())  # noqa: PLW0108
    answers.attempt("DM.DeleteImage", lambda: DM.DeleteImage(DM.CreateImage(np.zeros((4, 4), np.uint8))))
    answers.ask("roi_removal", lambda: roi_removal(image, display))
    answers.ask("annotations", lambda: annotation_removal(answers, image, display))
    answers.ask("colours", lambda: colours(answers))
    answers.ask("deleted_usable", deleted_usable)


def roi_removal(image: Any, display: Any) -> str:
    """Return how a rectangle can be removed: by Python, by DM-script or not at all."""
    for way, remove in (("python", by_python), ("script", by_script)):
        roi = DM.NewROI()
        roi.SetRectangle(8, 8, 16, 16)
        display.AddROI(roi)
        before = display.CountROIs()
        try:
            remove(image, display, roi)
        except Exception:  # noqa: BLE001, S112 - then the other way is tried
            continue
        if display.CountROIs() < before:
            return way
    return "no"


def by_python(image: Any, display: Any, roi: Any) -> None:  # noqa: ARG001
    """Remove a rectangle with a call that no published script uses."""
    display.DeleteROI(roi)


def by_script(image: Any, display: Any, roi: Any) -> None:  # noqa: ARG001
    """Remove a rectangle through DM-script."""
    DM.ExecuteScriptString(
        f"FindImageByID({image.GetID()}).ImageGetImageDisplay(0)"
        f".ImageDisplayDeleteROI(GetROIFromID({roi.GetID()}))"
    )


def annotation_removal(answers: Answers, image: Any, display: Any) -> str:
    """Return what happens when DM-script removes an annotation."""
    text = display.AddNewComponent(13, 8, 8, 20, 60)
    answers.attempt("Py_Component.TextAnnotationSetText", lambda: text.TextAnnotationSetText("dmlink"))
    before = display.CountChildren()
    try:
        DM.ExecuteScriptString(
            f"FindImageByID({image.GetID()}).ImageGetImageDisplay(0)"
            f".ComponentGetChild({before - 1}).ComponentRemoveFromParent()"
        )
    except Exception:  # noqa: BLE001
        return "refused"
    return "removed" if display.CountChildren() < before else "kept"


def colours(answers: Answers) -> str:
    """Return whether DM-script shows a colour image, and Python finds it by its ID."""
    planes = [DM.CreateImage(np.zeros((4, 4), np.uint8)) for _ in range(3)]
    labels = ", ".join(plane.GetLabel() for plane in planes)
    try:
        DM.ExecuteScriptString(
            f"RGBimage shown := rgb({labels})\n"
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:selftest", shown.ImageGetID())\n'
            "shown.ShowImage()"
        )
    except Exception:  # noqa: BLE001
        answers.failing.add("DMScript.ImageGetID")
        return "fails"
    finally:
        for plane in planes:
            delete_image(plane)
    try:
        image = DM.FindImageByID(int(DM.GetPersistentTagGroup().GetTagAsLong("dmlink:selftest")[1]))
        if image is not None:
            answers.ask("colour_pixels", lambda: colour_pixels(image))
        return "ok" if image is not None else "not found by its number"
    finally:
        answers.attempt(
            "DMScript.DeleteImage",
            lambda: DM.ExecuteScriptString(
                "number n\n"
                'GetPersistentTagGroup().TagGroupGetTagAsLong("dmlink:selftest", n)\n'
                "FindImageByID(n).DeleteImage()"
            ),
        )


def colour_pixels(image: Any) -> str:
    """Return type and shape of a colour image's array; "refused" if Python gets none."""
    try:
        array = image.GetNumArray()
    except Exception:  # noqa: BLE001
        return "refused"
    return f"{array.dtype} {list(array.shape)}"


def deleted_usable() -> bool:
    """Return whether an image can still be read after it was deleted."""
    image = DM.CreateImage(np.ones((4, 4), np.float32))
    delete_image(image)
    try:
        return bool(image.GetNumArray().sum() == 16)
    except Exception:  # noqa: BLE001
        return False
