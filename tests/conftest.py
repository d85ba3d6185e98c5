"""Shared by all tests: a separate home folder, IPythons that leave nothing behind, which tests run."""

import collections
import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from IPython.core.interactiveshell import InteractiveShell
from representatives import representatives
from traitlets.config import Config
from xdist.scheduler import LoadScopeScheduling

# The same examples in every run, however slow the computer is; the checks look for new ones.
settings.register_profile(
    "any computer", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any computer")

#: The longest files, in this order: they start first, so that no process ends long after the others.
BROWSER = "tests/pages/test_browser"  # one file and the next
LONGEST = (BROWSER, "tests/pages", "tests/project/test_docs.py")


def pytest_addoption(parser):
    parser.addoption(
        "--exhaustive", action="store_true", help="run every combination, not only representatives"
    )


def pytest_collection_modifyitems(config, items):
    """Put the longest files first, and skip tests marked `exhaustive` unless requested."""
    items.sort(key=lambda item: [not item.nodeid.startswith(beginning) for beginning in LONGEST])
    if not config.getoption("exhaustive"):
        left_out = unrepresentative(items)
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def pytest_xdist_auto_num_workers(config):
    """Return one process more than there are cores: while one test waits, others compute."""
    return (os.cpu_count() or 1) + 1


class ByFile(LoadScopeScheduling):
    """Runs each file's tests in one process, and all page tests in one, where they share a browser."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return BROWSER if file.startswith(BROWSER) else file


def pytest_xdist_make_scheduler(config, log):
    """Distribute files in the order in which they were collected."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def unrepresentative(items):
    """Return the tests marked `exhaustive`; of those with `cover=`, all but the representatives."""
    left_out, products = set(), collections.defaultdict(list)
    for item in items:
        for mark in item.iter_markers("exhaustive"):
            if cover := mark.kwargs.get("cover"):
                products[item.path, item.originalname, cover].append(item)
            else:
                left_out.add(item)
    for (*_, cover), product in products.items():
        kept = representatives([item.callspec.params for item in product], cover)
        left_out |= {item for i, item in enumerate(product) if i not in kept}
    return left_out


@pytest.fixture(scope="session", autouse=True)
def _not_the_users_endpoint(tmp_path_factory):
    """Companions write their endpoint, and links look for it, away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLINK_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("DMLINK_ENDPOINT", raising=False)
        yield


@pytest.fixture(scope="module")
def new_shell():
    """Return a function that creates an IPython without history; each replaces `__main__`."""
    main = sys.modules["__main__"]
    yield lambda: InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    sys.modules["__main__"] = main


@pytest.fixture
def restless():
    """Let threads switch all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
