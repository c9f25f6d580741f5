"""Tables of the trials of ``trials.flips_after_training``: a row a radius, exponents in d."""

from __future__ import annotations

import pandas as pd

from advnb.statistics import Exponent, exponent

PER_RADIUS = ("radius", "reached", "step", "moved", "after", "test_error", "eta", "eta_median", "norm", "norm_median",
              "relative", "relative_median", "gradient", "gradient_median", "value", "flippable", "norm_released",
              "success", "robust_error")  # fmt: skip
"""Fields of ``trials.flips_after_training`` with one entry a radius."""

SETTING = ["data", "units", "m", "bias", "reduction", "stop", "mode", "radius"]
"""What the dimension is varied at; what a grid leaves at its default is no column."""


def by_radius(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and radius, with d = side^2, from a table of ``flips_after_training`` trials."""
    rows = table.drop(columns=["path_steps", "path_moved"]).explode(list(PER_RADIUS), ignore_index=True)
    numbers = [name for name in PER_RADIUS if name not in ("success", "robust_error", "reached")]
    rows[numbers] = rows[numbers].astype(float)
    return rows.assign(d=rows["side"] ** 2, reached=rows["reached"].astype(bool))


def exponents(
    rows: pd.DataFrame, fields: list[str], ranges: dict[str, int] | None = None, *, minimum_sides: int = 3
) -> pd.DataFrame:
    """Fit field ~ d^p in each setting: a row a setting and range of d, a column a field with its ``Exponent``.

    ``rows`` come from :func:`by_radius`; radii that training did not reach are left out. ``ranges`` names the smallest
    d of each fit, by default all of them and d >= 100. Intervals are bootstrapped over seeds. A setting with fewer than
    ``minimum_sides`` values of d in a range is left out.
    """
    rows = rows[rows["reached"]].astype({"d": float})
    by = [name for name in SETTING if name in rows]
    fits: list[dict[str, object]] = []
    for setting, group in rows.groupby(by, dropna=False):
        for name, smallest in (ranges or {"all d": 0, "d >= 100": 100}).items():
            part = group[group["d"] >= smallest]
            if part["d"].nunique() >= minimum_sides:
                values: dict[str, Exponent] = {field: exponent(part, "d", field, "seed") for field in fields}
                fits.append({**dict(zip(by, setting, strict=True)), "range": name, **values})
    return pd.DataFrame(fits)
