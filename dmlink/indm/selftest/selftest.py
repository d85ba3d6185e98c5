"""Finds out how a real DigitalMicrograph behaves where nothing is published, and writes one file of answers.

Run it in a script window with the live view running in front: once with "Execute on background thread"
ticked, and once without. It takes less than a minute. It asks you before it opens two small windows,
which it closes again, and before it uses the camera; it closes no other window and leaves no changes
behind. The file, gms-report.json in your user folder, has versions and answers, but no names, paths or serial
numbers; everything in it is also printed. Please send it to the makers of dmlink.
"""

from __future__ import annotations

import time
from typing import Any

import DigitalMicrograph as DM

from dmlink.indm.gms import delete_image, live_view, refusal, version
from dmlink.indm.selftest.answers import Answers, allowed
from dmlink.indm.selftest.events import ask_about_live_events, ask_about_own_events
from dmlink.indm.selftest.images import ask_about_images, creations, own_image
from dmlink.indm.selftest.surroundings import ask_about_camera, ask_about_python, missing


def shared_names() -> dict[str, Any]:
    """Return the global names that all scripts share; this script has its own (see `dmlink.bundle`)."""
    shared: dict[str, Any] = globals().get("dmlink_shared", globals())
    return shared


def unit_kind(image: Any) -> str:
    """Return whether the unit of the live view is text or bytes."""
    unit = image.GetDimensionCalibration(0, 0)[2]
    plain = unit.decode("latin-1") if isinstance(unit, bytes) else str(unit or "")
    return "empty" if not plain else "ASCII text" if plain == ascii(plain)[1:-1] else type(unit).__name__


def ask_with_windows(answers: Answers) -> None:
    """Ask the questions that need a window of our own, if the user allows it."""
    if not allowed(
        "dmlink self-test: it opens two small windows of its own for some seconds and closes them again, and "
        "lets one error happen on purpose. It closes no other window. Press "
        "Cancel to skip these questions."
    ):
        return
    image = own_image()
    try:
        answers.ask("missing", lambda: missing(image))
        for part in (ask_about_own_events, ask_about_images):
            answers.part(lambda part=part: part(answers, image))  # type: ignore[misc]
    finally:
        delete_image(image)


def main() -> None:
    """Ask all questions."""
    print("dmlink self-test begins")
    shared = shared_names()
    answers = Answers()
    answers.part(lambda: answers.gms.extend(version()))
    answers.part(lambda: ask_about_python(answers, shared))
    view = live_view()
    answers.ask("create_image", lambda: creations(view))
    if refusal(tuple(answers.gms)):
        print(refusal(tuple(answers.gms)))
    else:
        if view is None:
            print("There is no live view: start View and run the self-test again.")
        else:
            answers.ask("unit", lambda: unit_kind(view))
            answers.part(lambda: ask_about_live_events(answers, view))
        del view
        answers.part(lambda: ask_with_windows(answers))
        answers.part(lambda: ask_about_camera(answers))
    answers.ask("failing", lambda: sorted(answers.failing - set(answers.found.get("missing", ()))))
    answers.part(lambda: DM.GetPersistentTagGroup().DeleteTagWithLabel("dmlink"))
    answers.write()
    ticks = shared.get("dmlink_selftest_ticks")
    print("dmlink self-test ends")
    if isinstance(ticks, dict):  # the next run compares with this one's end
        ticks["end"] = time.perf_counter()


if __name__ == "__main__":
    main()
