"""The documentation: the site builds without a warning, and the code on its pages works.

Every block of Python, notebook cells ("ipython") and shell commands runs, page by page and in order,
with a simulated microscope. A comment `<!-- not run: why -->` before a block says why it cannot run;
its syntax is still checked.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from project import ROOT

from dmlink import cli
from dmlink.cli import demo

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]
OFTEN = ("README.md", "docs/cells.md", "docs/ten-minutes.md")  # the others run only before a release
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<kind>python|ipython|bash)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Return (kind, text, why it is not run or None) of each code block of a page."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        (m["kind"], re.sub(f"^{m['indent']}", "", m["text"], flags=re.MULTILINE), m["why"]) for m in found
    ]


@pytest.mark.exhaustive
def test_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", ROOT / "docs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "made" / "commands.html").read_text(encoding="utf-8")
    assert [command for command in cli.COMMANDS if f"dmlink {command}" not in commands] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_on_a_page_is_code(page):
    for kind, text, _ in blocks(page):
        if kind == "bash":
            done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        else:
            ast.parse(TransformerManager().transform_cell(text))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """Yield the endpoint of a microscope for all pages."""
    with demo.microscope([], tmp_path_factory.mktemp("microscope")) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if name(page) in OFTEN else pytest.mark.exhaustive)
        for page in PAGES
        if any(not why for *_, why in blocks(page))
    ],
    ids=name,
)
def test_page_runs_as_written(page, endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_ENDPOINT", endpoint)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    run = [(kind, text) for kind, text, why in blocks(page) if not why]
    if all(kind == "bash" for kind, _ in run):
        in_a_shell([text for _, text in run], tmp_path)
    else:
        in_a_notebook(["%%bash\nset -e\n" * (kind == "bash") + text for kind, text in run], tmp_path)


def in_a_shell(texts, folder):
    for text in texts:
        done = subprocess.run(
            ["bash", "-e"], input=text, cwd=folder, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


def in_a_notebook(texts, folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    client = nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}})
    client.execute()


def test_readme_links_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
