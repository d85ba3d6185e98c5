"""The documentation: the site builds without a warning, and what its pages tell to type works.

Every block of Python, of cells of a notebook ("ipython") and of a shell runs, page by page and in order,
beside a simulated microscope. A comment `<!-- not run: why -->` before a block says why that one cannot;
its syntax is looked at all the same.
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

from dmlink import cli
from dmlink.cli import demo

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<kind>python|ipython|bash)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Return (kind, text, why it is not run or None) of each block of code of a page."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        (m["kind"], re.sub(f"^{m['indent']}", "", m["text"], flags=re.MULTILINE), m["why"]) for m in found
    ]


def test_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", ROOT / "docs", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
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
    """Give the endpoint of a microscope for all pages."""
    with demo.microscope([], tmp_path_factory.mktemp("microscope")) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(not why for *_, why in blocks(page))], ids=name
)
def test_what_a_page_tells_to_type_works(page, endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_ENDPOINT", endpoint)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    shells = {"bash": "%%bash\nset -e\n", "python": "", "ipython": ""}
    cells = [nbformat.v4.new_code_cell(shells[kind] + text) for kind, text, why in blocks(page) if not why]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()


def test_pages_of_the_repository_that_the_readme_names_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
