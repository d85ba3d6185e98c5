"""Report: writes what benchmarks have measured into the pages that have a place for it, in docs/.

`python benchmarks/report.py` measures anew (`link` and `soak_link`, six minutes); given the files of
`dmlink bench NAME --json FILE`, it writes these.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dmlink.cli import bench

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "performance.md", DOCS / "scaling.md")
DEFAULT = ("link", "soak_link")


def main() -> None:
    """Measure or read, and write."""
    files = [Path(name) for name in sys.argv[1:]]
    reports = [json.loads(file.read_text("utf-8")) for file in files] or [bench.measure(n) for n in DEFAULT]
    for report in reports:
        page = page_of(report["benchmark"])
        page.write_text(replaced(page.read_text("utf-8"), report), "utf-8")


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
