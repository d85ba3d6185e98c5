"""Code for DigitalMicrograph runs in GMS's versions of Python, each with a NumPy from its time."""

import gms_pythons
import pytest
from gms_pythons import CELLS, VERSIONS, check_companion, check_script, check_selftest


@pytest.fixture(scope="module", params=VERSIONS)
def dm(request):
    """A simulated DigitalMicrograph in one of these Pythons."""
    python = gms_pythons.python(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param}, neither from pyenv nor on the PATH")
    try:
        numpy = gms_pythons.numpy_for(request.param)
    except OSError as error:
        pytest.skip(str(error))
    with gms_pythons.DM([python], numpy) as dm:
        assert f"Python {request.param}." in dm.about()
        yield dm


def test_companion_serves_a_link_of_today(dm, tmp_path):
    check_companion(dm, tmp_path)


def test_selftest_asks_and_ends(dm, tmp_path):
    check_selftest(dm, tmp_path)


@pytest.mark.parametrize("kind", CELLS)
def test_script_shows_what_the_cell_gives(dm, tmp_path, kind):
    check_script(dm, tmp_path, kind)
