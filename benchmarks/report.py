"""Report: writes what benchmarks have measured into docs/performance.md.

`python benchmarks/report.py` measures anew (`link` and `soak_link`, six minutes); given the files of
`dmlink bench NAME --json FILE`, it writes these.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dmlink.cli import bench

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
DEFAULT = ("link", "soak_link")


def main() -> None:
    """Measure or read, and write."""
    files = [Path(name) for name in sys.argv[1:]]
    reports = [json.loads(file.read_text("utf-8")) for file in files] or [bench.measure(n) for n in DEFAULT]
    page = PAGE.read_text("utf-8")
    for report in reports:
        page = replaced(page, report)
    PAGE.write_text(page, "utf-8")


def replaced(page: str, report: dict[str, Any]) -> str:
    """Return the page with the section of this benchmark replaced; it stands between two comments."""
    name = report["benchmark"]
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    if begin not in page or end not in page:
        raise ValueError(f"{PAGE} has no lines {begin.strip()} and {end}; add them where the table belongs.")
    before, rest = page.split(begin, 1)
    _old, after = rest.split(end, 1)
    text = "\n".join(bench.lines(report)).rstrip()
    return f"{before}{begin}\n```text\n{text}\n```\n\n{end}{after}"


if __name__ == "__main__":
    main()
