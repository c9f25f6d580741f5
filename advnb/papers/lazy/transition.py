"""Figure 4 of Wang et al. (2022) as one surface over d, C0 and the budget: its cells, its edges, the law of the edge.

The budget up to which training in the ball resists is compared with ``laws.Law``: margin over gradient. For
C0 << sqrt(d) it is proportional to C0 / sqrt(d) (Figure 4, left) and, at fixed R and d, a constant C0 = V sqrt(m)
(Figure 4, right).
"""

from __future__ import annotations

from collections.abc import Callable

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

EDGES = {panel: (f"lazy.figure_4_{panel}_edge", f"lazy.figure_4_{panel}") for panel in ("left", "right", "elsewhere")}
"""For both panels, and off them, the stored experiments: a fine grid about the edge, and a coarse one."""

STORED = tuple(name for pair in EDGES.values() for name in pair)
"""The same six in a row, as the evidence of a claim."""

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

    Points that are not finite are left out; raises ``ValueError`` with fewer than three others.
    """
    checks.choice("form", form, FORMS)
    points = points.dropna(subset=["c0", "d", "budget"])
    if len(points) < 3:
        raise ValueError(f"fit_form needs three points with a finite threshold; got {len(points)}")
    c0, d, budget = points[["c0", "d", "budget"]].to_numpy(float).T

    def law(_: NDArray[np.float64], phi: float, kappa: float) -> NDArray[np.float64]:
        return np.log(FORMS[form](c0, d, phi, kappa))

    if form == "proportional":
        return Law(0.0, float(np.exp(np.mean(np.log(budget) - law(c0, 1.0, 0.0)))))
    (phi, kappa), _ = curve_fit(law, c0, np.log(budget), p0=(0.25, 0.2), bounds=([1e-6, 0.0], [100.0, 100.0]))
    return Law(float(kappa), float(phi))


def large(points: pd.DataFrame) -> pd.DataFrame:
    """Return the thresholds to which the law is fitted: those that were found, at d >= 100.

    Below, several steps find shorter ways than one, and at d = 25 the images are a limit of their own.
    """
    return points.dropna(subset=["c0", "budget"]).query("d >= 100")


def both_grids(panel: str, fine: pd.DataFrame, coarse: pd.DataFrame) -> pd.DataFrame:
    """Return both experiments of a panel of ``EDGES`` as :func:`cells`; a trial that is in both counts once."""
    table = cells(**{panel: pd.concat([fine, coarse], ignore_index=True)})
    return table.drop_duplicates(["d", "m", "c0", "budget", "seed"])


def surface(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return as :func:`cells` the six experiments named in ``STORED``."""
    pairs = zip(EDGES, tables[::2], tables[1::2], strict=True)
    return pd.concat([both_grids(*pair) for pair in pairs], ignore_index=True)


def edge_law(trials: pd.DataFrame) -> Law:
    """Return the law of Figure 4, fitted to R50 of :func:`surface` (see :func:`large`)."""
    return fit_form(large(edges(trials)))


def law_interval(points: pd.DataFrame, *, form: str = "squares", draws: int = 300, seed: int = 0) -> tuple[Law, Law]:
    """Return the 95 percent intervals of both constants, as (low, high), seeds resampled within each cell."""
    columns = ["c0", "d", "budget"]
    axis = points["c0"].where(points["panel"] != "right")
    groups = [part[columns].to_numpy(float) for _, part in points.groupby(["panel", "d", "m", axis], dropna=False)]
    low, high = resampled(groups, lambda rows: fit_form(pd.DataFrame(rows, columns=columns), form),
                          draws=draws, seed=seed)  # fmt: skip
    return Law(*map(float, low)), Law(*map(float, high))


def cells(**tables: pd.DataFrame) -> pd.DataFrame:
    """Return trials of ``projected`` as one table, with the columns ``panel`` (the keyword), ``d``, ``c0``, ``radius``.

    C0 is what the ball allowed, V sqrt(m); ``moved`` is what training used of it.
    """
    parts = []
    for panel, table in tables.items():
        c0 = table["c0"] if "c0" in table else pd.Series(np.nan, table.index)
        if "radius" in table:
            c0 = c0.fillna(table["radius"] * table["m"] ** 0.5)
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
        part = part[part.groupby([*by, "seed"])[along].transform("size") > 1]
        found = _bracketed(part, along, by, thresholds(part, along, by, level=level, field=field)).assign(panel=panel)
        constant = found["c0"] if panel == "right" else found["budget"] * found["d"] ** 0.5
        parts.append(found.assign(constant=constant))
    return pd.concat(parts, ignore_index=True)


def close(points: pd.DataFrame, ratio: float = 1.2) -> pd.DataFrame:
    """Return the thresholds of :func:`edges` whose neighbours on the grid are at most a factor ``ratio`` apart.

    Accuracy falls as a curve, so that a straight line over a wide gap puts its foot too far out.
    """
    return points[points["above"] / points["below"] <= ratio]


def _bracketed(part: pd.DataFrame, along: str, by: list[str], found: pd.DataFrame) -> pd.DataFrame:
    grids = {key: np.sort(group[along].to_numpy(float)) for key, group in part.groupby([*by, "seed"])}
    ends = []
    for key, value in zip(found[[*by, "seed"]].itertuples(index=False, name=None), found[along], strict=True):
        k = max(1, int(np.searchsorted(grids[key], value)))
        ends.append((grids[key][k - 1], grids[key][k]) if np.isfinite(value) else (np.nan, np.nan))
    return found.assign(**dict(zip(("below", "above"), np.array(ends, float).reshape(-1, 2).T, strict=True)))


def relative_budget(cells: pd.DataFrame, law: Law) -> pd.Series:
    """Return each trial's budget over the law's, at the C0 that its weights reached."""
    return cells["budget"] / law.relative(cells["moved"], cells["d"])


def collapsed(cells: pd.DataFrame, law: Law) -> pd.DataFrame:
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
