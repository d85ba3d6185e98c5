"""The dose is summed from the frames, and is a log like any other."""

import numpy as np
import pytest
from microscopes import linked, until

import dmlink
from dmlink import Axis, Frame
from dmlink.link.dose import Dose


class Closed:
    """A link without frames, which records what is logged."""

    def __init__(self):
        self.logs = dmlink.link.logs.Logs()

    def log(self, name, value, unit="", time=None):
        self.logs.log(name, unit).add(time, value)

    def reader(self):
        return self

    def next(self, _):
        raise ConnectionError("closed")


def frame(i, time, counts=100.0, unit="nm", exposure=0.5):
    tags = {"exposure": exposure} if exposure else {}
    axis = Axis(0.0, 0.1, unit)
    return Frame(np.full((4, 4), counts), i, time, axis, axis, tags=tags)


def test_dose_is_counts_by_gain_area_and_exposure():
    dose = Dose(Closed(), 10.0, None)
    for i in range(3):
        dose.add(frame(i, float(i)))
    rate = 100.0 / 10.0 / 1.0 / 0.5  # a pixel of 0.1 nm has 1 square angstrom
    assert dose.total == pytest.approx(rate * (0.5 + 1.0 + 1.0))
    dose.add(frame(9, 100.0))  # it is unknown whether the beam was on
    assert dose.total == pytest.approx(rate * 2.5)
    assert dose._link.logs.at(1.5)["dose"] == pytest.approx(rate * 1.5)
    dose.close()


def test_still_image_adds_no_dose():
    dose = Dose(Closed(), 10.0, None)
    dose._thread.join()
    dose.add(frame(5, 0.0))
    total = dose.total
    for i in range(1, 9):  # sent again, because an ROI is dragged
        dose.add(frame(5, i / 10))
    assert dose.total == total > 0
    dose.close()


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"unit": "1/nm"}, "give pixel="),
        ({"exposure": 0}, "have no exposure"),
        ({"counts": np.nan}, "no finite mean"),
    ],
)
def test_missing_values_are_named(odd, reason):
    dose = Dose(Closed(), 10.0, None)
    dose._thread.join()
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(RuntimeWarning)
        dose.add(frame(0, 0.0, **odd))
    assert reason in dose.reason
    assert dose.total == 0


def test_given_pixel_size_takes_precedence():
    dose = Dose(Closed(), 10.0, 2.0)
    dose.add(frame(0, 0.0, unit="1/nm"))
    assert dose.total == pytest.approx(100 / 10 / 4 / 0.5 * 0.5)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_only_positive_numbers_are_accepted(wrong):
    with pytest.raises(ValueError, match="positive"):
        dmlink.log_dose(Closed(), wrong)
    with pytest.raises(ValueError, match="positive"):
        dmlink.log_dose(Closed(), 1.0, pixel=wrong)


def test_dose_grows_with_frames():
    with linked(fps=30) as (_, link), dmlink.log_dose(link, 4.0) as dose:
        until(link, lambda: "dose" in (link.newest.log if link.newest else {}))
        assert link.logs.all()["dose"].unit == "e/A^2"
        assert dose.total > 0
