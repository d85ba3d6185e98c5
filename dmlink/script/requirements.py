"""Requirements: the Python version and packages that a script needs in DigitalMicrograph (GMS)."""

from __future__ import annotations

import ast
import re
import sys

import vermin  # type: ignore[import-untyped]

from dmlink.gms_versions import NEWEST, OLDEST

DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
}
# GMS has NumPy 1.15 to 1.23, which must not be updated; from NumPy's release notes, 2.0 to 2.3
NEW_IN_NUMPY_2 = set(
    "acos acosh asin asinh atan atan2 atanh astype bitwise_count bitwise_invert bitwise_left_shift "  # noqa: SIM905
    "bitwise_right_shift concat cumulative_prod cumulative_sum isdtype matrix_transpose matvec permute_dims "
    "pow trapezoid unique_all unique_counts unique_inverse unique_values unstack vecdot vecmat".split()
)


def packages(text: str) -> str:
    """Return which packages the script imports, and how to install them for GMS."""
    modules = {module for module, _, _ in _imports(ast.parse(text))}
    missing = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"dmlink", "numpy"}
    if not missing:
        return "NumPy, which comes with GMS"
    names = " ".join(sorted(DISTRIBUTIONS.get(package, package) for package in missing))
    return f"NumPy, which comes with GMS, and in its environment GMS_VENV_PYTHON: pip install {names}"


def versions(text: str) -> list[str]:
    """Return which Python and NumPy the script needs beyond the oldest GMS, with the lines that need them."""
    needs = []
    newer = newer_python(text)
    if newer:
        highest = max(version for version, _, _ in newer)
        gms = "GMS 3.6 or later" if highest <= NEWEST else "newer than GMS 3.6 has"
        used = ", ".join(f"{what} (line {line})" for _, what, line in newer)
        needs.append(f"Python {highest[0]}.{highest[1]} ({gms}): {used}")
    if newer_numpy := _newer_numpy(text):
        needs.append(f"NumPy 2 (GMS 3.6 has 1.23): {', '.join(newer_numpy)}")
    return needs


def newer_python(text: str) -> list[tuple[tuple[int, int], str, int]]:
    """Return (version, feature, line) of everything that needs a newer Python than the oldest GMS has."""
    found = []
    config = vermin.Config()
    config.set_verbose(3)  # report lines
    config.set_ignore_incomp(True)  # it takes the result of bytes.decode for Python 2
    for line in vermin.visit(text, config).output_text().splitlines():
        match = re.match(r"L(\d+).*?: (.+?) requires? .*, (\d+)\.(\d+)$", line)
        if match and (version := (int(match[3]), int(match[4]))) > OLDEST:
            found.append((version, match[2], int(match[1])))
    return found


def _newer_numpy(text: str) -> list[str]:
    tree = ast.parse(text)
    imports = list(_imports(tree))
    modules = {name for module, attribute, name in imports if (module, attribute) == ("numpy", "")}
    found = [
        f"{node.value.id}.{node.attr} (line {node.lineno})"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
        and node.attr in NEW_IN_NUMPY_2
    ]
    return found + [f"numpy.{a}" for module, a, _ in imports if module == "numpy" and a in NEW_IN_NUMPY_2]


def _imports(tree: ast.Module) -> list[tuple[str, str, str]]:
    """Return (module, attribute or "", name) of all imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names]
    return found
