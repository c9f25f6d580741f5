"""Networks trained to each radius and flipped there: the trial, its tables, the exponents read from them."""

import numpy as np
import pandas as pd
import pytest
import torch

from advnb.data import Split
from advnb.experiments import live
from advnb.models import TwoLayer
from advnb.papers.lazy.flips import STEP_LENGTHS, by_radius, exponents, flip_summary, tally
from advnb.papers.lazy.scaling.trials import FIGURES_5_6

F64 = torch.float64


def test_flips_after_training():
    table = live(FIGURES_5_6, seeds=1, only={"side": [4, 6, 8], "m": 200})
    rows = by_radius(table)
    assert rows["d"].tolist() == [16] * 3 + [36] * 3 + [64] * 3
    assert (rows["moved"] <= rows["radius"]).all() and rows["reached"].all()
    assert np.allclose(rows["norm"], rows["relative"], rtol=1e-5)
    assert (rows["norm_released"] <= rows["norm"] + 1e-6).all()
    for _, row in rows.iterrows():
        assert (np.diff(row["success"]) >= 0).all() and (np.diff(row["robust_error"]) >= 0).all()
        assert (np.array(row["robust_error"]) >= row["success"]).all()
    fitted = exponents(rows, "gradient")
    assert fitted.index.tolist() == [0, 5, 10] and fitted["all d"].notna().all()
    assert fitted["d ≥ 100"].isna().all()  # no such dimension here
    assert fitted["all d"][0].value == pytest.approx(0.5, abs=0.2)


def test_the_summary_by_hand():
    """f(x) = x_1 from the first unit: the step is -1 everywhere, its length the slope 1 times x_1."""
    net = TwoLayer(2, 1, dtype=F64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 0.0]]))
        net.signs.fill_(1.0)
    split = Split(torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=F64), torch.tensor([1.0, -1.0], dtype=F64))
    row = flip_summary(net, split)
    assert (row["eta"], row["norm"], row["gradient"], row["value"]) == (2.0, 2.0, 1.0, 2.0)
    assert row["relative"] == pytest.approx((3 / 5 + 1) / 2)
    assert row["norm_released"] == 1.5 and row["flippable"] == 1.0  # the second example was wrong already
    reached = ([c >= 3 / 5 * 2**0.5 for c in STEP_LENGTHS], [c >= 2**0.5 for c in STEP_LENGTHS])
    assert row["success"] == [(a + b) / 2 for a, b in zip(*reached, strict=True)]
    assert row["robust_error"] == [(a + 1) / 2 for a in reached[0]]


def test_exponents_leave_out_what_was_not_reached():
    rows = pd.DataFrame([
        {"m": 1000, "radius": r, "seed": seed, "d": d, "reached": r == 1.0, "norm": d**-0.5}
        for r in (1.0, 2.0) for seed in (0, 1) for d in (25, 100, 400, 784)
    ])  # fmt: skip
    table = exponents(rows, "norm")
    assert table.index.tolist() == [1.0] and table.columns.tolist() == ["all d", "d ≥ 100"]
    assert all(fit.value == pytest.approx(-0.5) for fit in table.loc[1.0])


def test_widths_share_an_exponent_and_not_an_intercept():
    rows = pd.DataFrame([
        {"m": m, "radius": 1.0, "seed": seed, "d": d, "reached": True, "norm": m * d**0.5}
        for m in (10, 1000) for seed in (0, 1) for d in (100, 400, 784)
    ])  # fmt: skip
    fit = exponents(rows, "norm")["d ≥ 100"][1.0]
    assert (fit.value, fit.low, fit.high, fit.groups) == pytest.approx((0.5, 0.5, 0.5, 4))


def test_the_radius_is_the_one_asked_for():
    """What was stored beside it may have lost its last digits."""
    table = live(FIGURES_5_6, seeds=1, only={"side": 4, "m": 200})
    table["radius"] = [radius * (1 + 1e-9) for radius in table["radius"]]
    assert by_radius(table)["radius"].tolist() == [0, 5, 10]


def test_a_tally_with_its_interval():
    assert tally(pd.Series([True] * 9 + [False])) == "9 of 10 [60%, 98%]"
