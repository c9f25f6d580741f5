"""Numbers as text: coarse, and the same on another processor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advnb.book.rounding import about, at_least, at_most, interval

STEPS = st.sampled_from([0.005, 0.01, 0.05, 0.1, 0.2, 1.0, 10.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.12"),
        (1234.5, "1200"),
        (0.996, "1.0"),
        (-0.05, "-0.050"),
        (0, "0"),
        (-0.0, "0"),
        (1e-7, "1.0e-7"),
        (9.99e-8, "1.0e-7"),
        (999_999, "1.0e6"),
        (np.float32(0.5), "0.50"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_rounded_coarsely(value, text):
    assert about(value) == text


def test_intervals_are_rounded_coarsely():
    assert interval(-0.01234, 0.0345, digits=1) == "[-0.01, 0.03]"


@pytest.mark.parametrize("value", [0.101, 0.149999, 0.15, 3 * 0.05])
def test_bounds_stay_when_the_value_drifts(value):
    assert at_most(value, 0.05) == "at most 0.15"
    assert at_least(value + 0.05, 0.05) in ("at least 0.15", "at least 0.2")


@given(st.integers(0, 200), STEPS, st.floats(-1e-9, 1e-9))
def test_a_value_on_a_multiple_does_not_tip_over(multiple, step, drift):
    value = multiple * step
    for bound in (at_most, at_least):
        assert bound(value * (1 + drift), step) == bound(value, step)
        assert float(bound(value, step).split()[-1]) == pytest.approx(value)


@given(st.floats(-1e4, 1e4), STEPS)
def test_bounds_are_rounded_outwards(value, step):
    room = 2e-6 * step + 1e-5 * abs(value)  # the text has six digits
    assert value - room <= float(at_most(value, step).split()[-1]) <= value + step + room
    assert value - step - room <= float(at_least(value, step).split()[-1]) <= value + room


def test_what_is_positive_is_not_at_most_nothing():
    assert at_most(8e-9, 0.05) == "at most 0.05" and at_most(0.0, 0.05) == "at most 0"


def test_a_bound_needs_a_number_and_a_step():
    with pytest.raises(ValueError, match="value must be finite; got nan"):
        at_most(float("nan"), 0.05)
    with pytest.raises(ValueError, match="step must be a finite number above 0; got 0"):
        at_least(1.0, 0)
