"""Two made-up reports of the self-test, of a newer and an older GMS; no GMS has written them."""

from project import ROOT

FOLDER = ROOT / "tests" / "support" / "gms_reports"
NEWER, OLDER = FOLDER / "made-up-3.61.json", FOLDER / "made-up-3.43.json"
REPORTS = [NEWER, OLDER]
