"""The site: `python -m sphinx -W docs docs/_site/html`; with `-b linkcheck`, the links to other sites.

Sphinx with myst-nb: pages stay Markdown that reads well on its own, the lessons are the notebooks themselves
(shown as they are; the tests run them), and the reference comes from docstrings and the commands' own help.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import dmlink
from dmlink import cli

HERE = Path(__file__).parent
MADE = HERE / "made"  # pages generated here, not under version control

project, version, release = "dmlink", dmlink.__version__, dmlink.__version__
project_copyright = "the dmlink developers, BSD-3-Clause"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_site"]
html_theme = "furo"
html_title = "dmlink"
html_copy_source = False
html_show_sourcelink = False

nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "undoc-members": False}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = False
napoleon_use_ivar = True
add_module_names = False
suppress_warnings = ["ref.python"]  # `y` is an attribute of two classes, neither of which is meant

linkcheck_timeout = 20


def command_help(name: str) -> str:
    """Return what `dmlink NAME --help` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        cli.main([name, "--help"])
    return said.getvalue().rstrip()


shutil.rmtree(MADE, ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", MADE / "lessons", ignore=shutil.ignore_patterns(".*"))
(MADE / "commands.md").write_text(
    "# Commands\n\nWhat each says with `--help`. Exit codes: 0, it was done; 1, it failed, with a sentence"
    " that says why; 2, it was not understood.\n\n"
    + "\n".join(f"## dmlink {name}\n\n```text\n{command_help(name)}\n```\n" for name in cli.COMMANDS),
    encoding="utf-8",
)
