"""The structure: imports point one way, and code in DigitalMicrograph has no dependencies."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest
import vermin
from importlinter.cli import lint_imports
from project import ROOT

KERNEL = sorted((ROOT / "dmlink").rglob("*.py"))
IN_DM = sorted((ROOT / "dmlink" / "indm").rglob("*.py"))
SIMULATOR = [*(ROOT / "dmlink" / "simulator").rglob("*.py"), ROOT / "dmlink" / "recordings" / "steps.py"]
TRIES_SCRIPTS = sorted(
    path for path in SIMULATOR if path.name not in {"picture.py", "player.py", "in_situ.py"}
)
WIDGETS = sorted((ROOT / "widgets").rglob("*.py"))
TESTS = {"tests", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}


def imported(path):
    """Return the modules that a file imports anywhere, and the names it imports from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)}
    return found


def dotted(path):
    """Return the dotted name of a module."""
    root = ROOT / "widgets" if "widgets" in path.relative_to(ROOT).parts else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def is_submodule(module):
    """Return whether a module is part of a package, but neither a command nor a gallery cell."""
    *package, short = module.split(".")
    return bool(package) and short != "__main__" and (package[-1] != "gallery" or short[0] == "_")


def name(path):
    return str(path.relative_to(ROOT))


def test_imports_make_no_circle(capsys, monkeypatch):
    # its logging setup would silence all existing loggers, also for later tests
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    broken = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True)  # it contains the contracts
    assert not broken, capsys.readouterr().out


@pytest.mark.parametrize("path", KERNEL, ids=name)
def test_only_the_notebook_door_uses_widgets(path):
    widgets = {m for m in imported(path) if m.split(".")[0] in {"dmlink_widgets", "ipywidgets", "bqplot"}}
    assert not widgets or path.name == "notebook.py"


@pytest.mark.parametrize("path", IN_DM, ids=name)
def test_code_in_dm_is_python_3_7(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    for module in imported(path):
        head = module.split(".")[0]
        assert (
            module.startswith("dmlink.indm")
            or head in sys.stdlib_module_names
            or head in {"numpy", "DigitalMicrograph"}
            or (path.name, head) == ("packing.py", "numcodecs")  # optional, see test_companion.py
        ), module


@pytest.mark.parametrize("path", TRIES_SCRIPTS, ids=name)
def test_simulator_runs_in_python_3_7(path):
    """Companion and scripts are tested in it, see test_gms_pythons.py."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text, feature_version=(3, 7)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":  # never runs
            lines[node.lineno - 1 : node.end_lineno] = []
    needed = vermin.visit("\n".join(lines)).minimum_versions()[1]
    assert needed is None or needed <= (3, 7)


@pytest.mark.parametrize("path", [*KERNEL, *WIDGETS], ids=name)
def test_nothing_imports_tests_or_simulator(path):
    players = {"dmlink/comparison", "dmlink/playback.py", "dmlink/cli/simulate.py"}
    simulator = {m for m in imported(path) if m.startswith("dmlink.simulator")}
    where = path.relative_to(ROOT).as_posix()
    assert not simulator or where.startswith(("dmlink/simulator/", *players))
    assert not {m for m in imported(path) if m.split(".")[0] in TESTS}


def test_axis_and_info_have_one_home():
    """Outside the code for DigitalMicrograph it is dmlink.frame, except for modules that this imports."""
    home = [ROOT / "dmlink" / name for name in ("frame.py", "summary.py", "exchange.py")]
    others = {*KERNEL, *WIDGETS} - {*IN_DM, *home}
    values = {"dmlink.indm.info.Axis", "dmlink.indm.info.Info"}
    assert [name(path) for path in sorted(others) if values & imported(path)] == []


def test_worker_loads_nothing_heavy():
    text = "import dmlink.engine.worker, sys; print(*(m for m in sys.modules if '.' not in m))"
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    heavy = {"IPython", "bqplot", "dask", "distributed", "h5py", "ipywidgets", "jsonschema", "matplotlib"}
    heavy |= {"nbformat", "scipy", "skimage", "tifffile", "zarr"}
    assert not heavy & set(said.split())


@pytest.mark.parametrize("module", [m for m in map(dotted, [*KERNEL, *WIDGETS]) if is_submodule(m)])
def test_no_submodule_is_shadowed(module):
    """In 0.1.0, `import dmlink.export as e` gave a function."""
    package, _, short = module.rpartition(".")
    face = import_module(package)
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "DigitalMicrograph":  # it only runs there
            raise
        assert short not in getattr(face, "__all__", ())
    else:
        assert isinstance(getattr(face, short), ModuleType)


@pytest.mark.parametrize("path", [*KERNEL, *WIDGETS], ids=name)
def test_files_are_renamed_in_one_place(path):
    """That place retries while another program has the file open on Windows."""
    text = path.read_text(encoding="utf-8")
    # methods of paths only: str.replace has two arguments, and copies with a change have keywords
    renaming = re.findall(r"\.rename\(|\bos\.replace\(|\b(?!self)\w+\.replace\([^,()=\"']+\)", text)
    assert not renaming or path.name == "renaming.py"


POSIX_ONLY = {
    *("crypt", "curses", "fcntl", "grp", "pexpect", "pty", "pwd", "readline", "resource", "termios", "tty"),
    *("SIGALRM", "SIGCONT", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1", "SIGUSR2", "AF_UNIX", "WNOHANG"),
    *("fork", "geteuid", "getgid", "getpgid", "getuid", "killpg", "mkfifo", "setsid", "statvfs"),
}


@pytest.mark.parametrize("path", [*KERNEL, *WIDGETS, *sorted((ROOT / "tests").rglob("*.py"))], ids=name)
def test_file_can_be_imported_on_windows(path):
    """What POSIX alone has is used in functions, or under a condition."""
    if path.parent.name == "checks" and not path.name.startswith("windows"):
        return  # commands for a developer's computer
    used = {word for node in run_at_import(ast.parse(path.read_text("utf-8"))) for word in words_of(node)}
    assert not used & POSIX_ONLY


def run_at_import(node):
    """Yield the nodes that are executed when a module is imported, except those that ask for the system."""
    asks = isinstance(node, (ast.If, ast.IfExp, ast.BoolOp)) and re.search(
        r"os\.name|sys\.platform|hasattr", ast.unparse(node)
    )
    if asks:
        return
    yield node
    parts = ast.iter_child_nodes(node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parts = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.Lambda):
        parts = []
    for part in parts:
        yield from run_at_import(part)


def words_of(node):
    """Return modules that a node imports, and the name or attribute that it reads."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {node.module, *(alias.name for alias in node.names)}
    return {getattr(node, "attr", None) or getattr(node, "id", None)}


def test_scripts_import_what_there_is():
    """Checks, benchmarks and docs scripts seldom run, so a moved module would go unnoticed."""
    scripts = [path for folder in ("benchmarks", "docs", "tests") for path in (ROOT / folder).rglob("*.py")]
    missing = [
        f"{name(path)}: {node.module}.{alias.name}"
        for path in scripts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dmlink")
        for alias in node.names
        if not is_there(node.module, alias.name)
    ]
    assert missing == []


def is_there(module, attribute):
    """Return whether a module has that attribute or submodule."""
    try:
        if hasattr(import_module(module), attribute):
            return True
        import_module(f"{module}.{attribute}")
    except ModuleNotFoundError as error:
        return error.name == "DigitalMicrograph"
    return True
