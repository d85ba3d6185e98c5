"""The commands: `dmlink NAME`, one small module each."""

from __future__ import annotations

import argparse
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
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except (OSError, RuntimeError, ValueError, SyntaxError) as error:
        print(f"dmlink: {_sentence(error)}", file=sys.stderr)
        return 1
    return code


def _sentence(error: Exception) -> str:
    """Return an error as one line; those of the system have a number, a text and a file name."""
    if isinstance(error, OSError) and error.filename is not None:
        advice = " Choose another name, or use --overwrite." if isinstance(error, FileExistsError) else ""
        return f"{error.filename}: {error.strerror}.{advice}"
    return " ".join(str(error).split())
