"""What all tests need: a home that is not the user's, and IPythons that leave nothing behind."""

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@pytest.fixture(scope="session", autouse=True)
def _not_the_users_endpoint(tmp_path_factory):
    """Companions leave their endpoint, and links find it, where the user's own ones do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLINK_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("DMLINK_ENDPOINT", raising=False)
        yield


@pytest.fixture(scope="module")
def new_shell():
    """Return a function that makes an IPython without a history; each takes the place of `__main__`."""
    main = sys.modules["__main__"]
    yield lambda: InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    sys.modules["__main__"] = main
