"""The commands: `dmlink NAME`, one small module each."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from importlib import import_module

from dmlink import __version__

COMMANDS = (
    "demo",
    "simulate",
    "companion",
    "view",
    "doctor",
    "export",
    "check",
    "info",
    "record",
    "process",
    "convert",
    "bench",
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (it failed) or 2 (invalid arguments)."""
    parser = argparse.ArgumentParser(
        prog="dmlink", description="Live analysis of an electron microscope's frames."
    )
    parser.add_argument("--version", action="version", version=f"dmlink {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"dmlink.cli.{name}").add_parser(subparsers)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # on Windows, a pipe may lack letters such as those of units
            stream.reconfigure(errors="backslashreplace")
    overwrites = False
    try:
        options = parser.parse_args(arguments)
        overwrites = "overwrite" in options
        code: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except (OSError, RuntimeError, ValueError, SyntaxError) as error:
        print(f"dmlink: {_sentence(error, overwrites=overwrites)}", file=sys.stderr)
        return 1
    return code


def _sentence(error: Exception, *, overwrites: bool) -> str:
    """Return an error as one line; those of the system have a number, a text and a file name.

    `overwrites` says whether the command has --overwrite.
    """
    if isinstance(error, OSError) and error.filename is not None:
        advice = ""
        if error.strerror == os.strerror(errno.EEXIST):
            advice = " Choose another name, or use --overwrite." if overwrites else " Choose another name."
        return f"{error.filename}: {error.strerror}.{advice}"
    return " ".join(str(error).split())
