"""What the figures are read for: exponents in d with intervals, the movement law, thresholds of a transition."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from advnb.papers.dynamics.fits import Exponent, exponent

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


def movement_law(steps: ArrayLike, moved: ArrayLike, *, after: int = 50) -> tuple[float, float, float]:
    """Fit moved = a + b log(steps) from step ``after`` on; return a, b and the R^2 of the fit.

    Solving it for the steps foresees when a radius that was not reached would be. Raises with fewer than three points.
    """
    t, y = np.asarray(steps, float), np.asarray(moved, float)
    late = t >= max(after, 1)
    if late.sum() < 3:
        raise ValueError(
            f"movement_law needs three recorded steps from step {after} on; got {int(late.sum())}"
        )
    slope, intercept = np.polyfit(np.log(t[late]), y[late], 1)
    left = y[late] - intercept - slope * np.log(t[late])
    spread = ((y[late] - y[late].mean()) ** 2).sum()
    return float(intercept), float(slope), float(1 - (left**2).sum() / spread) if spread > 0 else 1.0


def steps_to_reach(radius: float, intercept: float, slope: float) -> float:
    """Return the step at which a law of :func:`movement_law` meets ``radius``; infinite if it does not grow."""
    if slope <= 0:
        return float("inf")
    exponent_ = (radius - intercept) / slope
    return float(np.exp(exponent_)) if exponent_ < 700 else float("inf")


def crossing(x: ArrayLike, y: ArrayLike, level: float) -> float:
    """Return where ``y`` first crosses ``level``, between the points of ``x`` (ascending); NaN if it does not.

    R50 is the crossing of robust accuracy over the budget at 0.5, and R5 at 0.05. Raises if x does not ascend.
    """
    at, values = np.asarray(x, float), np.asarray(y, float)
    if at.shape != values.shape or len(at) < 2 or not (np.diff(at) > 0).all():
        raise ValueError("crossing needs ascending x and as many y, at least two")
    above: NDArray[np.bool_] = values >= level
    change = np.flatnonzero(above[1:] != above[:-1])
    if len(change) == 0:
        return float("nan")
    k = int(change[0])
    share = (level - values[k]) / (values[k + 1] - values[k])
    return float(at[k] + share * (at[k + 1] - at[k]))


def thresholds(
    table: pd.DataFrame, along: str, by: list[str], *, field: str = "worst", level: float = 0.5
) -> pd.DataFrame:
    """Return for each group of ``by`` and each seed where ``field`` crosses ``level`` along ``along``.

    The columns are ``by``, ``seed`` and ``along``; NaN where it does not cross.
    """
    rows = []
    for key, part in table.groupby([*by, "seed"]):
        part = part.sort_values(along)
        rows.append((*key, crossing(part[along], part[field], level)))
    return pd.DataFrame(rows, columns=[*by, "seed", along])


def robust_radius(c0: ArrayLike, d: ArrayLike, gain: float, stiffness: float) -> NDArray[np.float64]:
    """The law R = gain C0 / (sqrt(d / 2) + stiffness C0) for the budget up to which training in the ball resists.

    Moving every unit by C0 / sqrt(m) can add at most about C0 to the margin of a point on the unit sphere, and the
    gradient, sqrt(d / 2) at the start, grows with C0 too; their quotient is the length of the flipping step. For
    C0 << sqrt(d) this is proportional to C0 / sqrt(d) (Figure 4, left) and, at fixed R and d, a constant C0 = V sqrt(m)
    (Figure 4, right).
    """
    c0, d = np.asarray(c0, float), np.asarray(d, float)
    return gain * c0 / (np.sqrt(d / 2) + stiffness * c0)


def fit_robust_radius(c0: ArrayLike, d: ArrayLike, radius: ArrayLike) -> tuple[float, float, float]:
    """Fit the law of :func:`robust_radius` to measured thresholds on a log scale; return gain, stiffness and R^2.

    Points with a radius that is not finite are left out; raises with fewer than three points.
    """
    c0, d, radius = (np.asarray(values, float) for values in (c0, d, radius))
    use = np.isfinite(radius) & (radius > 0)
    if use.sum() < 3:
        raise ValueError(f"fit_robust_radius needs three finite thresholds; got {int(use.sum())}")

    def law(points: NDArray[np.float64], gain: float, stiffness: float) -> NDArray[np.float64]:
        return np.log(robust_radius(points[0], points[1], gain, stiffness))

    target = np.log(radius[use])
    points = np.stack([c0[use], d[use]])
    (gain, stiffness), _ = curve_fit(law, points, target, p0=(0.5, 0.1), bounds=([1e-6, 0.0], [100.0, 100.0]))
    left = target - law(points, gain, stiffness)
    spread = ((target - target.mean()) ** 2).sum()
    return float(gain), float(stiffness), float(1 - (left**2).sum() / spread) if spread > 0 else 1.0


def law_interval(
    points: pd.DataFrame, by: list[str], *, draws: int = 300, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Fit the law to the columns ``c0``, ``d`` and ``radius`` of ``points``; value, low and high of its two numbers.

    The interval (95 percent) resamples the seeds within each group of ``by``.
    """
    columns = ["c0", "d", "radius"]
    best = fit_robust_radius(*(points[name] for name in columns))
    groups = [part[columns].to_numpy(float) for _, part in points.groupby(by, dropna=False)]
    generator = np.random.default_rng(seed)
    drawn = np.array([
        fit_robust_radius(*np.concatenate([
            part[generator.integers(0, len(part), len(part))] for part in groups
        ]).T)[:2]
        for _ in range(draws)
    ])  # fmt: skip
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return {name: (best[k], float(low[k]), float(high[k])) for k, name in enumerate(("gain", "stiffness"))}
