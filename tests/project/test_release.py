"""The release: one version, and a wheel and a source distribution that contain what they need."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import check_jsonschema
import pytest
from click.testing import CliRunner
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from project import ROOT
from ruamel.yaml import YAML

import dmlink
from dmlink import gallery

VERSION = dmlink.__version__
FORMS = ("gms-report", "problem", "wish")


def of_the_project():
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone: what belongs to the project is not known")
    return {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    [path] = WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"]
    )
    with zipfile.ZipFile(path) as file:
        yield file


def told(wheel, name):
    return wheel.read(f"dmlink-{VERSION}.dist-info/{name}").decode()


def test_wheel_has_every_file(wheel):
    places = {
        "dmlink/": "dmlink/",
        "widgets/dmlink_widgets/": "dmlink_widgets/",
        "widgets/labextensions/": f"dmlink-{VERSION}.data/data/share/jupyter/labextensions/",
        "benchmarks/": "dmlink/benchmarks/",
        "notebooks/": "dmlink/notebooks/",
    }
    wanted = {
        place + name.removeprefix(source)
        for name in of_the_project()
        for source, place in places.items()
        if name.startswith(source)
    }
    there = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert there == wanted


def test_wheel_runs_without_a_clone(wheel):
    there = set(wheel.namelist())
    assert {"dmlink/notebooks/01-first-live-cell.ipynb", "dmlink/py.typed"} <= there
    assert {
        "dmlink_widgets/pacing/fence.js",
        "dmlink_widgets/panels/panel.css",
        "dmlink_widgets/py.typed",
    } <= there
    assert {f"dmlink/gallery/{name}.py" for name in gallery.names()} <= there
    assert {"dmlink/indm/companion/companion.py", "dmlink/indm/script/live.py"} <= there
    assert "dmlink = dmlink.cli:main" in told(wheel, "entry_points.txt")


def test_benchmarks_import_from_the_wheel(wheel, tmp_path):
    wheel.extractall(tmp_path)  # noqa: S202 - our own, just built
    code = """if True:
        import sys
        from dmlink.cli import bench
        assert bench.FOLDER == bench.INSTALLED
        for name in bench.names():
            bench._module(name)
        assert "benchmarks" not in sys.modules, "of the clone"
    """
    run = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_wheel_metadata_is_right(wheel):
    about = email.message_from_string(told(wheel, "METADATA"))
    assert (about["Name"], about["Version"]) == ("dmlink", VERSION)
    assert about["License-Expression"] == "BSD-3-Clause"
    assert about["Requires-Python"] == ">=3.11"
    assert "# dmlink" in about.get_payload()
    assert f"dmlink-{VERSION}.dist-info/licenses/LICENSE" in wheel.namelist()


def test_source_distribution_is_complete(tmp_path):
    [path] = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as file:
        there = {name.split("/", 1)[1] for name in file.getnames()}
    assert {"pyproject.toml", "constraints.txt", "dev.py", "LICENSE", "README.md", "CHANGELOG.md"} <= there
    assert {
        "tests/project/test_release.py",
        "dmlink/__init__.py",
        "widgets/dmlink_widgets/__init__.py",
    } <= there
    assert there - of_the_project() <= {"PKG-INFO"}


def test_version_is_the_changelogs_newest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "dmlink/__init__.py"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[1]
    assert newest == VERSION.split(".dev")[0]


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("citation-file-format", "CITATION.cff"),
        ("github-workflows", ".github/workflows/tests.yml"),
        *(("github-issue-forms", f".github/ISSUE_TEMPLATE/{name}.yml") for name in FORMS),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_metadata_files_follow_their_schema(schema, path):
    done = CliRunner().invoke(
        check_jsonschema.main, ["--builtin-schema", f"vendor.{schema}", str(ROOT / path)]
    )
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("form", ["gms-report", "problem"])
def test_issue_form_takes_a_gms_report(form):
    form = YAML(typ="safe").load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text("utf-8"))
    (field,) = [field for field in form["body"] if "gms-report.json" in field["attributes"]["label"]]
    assert field["type"] == "textarea"
    assert "render" not in field["attributes"], "files cannot be dragged into a rendered field"
    if form["name"] != "Something does not work":
        assert f"*{form['name']}*" in (ROOT / "docs" / "howto" / "send-your-gms.md").read_text("utf-8")


def test_conda_recipe_matches_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    recipe = YAML(typ="safe").load((ROOT / "conda" / "recipe.yaml").read_text("utf-8"))
    asked = {line.replace(" ", "") for line in recipe["requirements"]["run"]}
    assert asked == {*project["dependencies"], f"python{project['requires-python']}"}
