"""Figure 4 of Wang et al. (2022) as one surface over d, C0 and the budget: its cells, its edges, the law of the edge.

Moving every unit by C0 / sqrt(m) can add at most about C0 / 2 to the margin of a point on the unit sphere, and the
gradient, sqrt(d / 2) at the start, grows with C0 too. Their quotient is the length of the flipping step, and so

    R* = gain C0 / (sqrt(d / 2) + stiffness C0)

is the budget up to which training in the ball resists. For C0 << sqrt(d) it is proportional to C0 / sqrt(d) (Figure 4,
left) and, at fixed R and d, a constant C0 = V sqrt(m) (Figure 4, right).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from advnb import checks
from advnb.book.rounding import about, interval
from advnb.experiments import unroll
from advnb.papers.lazy.laws import Law
from advnb.statistics import resampled, thresholds

ALONG = {"left": ("budget", ["d", "c0", "m"]), "right": ("c0", ["d", "m", "budget"])}
"""For each panel of Figure 4 the axis along which robust accuracy crosses a level, and what is held."""


class Transition(NamedTuple):
    """The law of the edge, with its two constants; ``gain`` is at most 1/2, and gain / stiffness at most about 1."""

    gain: float
    stiffness: float

    def budget(self, c0: ArrayLike, d: ArrayLike) -> NDArray[np.float64]:
        """Return R*, the budget at which half of the robust accuracy is lost, at C0 and d."""
        c0, d = np.asarray(c0, float), np.asarray(d, float)
        return self.gain * c0 / (np.sqrt(d / 2) + self.stiffness * c0)

    def c0(self, budget: ArrayLike, d: ArrayLike) -> NDArray[np.float64]:
        """Return the C0 at which ``budget`` is R*; infinite from gain / stiffness on, where no C0 is enough."""
        budget, d = np.asarray(budget, float), np.asarray(d, float)
        left = self.gain - self.stiffness * budget
        return np.where(left > 0, budget * np.sqrt(d / 2) / np.where(left > 0, left, 1), np.inf)


def fit_transition(points: pd.DataFrame) -> Transition:
    """Fit the law to the columns ``c0``, ``d`` and ``budget`` of ``points``, on a log scale.

    Points whose budget is not finite are left out; raises ``ValueError`` with fewer than three others.
    """
    points = points[np.isfinite(points["budget"]) & (points["budget"] > 0)]
    if len(points) < 3:
        raise ValueError(f"fit_transition needs three points with a finite budget; got {len(points)}")

    def law(where: NDArray[np.float64], gain: float, stiffness: float) -> NDArray[np.float64]:
        return np.log(Transition(gain, stiffness).budget(*where))

    where, target = points[["c0", "d"]].to_numpy(float).T, np.log(points["budget"].to_numpy(float))
    found, _ = curve_fit(law, where, target, p0=(0.5, 0.1), bounds=([1e-6, 0.0], [100.0, 100.0]))
    return Transition(*map(float, found))


def transition_interval(
    points: pd.DataFrame, by: list[str], *, draws: int = 300, seed: int = 0
) -> tuple[Transition, Transition]:
    """Return the 95 percent intervals of both constants, as (low, high), seeds resampled within groups of ``by``."""
    columns = ["c0", "d", "budget"]
    groups = [part[columns].to_numpy(float) for _, part in points.groupby(by, dropna=False)]
    low, high = resampled(
        groups, lambda rows: fit_transition(pd.DataFrame(rows, columns=columns)), draws=draws, seed=seed
    )
    return Transition(*map(float, low)), Transition(*map(float, high))


Form = Callable[[ArrayLike, ArrayLike, float, float], NDArray[np.float64]]
"""(C0, d, phi, kappa) -> the budget R50."""

FORMS: dict[str, Form] = {
    "squares": lambda c0, d, phi, kappa: Law(kappa, phi).relative(c0, d),
    "sum": lambda c0, d, phi, kappa: phi * np.asarray(c0) / (np.sqrt(np.asarray(d) / 2) + kappa * np.asarray(c0)),
    "proportional": lambda c0, d, phi, kappa: phi * np.asarray(c0) / np.sqrt(np.asarray(d) / 2),
}
"""The law of ``laws``, and what it is compared with: lengths that add instead of squares, and no bend at all."""


def fit_form(points: pd.DataFrame, form: str = "squares") -> Law:
    """Fit one of ``FORMS`` to the columns ``c0``, ``d`` and ``budget`` of ``points``, on a log scale.

    Points whose budget is not finite are left out; raises ``ValueError`` with fewer than three others.
    """
    checks.choice("form", form, FORMS)
    points = points[np.isfinite(points["budget"]) & (points["budget"] > 0)]
    if len(points) < 3:
        raise ValueError(f"fit_form needs three points with a finite budget; got {len(points)}")
    c0, d, budget = points[["c0", "d", "budget"]].to_numpy(float).T

    def law(_: NDArray[np.float64], phi: float, kappa: float) -> NDArray[np.float64]:
        return np.log(FORMS[form](c0, d, phi, kappa))

    if form == "proportional":
        return Law(0.0, float(np.exp(np.mean(np.log(budget) - law(c0, 1.0, 0.0)))))
    (phi, kappa), _ = curve_fit(law, c0, np.log(budget), p0=(0.25, 0.2), bounds=([1e-6, 0.0], [100.0, 100.0]))
    return Law(float(kappa), float(phi))


def cells(**tables: pd.DataFrame) -> pd.DataFrame:
    """Return trials of ``projected`` as one table, with the columns ``panel`` (the keyword), ``d``, ``c0``, ``radius``.

    C0 is what the ball allowed, V sqrt(m); ``moved`` is what training used of it.
    """
    parts = []
    for panel, table in tables.items():
        c0 = table["radius"] * table["m"] ** 0.5 if "radius" in table else table["c0"]
        parts.append(table.assign(panel=panel, d=table["side"] ** 2, c0=c0, radius=c0 / table["m"] ** 0.5))
    return pd.concat(parts, ignore_index=True)


def edges(cells: pd.DataFrame, level: float = 0.5, field: str = "worst") -> pd.DataFrame:
    """Return where ``field`` crosses ``level``: ``d``, ``c0`` and ``budget``, one row a column of a panel and a seed.

    ``below`` and ``above`` are the neighbours on the grid between which it does: the threshold is known no better.

    ``constant`` is what the paper has a number for: budget sqrt(d) in the left panel (5), V sqrt(m) = C0 in the right
    one (25). Other panels are read like the left one.
    """
    parts = []
    for panel, part in cells.groupby("panel", sort=False):
        along, by = ALONG.get(str(panel), ALONG["left"])
        found = _bracketed(part, along, by, thresholds(part, along, by, level=level, field=field)).assign(panel=panel)
        constant = found["c0"] if panel == "right" else found["budget"] * found["d"] ** 0.5
        parts.append(found.assign(constant=constant))
    return pd.concat(parts, ignore_index=True)


def _bracketed(part: pd.DataFrame, along: str, by: list[str], found: pd.DataFrame) -> pd.DataFrame:
    grids = {key: np.sort(group[along].to_numpy(float)) for key, group in part.groupby([*by, "seed"])}
    ends = []
    for key, value in zip(found[[*by, "seed"]].itertuples(index=False, name=None), found[along], strict=True):
        k = int(np.searchsorted(grids[key], value))
        ends.append((grids[key][k - 1], grids[key][k]) if np.isfinite(value) else (np.nan, np.nan))
    return found.assign(**dict(zip(("below", "above"), np.array(ends, float).reshape(-1, 2).T, strict=True)))


def relative_budget(cells: pd.DataFrame, law: Transition) -> pd.Series:
    """Return each trial's budget over the law's, at the C0 that its weights reached."""
    return cells["budget"] / law.budget(cells["moved"], cells["d"])


def collapsed(cells: pd.DataFrame, law: Transition) -> pd.DataFrame:
    """Return the means over seeds of ``relative`` budget and ``worst`` robust accuracy, one row a cell of a panel."""
    by = ["panel", "d", "m", "c0", "budget"]
    table = cells.assign(relative=relative_budget(cells, law))
    return table.groupby(by, as_index=False)[["relative", "worst"]].mean()


def ceilings(table: pd.DataFrame) -> pd.DataFrame:
    """Return the stored ceilings with one row a budget: ``d``, ``budget``, ``seed`` and ``ceiling``."""
    rows = unroll(table, ["ceiling", "budgets"]).rename(columns={"budgets": "budget"})
    return rows.assign(d=rows["side"] ** 2)[["d", "budget", "seed", "ceiling"]]


def over_seeds(table: pd.DataFrame, field: str, digits: int = 2) -> str:
    """Return the mean of ``field`` over seeds, and the range that the seeds' means span, as text."""
    checks.columns("field", [field], table.columns)
    means = table.groupby("seed")[field].mean()
    return f"{about(means.mean(), digits)} (seeds {interval(means.min(), means.max(), digits)})"
