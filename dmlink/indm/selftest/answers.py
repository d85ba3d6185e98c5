"""Answers: the findings of the self-test, printed immediately and written to one file at the end."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, Callable

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.questions import NOT_ASKED, QUESTIONS, REPORT_FORMAT, REPORT_VERSION

DMLINK = ""  # version of dmlink that wrote this script
FOLDER = r""  # folder for the report; your user folder if this is empty
ASK = True  # True: ask you before opening and closing windows, and before using the camera


class Answers:
    """The answers by the names in QUESTIONS, and the calls that failed along the way."""

    def __init__(self) -> None:
        self.gms: list[int] = []
        self.found: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self.failing: set[str] = set()

    def ask(self, name: str, answer: Callable[[], Any]) -> Any:
        """Record and print the answer to a question; an exception is recorded, too, and the test goes on."""
        try:
            self.found[name] = answer()
        except Exception as error:  # noqa: BLE001 - for whatever reason GMS refuses it
            self.problems[name] = type(error).__name__  # its text may contain names and paths
            print(f"{QUESTIONS[name]} {type(error).__name__}: {error}")
        else:
            print(f"{QUESTIONS[name]} {json.dumps(self.found[name])}")
        return self.found.get(name)

    def part(self, ask: Callable[[], Any]) -> None:
        """Ask several questions; a failure ends only this part."""
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - for whatever reason GMS refuses it
            self.problems[f"part {len(self.problems) + 1}"] = type(error).__name__
            print(f"A part of the self-test has ended early. {type(error).__name__}: {error}")

    def attempt(self, call: str, do: Callable[[], Any]) -> bool:
        """Run an action that uses a DigitalMicrograph call, and record the call if it fails."""
        try:
            do()
        except Exception:  # noqa: BLE001
            self.failing.add(call)
            return False
        return True

    def report(self) -> dict[str, Any]:
        """Return the content of the report: numbers, names of calls and packages, nothing personal."""
        return {
            "format": REPORT_FORMAT,
            "version": REPORT_VERSION,
            "dmlink": DMLINK,
            "gms": self.gms,
            "python": list(sys.version_info[:3]),
            "numpy": str(np.__version__),
            "system": f"{platform.system()} {platform.release()}",
            "main_thread": on_main_thread(),
            "answers": {name: self.found.get(name, NOT_ASKED) for name in QUESTIONS},
            "problems": self.problems,
        }

    def write(self) -> None:
        """Write the report to a new file and print it."""
        text = json.dumps(self.report(), indent=1, sort_keys=True)
        print("---- gms-report.json, complete contents ----")
        print(text)
        print("----")
        folder = Path(FOLDER) if FOLDER else Path.home()
        for number in range(1, 1000):
            path = folder / (f"gms-report-{number}.json" if number > 1 else "gms-report.json")
            try:
                with open(os.fspath(path), "x", encoding="ascii") as file:  # noqa: PTH123 - as scripts can
                    file.write(text + "\n")
            except FileExistsError:
                continue
            except OSError as error:
                print(f"The report cannot be written ({error}): copy it from here, between the lines.")
                return
            print(f"Wrote {path}. Please send us this file.")
            return


def allowed(text: str) -> bool:
    """Ask the user; if no dialog can be shown, the answer is no."""
    if not ASK:
        return True
    try:
        return bool(DM.OkCancelDialog(text))
    except Exception:  # noqa: BLE001
        return False


def on_main_thread() -> bool:
    """Return whether we run on DigitalMicrograph's main thread; False if it does not say."""
    try:
        return bool(DM.IsScriptOnMainThread())
    except Exception:  # noqa: BLE001
        return False


def wait_for(condition: Callable[[], Any], seconds: float) -> bool:
    """Let DM work until the condition is true or the time is up; return whether it is true."""
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            return False
        if on_main_thread():
            DM.DoEvents()
        time.sleep(0.005)
    return True
