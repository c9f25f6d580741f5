"""The law of the flipping step: how it follows from d and C0, with two constants. Figures 2 to 6 all rest on it.

Without biases f(x) = <grad f(x), x>, and f is linear along short steps: the flipping step over ||x|| is
|f| / (||grad f|| ||x||), the cosine of the angle between the gradient and x. Its parts are

1. the margin. Units that are on, about half of them, have each moved by at most C0 / sqrt(m), which changes f by at
   most C0 ||x|| / 2: if all of them move along x. So |f| = phi C0 ||x|| with phi <= 1/2; the width has cancelled.
2. the gradient. The same moves change it by at most C0 / 2, of which phi C0 lies along x, so that kappa C0 with
   phi <= kappa <= 1/2. What was learned hardly overlaps with the gradient at the start, of length sqrt(d / 2), so that
   the squares add up: ||grad f||^2 = d / 2 + (kappa C0)^2.

The quotient is the law, phi C0 / sqrt(d / 2 + (kappa C0)^2). The third assumption, that nothing overlaps, is what
training against an attack breaks (``phase_transition``): it spends part of its moves on shortening the gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


class Law(NamedTuple):
    """The constants of the law: ``kappa`` of the gradient, ``phi`` of the value; both without a unit."""

    kappa: float
    phi: float

    def gradient(self, c0: ArrayLike, d: ArrayLike) -> Numbers:
        """Return ||grad f|| after the weights have moved by ``c0`` / sqrt(m)."""
        c0, d = np.asarray(c0, float), np.asarray(d, float)
        return np.sqrt(d / 2 + (self.kappa * c0) ** 2)

    def relative(self, c0: ArrayLike, d: ArrayLike) -> Numbers:
        """Return the length of the flipping step over ||x||."""
        return self.phi * np.asarray(c0, float) / self.gradient(c0, d)

    def c0(self, relative: ArrayLike, d: ArrayLike) -> Numbers:
        """Return the C0 at which the step has the length ``relative``; infinite from phi / kappa on."""
        relative, d = np.asarray(relative, float), np.asarray(d, float)
        left = self.phi**2 - (self.kappa * relative) ** 2
        return np.where(left > 0, relative * np.sqrt(d / 2 / np.where(left > 0, left, 1)), np.inf)

    def eta(self, c0: ArrayLike, d: ArrayLike) -> Numbers:
        """Return the flipping step eta over ||x||, in units of 1 over the gradient's: eta = norm / ||grad f||."""
        return self.relative(c0, d) / self.gradient(c0, d)

    def exponent(self, c0: ArrayLike, d: ArrayLike) -> Numbers:
        """Return the local slope of log ``relative`` over log d: -1/2 for d large against 2 (kappa c0)^2, else 0."""
        c0, d = np.asarray(c0, float), np.asarray(d, float)
        return -0.5 * d / (d + self.turn(c0))

    def slope(self, c0: float, d: ArrayLike) -> float:
        """Return the slope of a straight line through log ``relative`` over log d, fitted at the dimensions ``d``."""
        return float(np.polyfit(np.log(d), np.log(self.relative(c0, d)), 1)[0])

    def turn(self, c0: ArrayLike) -> Numbers:
        """Return d = 2 (kappa c0)^2: at smaller d the step no longer depends on d, and eta falls as C0 grows."""
        return 2 * (self.kappa * np.asarray(c0, float)) ** 2


def fit_law(rows: pd.DataFrame) -> Law:
    """Fit both constants to the trained networks among ``rows`` of ``by_radius``: medians over networks.

    C0 is what each network has moved by, ``moved``, so that those which did not reach their radius count as well.
    Raises ``ValueError`` if no row has moved.
    """
    rows = rows[(rows["radius"] > 0) & (rows["moved"] > 0)]
    if rows.empty:
        raise ValueError("fit_law needs networks that have moved; got none")
    middle = constants(rows).median()
    return Law(float(np.sqrt(max(middle["kappa_squared"], 0.0))), float(middle["phi"]))


def constants(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``kappa_squared`` and ``phi`` of each network that has moved, with the index of ``rows``.

    At large d the first is the small difference of two large numbers, and can be negative.
    """
    return pd.DataFrame(
        {
            "kappa_squared": (rows["gradient"] ** 2 - rows["d"] / 2) / rows["moved"] ** 2,
            "phi": rows["value"] / (rows["moved"] * rows["length"]),
        }
    )


def constants_by_dimension(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the medians over networks of kappa, phi, |f| and the number of steps: a row a dimension."""
    each = constants(rows)
    kappa = np.sqrt(each["kappa_squared"].clip(lower=0))
    columns = {"κ": kappa, "φ": each["phi"], "|f|": rows["value"], "steps": rows["step"]}
    return pd.DataFrame(columns).groupby(rows["d"]).median()


def movement_law(
    steps: ArrayLike, moved: ArrayLike, *, after: int | None = None, root: float = 1.0
) -> tuple[float, float, float]:
    """Fit moved^(1 / root) = a + b log(steps) from step ``after`` on; return a, b and the R^2 of the fit.

    ``after`` is the middle of the logarithmic axis unless given. Solving the law for the steps foresees when a radius
    that was not reached would be. Raises with fewer than three points.
    """
    t, y = np.asarray(steps, float), np.asarray(moved, float) ** (1 / root)
    after = int(np.sqrt(t[-1])) if after is None else after
    late = t >= max(after, 1)
    if late.sum() < 3:
        raise ValueError(f"movement_law needs three recorded steps from step {after} on; got {int(late.sum())}")
    slope, intercept = np.polyfit(np.log(t[late]), y[late], 1)
    left = y[late] - intercept - slope * np.log(t[late])
    spread = ((y[late] - y[late].mean()) ** 2).sum()
    return float(intercept), float(slope), float(1 - (left**2).sum() / spread) if spread > 0 else 1.0


def steps_to_reach(radius: float, intercept: float, slope: float, root: float = 1.0) -> float:
    """Return the step at which a law of :func:`movement_law` meets ``radius``; infinite if it does not grow."""
    if slope <= 0:
        return float("inf")
    exponent_ = (radius ** (1 / root) - intercept) / slope
    return float(np.exp(exponent_)) if exponent_ < 700 else float("inf")
