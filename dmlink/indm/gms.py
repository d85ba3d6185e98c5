"""Facts about DigitalMicrograph (GMS) needed to use its images: version, axes, rectangles."""

from __future__ import annotations

import contextlib
import math
from typing import Any, Callable, Iterator, Sequence

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.info import Axis, ascii_text, tags_of

RESULT_TAG = "dmlink:result"  # tag on images created by dmlink, so that they are not used as a live view
RGB = 23  # data type of a colour image
CRASHING = {(3, 50), (3, 51)}  # GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view


def version() -> tuple[int, ...]:
    """Return (major, minor, build) of GMS, such as (3, 61, 4719), which only DM-script knows; or ()."""
    numbers = []
    with contextlib.suppress(Exception):
        DM.ExecuteScriptString(
            "number a, b, c\n"
            "GetApplicationVersion(a, b, c)\n"
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:major", a)\n'
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:minor", b)\n'
            'GetPersistentTagGroup().TagGroupSetTagAsLong("dmlink:version:build", c)\n'
        )
        for part in ("major", "minor", "build"):
            found, value = DM.GetPersistentTagGroup().GetTagAsLong("dmlink:version:" + part)
            numbers.append(int(value) if found else 0)
    return tuple(numbers) if len(numbers) == 3 else ()


def refusal(gms: tuple[int, ...]) -> str:
    """Return why this version of GMS cannot be used; empty if it can."""
    if gms[:2] in CRASHING:
        return "GMS 3.5.0 and 3.5.1 crash with scripts that listen to a live view. Use GMS 3.5.2 or later."
    return ""


def on_main_thread(unknown: bool) -> bool:
    """Return whether the script runs on DM's main thread, or `unknown` if this GMS does not say."""
    try:
        return bool(DM.IsScriptOnMainThread())
    except Exception:
        return unknown


def axis(image: Any, dimension: int) -> Axis:
    """Return the calibration of an image's dimension: 0 is x, 1 is y, which a spectrum does not have."""

    def calibration() -> Any:
        return image.GetDimensionCalibration(dimension, 0) if dimension < image.GetNumDimensions() else None

    found = read_if_possible(image, calibration, None)
    if found is None:
        return Axis()
    origin, scale, unit = found
    if not (math.isfinite(origin) and math.isfinite(scale)):
        return Axis()
    return Axis(float(origin), float(scale), ascii_text(unit))


def value_unit_of(image: Any) -> str:
    """Return the unit of an image's values, such as "e-"; empty if it has none, or GMS does not say."""
    try:
        return ascii_text(image.GetIntensityUnitString())
    except Exception:  # for whatever reason this GMS refuses it
        return ""


def read_if_possible(image: Any, read: Callable[[], Any], otherwise: Any) -> Any:
    """Return what `read` returns, or `otherwise` if this GMS fails although the image's window is open."""
    try:
        return read()
    except Exception:
        if not has_window(image):
            raise
        return otherwise


def pixels_of(image: Any) -> np.ndarray:
    """Return the memory of an image as frames: (h, w), spectra as (1, n), colours as (h, w, 3) uint8.

    Raises
    ------
    ValueError
        If it is none of these, or its colours are packed into numbers; the message is for the user.
    """
    try:
        array: np.ndarray = image.GetNumArray()
    except Exception as error:  # it is not known what DM raises for colour images
        raise ValueError(
            f"DigitalMicrograph does not give the pixels of {title_of(image)!r} to Python: {error}"
        ) from None
    if array.ndim == 2 and not (array.dtype in (np.int32, np.uint32) and _is_colour(image)):
        return array
    if array.ndim == 2:
        raise ValueError(
            f"DigitalMicrograph packs each colour of {title_of(image)!r} into one number. "
            "Stream the images that it was made from."
        )
    if array.ndim == 1:
        return array.reshape(1, -1)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        return array
    raise ValueError(
        f"The image {title_of(image)!r} has the shape {array.shape}; only images (h, w), spectra and "
        "colour images can be streamed."
    )


def title_of(image: Any) -> str:
    """Return the image's name, or "?" if DM does not say it."""
    try:
        return str(image.GetName())
    except Exception:
        return "?"


def tags_on(image: Any) -> dict[str, float]:
    """Return the tags that `info.tags` has."""
    found: dict[str, float] = read_if_possible(image, lambda: tags_of(image), {})
    return found


def shown_images() -> Iterator[Any]:
    """Yield every image that has a window, the front one first, except results shown by dmlink."""
    seen = set()
    for image in _open_images():
        try:
            number = image.GetID()
        except Exception:  # just closed
            continue
        if number not in seen and not is_ours(image):
            seen.add(number)
            yield image
        del image  # DM frees an image only when Python no longer refers to it


def _open_images() -> Iterator[Any]:
    """Yield the front image, then those of all documents; some of them twice."""
    with contextlib.suppress(Exception):  # there is none
        yield DM.GetFrontImage()
    try:
        n = DM.CountImageDocuments()
    except Exception:
        yield from _images_behind()
        return
    for i in range(n):
        with contextlib.suppress(Exception):  # without a window or an image, or just closed
            yield _with_window(DM.GetImageDocument(i))


def _is_colour(image: Any) -> bool:
    """Return whether GMS calls the image a colour image; one without `GetDataType` does not say."""
    try:
        return bool(image.GetDataType() == RGB)
    except Exception:
        return False


def _images_behind() -> Iterator[Any]:
    """Yield the images behind the front one, as far as GMS finds them."""
    seen = set()
    with contextlib.suppress(Exception):  # there is none, or GMS cannot find the next one
        image = DM.GetFrontImage()
        while image is not None and image.GetID() not in seen:
            seen.add(image.GetID())
            image = image.FindNextImage()
            if image is not None:
                yield image


def live_view() -> Any:
    """Return the front image if it can be streamed, else the first one that can; None if there is none."""
    for image in shown_images():
        try:
            pixels_of(image)
        except Exception:
            continue
        return image
    return None


def fault_of_view() -> str:
    """Return why the front image cannot be streamed; empty if there is no image in front."""
    try:
        image = DM.GetFrontImage()
    except Exception as error:
        return str(error) if isinstance(error, AttributeError) else ""
    try:
        DM.FindImageByID(image.GetID())
        image.GetOrCreateImageDocument().GetWindow()
        pixels_of(image)
    except Exception as error:
        return str(error)
    return ""


def _with_window(document: Any) -> Any:
    document.GetWindow()
    return document.GetImage(0)


def is_ours(image: Any) -> bool:
    """Return whether dmlink has created the image, to show a result."""
    try:
        found, value = image.GetTagGroup().GetTagAsBoolean(RESULT_TAG)
    except Exception:  # an image whose tags cannot be read is not ours
        return False
    return bool(found and value)


def has_window(image: Any) -> bool:
    """Return whether an image still has a window, if no listener can report that it was closed."""
    try:
        return image.GetOrCreateImageDocument().GetWindow() is not None
    except Exception:
        return False


@contextlib.contextmanager
def unless_closed(image: Any) -> Iterator[None]:
    """Continue after any failure inside that is due to the image's window having been closed."""
    try:
        yield
    except Exception:
        if has_window(image):
            raise


def delete_image(image: Any) -> None:
    """Close an image's window and let DM free it."""
    try:
        DM.DeleteImage(image)
    except Exception:
        with contextlib.suppress(Exception):
            DM.CloseImage(image)


def unregister(listener: Any) -> None:
    """Unregister listeners, if DM can (GMS up to 3.5.1 cannot); failures are ignored."""
    with contextlib.suppress(Exception):
        listener.UnregisterAllListeners()


def line_on(image: Any) -> tuple[float, ...] | None:
    """Return the first line drawn on the image, (y0, x0, y1, x1) in pixels; None without one."""
    for roi in rois_on(image):
        with contextlib.suppress(Exception):  # only trying shows whether it is a line
            x0, y0, x1, y1 = roi.GetLine()
            line = float(y0), float(x0), float(y1), float(x1)
            if np.isfinite(line).all():
                return line
    return None


def rois_on(image: Any) -> list[Any]:
    """Return the ROIs on the image; none if its window was just closed, or if GMS does not report them."""
    display = display_of(image)
    n = 0 if display is None else read_if_possible(image, lambda: int(display.CountROIs()), 0)
    found = []
    for i in range(n):
        with contextlib.suppress(Exception):  # removed since they were counted; the others stay
            found.append(display.GetROI(i))
    return found


def line_from(line: tuple[float, ...] | None, top: int, left: int) -> tuple[float, ...] | None:
    """Return the line in pixels of the region that starts at (top, left); it may extend beyond the region."""
    return line and tuple(v - corner for v, corner in zip(line, (top, left, top, left)))


def display_of(image: Any) -> Any:
    """Return the display of the image; None if its window has just been closed."""
    try:
        return image.GetImageDisplay(0)
    except Exception:  # it is not known how GMS reports this
        return None


def clamped(rectangle: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of (top, left, bottom, right) that lies on the image: at least one pixel."""
    top = min(max(0, int(rectangle[0])), height - 1)
    left = min(max(0, int(rectangle[1])), width - 1)
    return (
        top,
        left,
        min(max(top + 1, int(rectangle[2])), height),
        min(max(left + 1, int(rectangle[3])), width),
    )
