"""The page of promises: what it names exists, and no promise stands alone."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from dmlink.cli import bench

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "promises.md").read_text("utf-8")
PROMISES = [
    line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| (?!promise )[^-]", line)
]


@functools.cache
def functions_of(file):
    tree = ast.parse((ROOT / "tests" / f"test_{file}.py").read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0].strip(" *")[:40])
def test_each_promise_names_tests_or_benchmarks_that_exist(promise):
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
