"""The page of promises: every promise names tests, and they exist."""

from __future__ import annotations

import ast
import functools
import re

import pytest
from project import ROOT

from dmlink.cli import bench

PAGE = (ROOT / "docs" / "promises.md").read_text("utf-8")
PROMISES = [
    line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| (?!promise )[^-]", line)
]


@functools.cache
def functions_of(file):
    (path,) = (ROOT / "tests").rglob(f"test_{file}.py")
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_page_has_promises():
    assert len(PROMISES) > 100


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0].strip(" *")[:40])
def test_promise_names_existing_tests(promise):
    shown = re.findall(r"`([^`]+)`", promise[1])
    assert shown
    for name in shown:
        if "::" in name:
            file, test = name.split("::")
            assert f"test_{test}" in functions_of(file)
        elif name.startswith("dmlink bench "):
            assert name.removeprefix("dmlink bench ") in bench.names()
        else:
            assert (ROOT / name).is_file()
