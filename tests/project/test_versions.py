"""The notebook's tests with every supported IPython and ipykernel, the kernel's with every Python."""

import matrix
import pytest

MINUTES = 60


@pytest.mark.exhaustive
@pytest.mark.timeout(2 * 60 * MINUTES)  # to install, and to test
@pytest.mark.parametrize("name", matrix.COMBINATIONS)
def test_notebooks_work_with_every_version(name):
    assert matrix.run(name, matrix.COMBINATIONS[name], matrix.TESTS, MINUTES) == "passed"


@pytest.mark.exhaustive
@pytest.mark.timeout(2 * 60 * MINUTES)
@pytest.mark.parametrize("python", matrix.PYTHONS)
def test_kernel_works_in_newer_pythons(python):
    outcome = matrix.run_in(python, MINUTES)
    if outcome.startswith("there is no"):
        pytest.skip(outcome)
    assert outcome == "passed"
