"""Switches: where the behaviour of GMS differs between versions or is not known, both can be had."""

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
}


@dataclass(frozen=True)
class Switches:
    r"""How this DigitalMicrograph behaves; the defaults are the strictest that is known to occur.

    Attributes
    ----------
    version : tuple of int
        What `GetApplicationVersion` tells: (3, 61, 4719) is GMS 3.6.1, (3, 50, n) is 3.5.0.
    python : tuple of int
        Syntax that scripts may use.
    events : {"coalesce", "queue", "none"}
        What becomes of a data-changed event while an earlier one of the same image still waits; with "none"
        the live view sends no events at all.
    references : {"weak", "strong"}
        Whether a registration keeps its listener alive.
    create_image : {"raise", "none"}
        What `CreateImage` does with an array that it does not take.
    unregister_all : bool
        Whether `UnregisterAllListeners` exists (not up to GMS 3.5.1).
    unit_bytes : bool
        Whether a unit that is not ASCII is given to Python as bytes, such as `b'\xb5m'`.
    stale_persistent : bool
        Whether the object from `GetPersistentTagGroup` is good for one use only.
    twice_per_frame : bool
        Whether listeners are called twice for each frame, as by the In-Situ Player.
    partial_frames : int
        Bands of rows in which a frame arrives, with an event for each (STEM); 1 is a camera.
    threads : {"run", "frozen"}
        What becomes of the `threading.Thread` of a script, or of its handlers, once the script has ended.
    do_events : {"raise", "hang"}
        What `DoEvents` does off the main thread; one that hangs does so until the script is interrupted.
    scipy_in_background : bool
        Whether SciPy, matplotlib and Numba can be imported first on the background thread (from GMS 3.6 on).
    argv : {"host", "empty", "missing"}
        What `sys.argv` is.
    writable_cwd : bool
        Whether scripts can `open` files by relative paths; in DM these are in C:\Windows\system32.
    annotations : {"removed", "refused", "kept"}
        What becomes of one that DM-script is to remove: gone, an error, or nothing at all.
    confirm : bool
        What `OkCancelDialog` answers.
    """

    version: tuple[int, int, int] = (3, 61, 4719)
    python: tuple[int, int] = (3, 7)
    events: str = "coalesce"
    references: str = "weak"
    create_image: str = "raise"
    unregister_all: bool = True
    unit_bytes: bool = True
    stale_persistent: bool = True
    twice_per_frame: bool = False
    partial_frames: int = 1
    threads: str = "run"
    do_events: str = "raise"
    scipy_in_background: bool = True
    argv: str = "host"
    writable_cwd: bool = False
    annotations: str = "removed"
    confirm: bool = True

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: it must be one of {', '.join(choices)}.")
        if self.partial_frames < 1:
            raise ValueError(
                f"partial_frames={self.partial_frames}: a frame comes in 1 band of rows or more."
            )
