"""Switches: choose the behaviour where versions of GMS differ, or where GMS's behaviour is unknown."""

from __future__ import annotations

from dataclasses import dataclass

CHOICES = {
    "events": ("coalesce", "queue", "none"),
    "references": ("weak", "strong"),
    "create_image": ("raise", "none"),
    "threads": ("run", "frozen"),
    "do_events": ("raise", "hang"),
    "argv": ("host", "empty", "missing"),
    "annotations": ("removed", "refused", "kept"),
    "continuous": ("any", "exposure"),
    "in_situ": ("frame", "stack"),
    "handlers": ("main", "own"),
    "after_exception": ("goes on", "ends"),
    "roi_removal": ("script", "python", "no"),
    "python_strings": ("shared", "own"),
    "colour_pixels": ("refused", "planes", "packed"),
}


@dataclass(frozen=True)
class Switches:
    r"""How this DigitalMicrograph behaves; by default like the strictest known GMS 3.6.

    Attributes
    ----------
    version : tuple of int
        What `GetApplicationVersion` returns: (3, 61, 4719) is GMS 3.6.1, (3, 50, n) is 3.5.0.
    python : tuple of int
        Version of Python whose syntax scripts may use.
    events : {"coalesce", "queue", "none"}
        What happens to a data-changed event while an earlier one of the same image is still waiting; with
        "none", the live view sends no events at all.
    references : {"weak", "strong"}
        Whether a registration keeps its listener alive.
    create_image : {"raise", "none"}
        What `CreateImage` does with an invalid array.
    unregister_all : bool
        Whether `UnregisterAllListeners` exists (from GMS 3.5.2 on).
    unit_bytes : bool
        Whether Python gets a non-ASCII unit as bytes, such as `b'\xb5m'`.
    stale_persistent : bool
        Whether the object from `GetPersistentTagGroup` can be used only once, as one author saw in GMS 3.4.
    twice_per_frame : bool
        Whether listeners are called twice for each frame, as by the In-Situ Player.
    partial_frames : int
        Bands of rows in which a frame arrives, with an event for each (STEM); 1 for a camera.
    threads : {"run", "frozen"}
        What happens to threads started by a script or its handlers once the script has ended.
    do_events : {"raise", "hang"}
        What `DoEvents` does off the main thread; it hangs until the script is interrupted.
    scipy_in_background : bool
        Whether SciPy, matplotlib and Numba can be imported first on the background thread (from GMS 3.6 on).
    argv : {"host", "empty", "missing"}
        What `sys.argv` is.
    writable_cwd : bool
        Whether scripts can `open` files by relative paths, which in DM are relative to C:\Windows\system32.
    annotations : {"removed", "refused", "kept"}
        What happens when DM-script removes an annotation: it is removed, an error, or nothing at all.
    confirm : bool
        What `OkCancelDialog` answers.
    image_arrays : bool
        Whether `CreateImage` accepts an array from `GetNumArray`, as in 2019; never a view of it.
    deleted_usable : bool
        Whether an image can still be used after `DeleteImage` while Python has a reference.
    nested_listeners : bool
        Whether listeners can be created and registered inside a handler.
    strict_del : bool
        Whether it is an error to delete a listener whose class has no `__del__` that calls the base's.
    continuous : {"any", "exposure"}
        The shortest time-out with which `GetFrameInContinuousMode` returns a frame at all.
    in_situ : {"frame", "stack"}
        The image of an in-situ recording: its first frame, as published scripts expect, or all frames.
    handlers : {"main", "own"}
        Whether handlers are called on the main thread, or on DM's own separate thread.
    after_exception : {"goes on", "ends"}
        Whether a listener's handlers are still called after one has raised an exception.
    roi_removal : {"script", "python", "no"}
        How a rectangle can be removed: by DM-script, also by `Py_ImageDisplay.DeleteROI`, or not at all.
    python_strings : {"shared", "own"}
        Whether Python started by DM-script shares the global names of script windows.
    colour_pixels : {"refused", "planes", "packed"}
        What `GetNumArray` does with a colour image: an error, (h, w, 3) uint8, or (h, w) uint32.
    refused : tuple of str
        Arrays that `CreateImage` refuses although DM has such images: names of data types, "1-D", "row"
        (1, n), "3-D".
    timer : float
        Resolution (s) of `time.time`, `time.monotonic` and `time.sleep`; 0 for the computer's own.
    absent : tuple of str
        Packages that GMS's Python lacks, such as "numpy".
    loopback : bool
        Whether sockets can be bound to an IPv4 address.
    missing, failing : tuple of str
        Calls that do not exist, and calls that raise RuntimeError, such as "DM.CountImageDocuments",
        "Py_Image.FindNextImage" or, of DM-script, "DMScript.ComponentRemoveFromParent".
    """

    version: tuple[int, int, int] = (3, 61, 4719)
    python: tuple[int, int] = (3, 7)
    events: str = "coalesce"
    references: str = "weak"
    create_image: str = "raise"
    unregister_all: bool = True
    unit_bytes: bool = True
    stale_persistent: bool = False
    twice_per_frame: bool = False
    partial_frames: int = 1
    threads: str = "run"
    do_events: str = "raise"
    scipy_in_background: bool = True
    argv: str = "host"
    writable_cwd: bool = False
    annotations: str = "removed"
    confirm: bool = True
    image_arrays: bool = True
    deleted_usable: bool = True
    nested_listeners: bool = True
    strict_del: bool = False
    continuous: str = "any"
    in_situ: str = "frame"
    handlers: str = "main"
    after_exception: str = "goes on"
    roi_removal: str = "script"
    python_strings: str = "shared"
    colour_pixels: str = "refused"
    refused: tuple[str, ...] = ()
    timer: float = 0.0
    absent: tuple[str, ...] = ()
    loopback: bool = True
    missing: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: it must be one of {', '.join(choices)}.")
        if not 0 <= self.timer <= 1:
            raise ValueError(f"timer={self.timer}: the step of a clock must be from 0 to 1 s.")
        if self.partial_frames < 1:
            raise ValueError(f"partial_frames={self.partial_frames}: it must be 1 band of rows or more.")
