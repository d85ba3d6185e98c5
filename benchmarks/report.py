"""Report: writes benchmark results into the pages in docs/ that have a place for them.

`python benchmarks/report.py` runs all benchmarks that have such a place, one after another: two hours,
on an otherwise idle computer. Given names (`link cells`), it runs these; given files of
`dmlink bench NAME --json FILE`, it writes them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from dmlink.cli import bench

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "performance.md", DOCS / "scaling.md")


def main() -> None:
    """Measure or read, and write."""
    failed = []
    for what in sys.argv[1:] or in_pages():
        try:
            report = json.loads(Path(what).read_text("utf-8")) if what.endswith(".json") else measured(what)
            check(report["result"])
            page = page_of(report["benchmark"])
            page.write_text(replaced(page.read_text("utf-8"), report), "utf-8")  # at once: an hour may follow
        except Exception:  # noqa: BLE001 - go on with the others; the old table stays
            traceback.print_exc()
            failed.append(what)
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}.")


def measured(name: str) -> dict[str, Any]:
    """Return the report of a benchmark, run in its own process: some leave threads behind."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "dmlink", "bench", name, "--json", str(file)]
        subprocess.run(command, check=True, cwd=DOCS.parent)  # noqa: S603
        report: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return report


def check(result: dict[str, Any]) -> None:
    """Raise if a result, or a part of it, could not be measured."""
    for part in (result, *result.values()):
        if isinstance(part, dict) and (why := part.get("failed") or part.get("why")):
            raise RuntimeError(why)


def in_pages() -> list[str]:
    """Return the benchmarks that have a place in a page."""
    texts = "".join(page.read_text("utf-8") for page in PAGES)
    return re.findall(r"^<!-- (\w+): begin -->$", texts, re.MULTILINE)


def page_of(name: str) -> Path:
    """Return the page that has a place for a benchmark."""
    for page in PAGES:
        if f"<!-- {name}: begin -->" in page.read_text("utf-8"):
            return page
    pages = " or ".join(str(page) for page in PAGES)
    raise ValueError(f"No page has a line <!-- {name}: begin -->; add it to {pages}, where it belongs.")


def replaced(page: str, report: dict[str, Any]) -> str:
    """Return the page with the section of this benchmark replaced; it stands between two comments."""
    name = report["benchmark"]
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = page.split(begin, 1)
    _old, after = rest.split(end, 1)
    text = "\n".join(bench.lines(report)).rstrip()
    return f"{before}{begin}\n```text\n{text}\n```\n\n{end}{after}"


if __name__ == "__main__":
    main()
