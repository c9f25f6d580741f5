"""The flags as data: each says what it means and what to do, and the report shows it."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from advnb.audit import FLAGS, Cost, Report
from advnb.audit.report import checks_table

MEASURED = {name: math.nextafter(one.limit, -math.inf) for name, one in FLAGS.items()}
ATTACKS = pd.DataFrame({"accuracy": {"clean": 0.9, "audited attack": 0.5}, "fosc": {"clean": 0.1}})


def report(**measured: float) -> Report:
    found = MEASURED | {name.replace("_", "-"): value for name, value in measured.items()}
    return Report(checks_table(found), ATTACKS, Cost(3, 4))


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_documented_in_sentences(name):
    flag = FLAGS[name]
    assert flag.name == name and flag.about in ("model", "data", "attack")
    assert flag.limit >= 0 and str(flag.limit if flag.limit % 1 else int(flag.limit)) in flag.raised_if
    for sentence in (flag.means, flag.do):
        assert sentence[0].isupper() and sentence.endswith(".") and len(sentence) > 20
    assert flag.measured[0].islower()


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_raised_above_its_limit_and_not_at_it(name):
    limit = FLAGS[name].limit
    assert checks_table({name: limit + 1e-6})["raised"][name]
    assert not checks_table({name: limit})["raised"].any()
    assert not checks_table({name: math.nextafter(limit, math.inf)})["raised"].any()  # rounding of a share


def test_what_was_not_measured_raises_nothing():
    table = checks_table({})
    assert list(table.index) == list(FLAGS) and table["measured"].isna().all() and not table["raised"].any()


def test_a_report_without_flags_has_passed():
    sound = report()
    assert sound.passed and sound.flags == () and "none raised" in repr(sound)
    assert f"{len(FLAGS)} of {len(FLAGS)} flags looked for" in repr(sound)


@pytest.mark.parametrize("show", [repr, Report._repr_html_])
def test_a_report_says_of_a_flag_what_was_measured_what_it_means_and_what_to_do(show):
    found = report(saturated_loss=0.75, outside=1.0)
    said = show(found)
    assert found.flags == ("saturated-loss", "outside") and not found.passed
    assert "2 raised: saturated-loss, outside" in said and "is 0.75 (limit 0.1)" in said
    assert FLAGS["outside"].means in said and FLAGS["outside"].do in said and FLAGS["labels"].means not in said
    assert "3 gradients and 4 forward passes" in said and "nan" not in said.lower()
