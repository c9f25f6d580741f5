"""Numbers that the book ships to pictures: exact, or refused."""

import json
import math
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest

from advnb.book.movable import KINDS, packed, script, trials_page


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_packed_comes_back_exactly(kind):
    values = np.arange(6).reshape(2, 3) * (0.1 if kind == "float64" else 1)
    shipped = packed(values, kind)
    assert shipped["kind"] == kind
    back = np.frombuffer(b64decode(shipped["data"]), np.dtype(kind).newbyteorder("<"))
    assert np.array_equal(back, values.ravel())


@pytest.mark.parametrize(("values", "kind"), [([1.5], "int8"), ([300], "uint8"), ([-1], "uint8"), ([40000], "int16")])
def test_what_a_kind_does_not_hold_is_refused(values, kind):
    with pytest.raises(ValueError, match=f"values must be finite and exact as {kind}; got"):
        packed(values, kind)


def test_packed_refuses_what_is_not_finite_and_kinds_that_there_are_not():
    with pytest.raises(ValueError, match="values must be finite"):
        packed([1.0, math.nan])
    with pytest.raises(ValueError, match=r"kind must be one of .*; got 'float16'"):
        packed([1.0], "float16")


def test_the_script_ships_the_numbers_and_no_nan():
    text = script("toy", {"a": [1, 2.5], "b": {"c": "‖x‖"}})
    name, _, numbers = text.removeprefix("window.advnbMovable.ship(").removesuffix(");\n").partition(", ")
    assert json.loads(name) == "toy" and json.loads(numbers) == {"a": [1, 2.5], "b": {"c": "‖x‖"}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        script("toy", {"a": math.inf})


def test_a_page_of_trials_has_a_table_a_point():
    trials = pd.DataFrame({"d": [4], "run_commit": ["abc"]})
    page = trials_page("toy.walk", {"a-1": ("R < 2", trials), "b": ("other", trials)}, {"d": "dimension"})
    assert page.count("<table") == 2 and 'id="a-1"' in page and "<caption>R &lt; 2</caption>" in page
    assert "<th>dimension</th>" in page and "<th>commit</th>" in page and "verify toy.walk" in page
