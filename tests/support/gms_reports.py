"""Two made-up reports of the self-test, for a newer and an older GMS; no real GMS wrote them."""

from project import ROOT

FOLDER = ROOT / "tests" / "support" / "gms_reports"
NEWER, OLDER = FOLDER / "made-up-3.61.json", FOLDER / "made-up-3.43.json"
REPORTS = [NEWER, OLDER]
