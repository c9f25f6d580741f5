"""The claims of the page *convergence*: Theorem 3.1, Corollary 3.1 and the schedules of its steps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, share
from advnb.papers.dynamics.descent import schedule_condition, shrinking
from advnb.statistics import exponent

PAGE = Page("dynamics/convergence", title="Convergence")

GAMMAS = (0.5, 1.0, 1.9, 2.0, 4.0)
"""Where the two schedules of Lemma A.8 are held against condition (12)."""


def by_net(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with medians of ``steps`` and ``distance`` over trajectories, and a name for each ``net``."""
    net = runs["d"].astype(str) + "/" + runs["eps"].astype(str) + "/" + runs["seed"].astype(str)
    medians = {name: [float(np.median(cell)) for cell in runs[name]] for name in ("steps", "distance")}
    return runs.assign(net=net, **medians)


def conditions() -> pd.DataFrame:
    """Return the largest left over right side of condition (12) for Lemma A.8's two schedules, z = 50, by gamma."""
    rows = {
        gamma: {
            "2 / (γ (s + z))": schedule_condition(shrinking(gamma, 50), gamma),
            "1 / (s + z)": schedule_condition(lambda s: 1 / (s + 50), gamma),
        }
        for gamma in GAMMAS
    }
    return pd.DataFrame(rows).T.rename_axis("γ")


@PAGE.claim(
    "theorem-3.1.iterations",
    says="the number of iterations is O(η^-2)",
    evidence="dynamics.theorem_3_1",
    holds=lambda low, high, converged: -2 < low < high < -0.9 and converged > 0.99,
    verdict="reproduced",
    why="a bound, and a loose one: a linear network needs ε/(η‖∂L‖) log(2‖∂L‖/√η) steps, which has nearly the same "
    "exponent on this grid",
)
def _iterations(rate: pd.DataFrame) -> Measured:
    arrived = by_net(rate[rate["converged"] == 1.0])
    steps, law = (exponent(arrived, "eta", name, by="net") for name in ("steps", "law"))
    return (
        f"steps grow as η to the power {steps} (a linear network: {law}); all trajectories of "
        f"{share(rate['converged'] == 1)} of runs got there",
        {"low": steps.low, "high": steps.high, "converged": rate["converged"].mean()},
    )


@PAGE.claim(
    "theorem-3.1.distance",
    says="the output is within O(η^1/2) of a local minimum",
    evidence="dynamics.theorem_3_1",
    holds=lambda low, high, afterwards: low > 0.4 and high < 0.6 and afterwards < 0.05,
    verdict="reproduced in part",
    why="the root of η is where the rule stops looking; PGD itself converges to the minimum",
)
def _distance(rate: pd.DataFrame) -> Measured:
    arrived = by_net(rate[rate["converged"] == 1.0])
    fit = exponent(arrived, "eta", "distance", by="net")
    ratio = arrived["afterwards"] / arrived["distance"]
    return (
        f"at the stopping rule the distance goes as η to the power {fit}; after as many steps again and 500 more it is "
        f"at most {about(ratio.max(), 1)} of that, in the median {about(ratio.median(), 1)}",
        {"low": fit.low, "high": fit.high, "afterwards": ratio.max()},
    )


@PAGE.claim(
    "theorem-3.1.sphere",
    says="the output is on the sphere and near a local minimum",
    evidence="dynamics.theorem_3_1",
    holds=lambda on_sphere, minima: on_sphere > 0.95 and minima > 0.95,
    verdict="reproduced",
    why="inertia from the eigenvalues of Ξ at the limit that Newton finds",
)
def _sphere(rate: pd.DataFrame) -> Measured:
    on_sphere, minima = rate["on_sphere"] == 1, rate["minima"] == 1
    return (
        f"all trajectories end on the sphere in {share(on_sphere)} of runs and at a point with positive curvature "
        f"along it in {share(minima)}",
        {"on_sphere": on_sphere.mean(), "minima": minima.mean()},
    )


@PAGE.claim(
    "section-5.2.rate",
    says="all previous conclusions stand for losses with bounded derivatives, without changing the scale of ε and η",
    evidence="dynamics.general_loss_rate",
    holds=lambda steps_low, steps_high, distance_low, on_sphere: (
        min(steps_low) > -2 and max(steps_high) < -0.8 and min(distance_low) > 0.3 and on_sphere > 0.9
    ),
    verdict="reproduced",
    why="the loss enters through the size of ∂L only",
)
def _general_loss(other: pd.DataFrame) -> Measured:
    fits = {
        str(name): [exponent(part, "eta", field, by="net") for field in ("steps", "distance")]
        for name, part in by_net(other[other["converged"] == 1.0]).groupby("loss")
    }
    said = "; ".join(f"{name}: steps {steps}, distance {distance}" for name, (steps, distance) in fits.items())
    return f"{said} (exponents of η)", {
        "steps_low": [steps.low for steps, _ in fits.values()],
        "steps_high": [steps.high for steps, _ in fits.values()],
        "distance_low": [distance.low for _, distance in fits.values()],
        "on_sphere": (other["on_sphere"] == 1).mean(),
    }


@PAGE.claim(
    "corollary-3.1",
    says="with shrinking steps the distance tends to zero, and D_s = O(1/(s+z)) for the schedule of Remark 3",
    evidence="dynamics.corollary_3_1",
    holds=lambda error, small_beta, large_beta: error < 0.1 and small_beta > 0.9 and large_beta < 0.1,
    verdict="reproduced in part",
    why="β must be small against the tangent curvature; the rate is then better than stated",
)
def _corollary(shrink: pd.DataFrame) -> Measured:
    good = shrink[np.isfinite(shrink["slope"])]
    error = (good["slope"] / good["predicted"] - 1).abs().median()
    fast = good["slope"] < -0.9
    small, large = fast[good["beta_ratio"] <= 4], fast[good["beta_ratio"] >= 6]
    return (
        f"D_s falls with the power -4μ/β, to within {about(100 * error, 1)}% in the median; at least as 1/s in "
        f"{share(small)} of runs with β ≤ 4μ and in {share(large)} with β ≥ 6μ",
        {"error": error, "small_beta": small.mean(), "large_beta": large.mean()},
    )


@PAGE.claim(
    "corollary-3.1.why-shrink",
    statement="Theorem 1.1 and Corollary 3.1",
    says="if we further allow the learning rate to shrink, projected gradient descent can converge to a local minimum",
    evidence="dynamics.corollary_3_1",
    holds=lambda constant_closer: constant_closer > 0.95,
    verdict="not reproduced",
    why="the converging needs no shrinking: gradients are exact, and the constant step converges geometrically",
)
def _why_shrink(shrink: pd.DataFrame) -> Measured:
    slower = shrink[shrink["beta_ratio"] >= 1]
    closer = slower["constant"] < slower["final"]
    return (
        f"after equally many steps, a constant step ends closer than the shrinking one in {share(closer)} of runs with "
        "β ≥ μ",
        {"constant_closer": closer.mean()},
    )


@PAGE.claim(
    "remark-3",
    says="the schedule 2/(β(s+z)) meets condition (3)",
    evidence="dynamics.corollary_3_1",
    holds=lambda ratio: ratio <= 1 + 1e-9,
    verdict="reproduced",
    why="the product telescopes to (s+z-1)/(s+k+z)",
)
def _remark(shrink: pd.DataFrame) -> Measured:
    ratio = shrink["condition"].max()
    return f"largest ratio of the two sides {about(ratio)}", {"ratio": ratio}


@PAGE.claim(
    "lemma-a.8.example",
    says="the schedule 1/(s+z) is an example",
    holds=lambda at_one, at_two: at_one > 1.2 and at_two <= 1 + 1e-9,
    verdict="not reproduced",
    why="true for γ ≥ 2 only; the example of the proof, 2/(γ(s+z)), is the right one",
)
def _example() -> Measured:
    printed = conditions()["1 / (s + z)"]
    return (
        f"the condition is missed by a factor {about(printed[1.0])} at γ = 1 and met at γ = 2",
        {"at_one": printed[1.0], "at_two": printed[2.0]},
    )
