"""The claims of the page *convergence*: Theorem 3.1, Corollary 3.1 and the schedules of its steps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, at_least, at_most, interval, share
from advnb.papers.dynamics.descent import schedule_condition, shrinking

PAGE = Page("dynamics/convergence", title="Convergence")

GAMMAS = (0.5, 1.0, 1.9, 2.0, 4.0)
"""Where the two schedules of Lemma A.8 are held against condition (12)."""

BOUNDED = 1.05
"""A ratio D_s / eta_s that grows by less over a decade or two of time counts as bounded."""


def by_net(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs by falling eta, with medians of ``steps`` and ``distance`` over trajectories.

    Also ``slowest`` (the most steps), ``worst`` (the largest ``ratio``) and a name for each ``net``.
    """
    loss = runs.get("loss", "squared")
    net = runs[["d", "m", "eps", "seed"]].astype(str).agg("/".join, axis=1) + "/" + loss
    medians = {name: [float(np.median(cell)) for cell in runs[name]] for name in ("steps", "distance")}
    worst = {"slowest": runs["steps"].map(max), "worst": runs["ratio"].map(max)}
    return runs.assign(net=net, **medians, **worst).sort_values("eta", ascending=False)


def local_exponents(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the power of eta with which ``name`` changes between neighbouring eta of one net: ``eta``, ``exponent``.

    ``relative`` is eta / eps^2, at the geometric mean of the two, as ``eta`` is.
    """
    parts = []
    for net, part in table.groupby("net"):
        eta, value = (np.log(part[column].to_numpy(float)) for column in ("eta", name))
        middle = np.exp((eta[1:] + eta[:-1]) / 2)
        steps = {"eta": middle, "exponent": np.diff(value) / np.diff(eta)}
        parts.append(pd.DataFrame({"net": net, **steps, "relative": middle / part["eps"].iloc[0] ** 2}))
    return pd.concat(parts, ignore_index=True)


def growth(table: pd.DataFrame) -> float:
    """Return the largest factor by which the steps of a net's slowest start, times eta^2, change as eta falls."""
    scaled = table["slowest"] * table["eta"] ** 2
    return float((scaled / scaled.groupby(table["net"]).shift()).max())


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
    holds=lambda growth, converged: growth < 1 and converged > 0.99,
    verdict="reproduced",
    why="steps·η² must not grow as η falls; it falls, because the steps grow hardly faster than 1/η: the bound is far "
    "from sharp (the page on the rate says what is)",
)
def _iterations(rate: pd.DataFrame) -> Measured:
    table = by_net(rate)
    change = growth(table)
    return (
        f"with d from {table['d'].min()} to {table['d'].max()} and m from {table['m'].min()} to {table['m'].max()}, "
        f"steps·η² of the slowest start falls whenever η does, in every net, and all "
        f"starts arrive in {share(rate['converged'] == 1)} of runs",
        {"growth": change, "converged": rate["converged"].mean()},
    )


@PAGE.claim(
    "theorem-3.1.distance",
    says="the output is within O(η^1/2) of a local minimum",
    evidence="dynamics.theorem_3_1",
    holds=lambda worst: worst <= 2,
    verdict="reproduced",
    why="one constant for all η: Lemma A.6 has 2/γ, and γ is here the least curvature μ that is measured at the "
    "minimum",
)
def _distance(rate: pd.DataFrame) -> Measured:
    table = by_net(rate)
    groups = table.groupby("d")["worst"].max()
    return (
        f"at the stopping rule the distance is {at_most(table['worst'].max(), 0.05)} times √η/μ over all starts "
        f"({at_most(groups.iloc[-1], 0.05)} at d = {groups.index[-1]})",
        {"worst": table["worst"].max()},
    )


@PAGE.claim(
    "theorem-3.1.exponents",
    statement="Theorem 3.1, as η falls",
    says="(not in the paper) as η falls, the steps grow as η^-1 up to the logarithm, the distance falls as η^1/2",
    evidence="dynamics.theorem_3_1",
    holds=lambda steps, distance, first: (
        -1.2 < steps < -1 and abs(distance - 0.5) < 0.02 and abs(distance - 0.5) <= abs(first - 0.5)
    ),
    verdict="reproduced",
    why="a fit over all η mixes this limit with the largest η, where a single step carries far beyond the rule",
)
def _exponents(rate: pd.DataFrame) -> Measured:
    table = by_net(rate)
    wide = table[(table["d"] == 8) & (table["m"] == 256) & (table["eps"] == 0.2)]
    steps, distance = (local_exponents(wide, name) for name in ("steps", "distance"))
    ends = [steps["eta"].min(), distance["eta"].max()]
    last, first = (distance.loc[np.isclose(distance["eta"], end), "exponent"].median() for end in ends)
    slowest = steps.loc[np.isclose(steps["eta"], ends[0]), "exponent"].median()
    relative = interval(wide["eta"].min() / 0.04, wide["eta"].max() / 0.04)
    return (
        f"between neighbouring η, for η/ε² in {relative}: the distance has the local power {about(first)} at the "
        "largest "
        f"η and {about(last)} at the smallest, the steps {about(slowest)} at the smallest",
        {"steps": slowest, "distance": last, "first": first},
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
        f"all trajectories stay on the sphere in {share(on_sphere)} of runs and lie in the bowl of a point with "
        "positive "
        f"curvature along it in {share(minima)}",
        {"on_sphere": on_sphere.mean(), "minima": minima.mean()},
    )


@PAGE.claim(
    "section-5.2.rate",
    says="all previous conclusions stand for losses with bounded derivatives, without changing the scale of ε and η",
    evidence="dynamics.general_loss_rate",
    holds=lambda growth, worst, converged, minima: (
        max(growth) < 1 and max(worst) <= 2 and min(converged) > 0.99 and min(minima) > 0.95
    ),
    verdict="reproduced",
    why="the conditions of the three claims on Theorem 3.1, for each loss; the loss enters through the size of ∂L only",
)
def _general_loss(other: pd.DataFrame) -> Measured:
    parts = {str(name): by_net(part) for name, part in other.groupby("loss")}
    said = "; ".join(f"{name}: {at_most(part['worst'].max(), 0.05)} times √η/μ away" for name, part in parts.items())
    return f"steps·η² falls with η for every loss and net; {said}", {
        "growth": [growth(part) for part in parts.values()],
        "worst": [part["worst"].max() for part in parts.values()],
        "converged": [part["converged"].mean() for part in parts.values()],
        "minima": [(part["minima"] == 1).mean() for part in parts.values()],
    }


@PAGE.claim(
    "appendix-a.5.step-size",
    says="L(δ_{t+1}) - L(δ_t) ≤ -Ω(η²) on the sphere where ‖Γ‖ ≥ √η, for η < min{Θ((log m)^-2), ε²}",
    evidence="dynamics.descent_range",
    holds=lambda worst, drop: worst < 0 and drop > 0.25,
    verdict="reproduced",
    why="the proof allows η < ε²/16 only; what was searched is the sphere, with L-BFGS from its worst points, at "
    "ε ≤ 0.2",
)
def _step_size(descent: pd.DataFrame) -> Measured:
    rows = explode(descent, ["eta", "worst", "drop", "guarantee"])
    small = rows[(rows["eps"] <= 0.2) & (rows["relative"] <= 1.001)]
    falls = rows.groupby(["eps", "relative"])["worst"].max() < 0
    largest = falls[falls].reset_index().groupby("eps")["relative"].max()
    said = ", ".join(f"{ratio:.3g} ε² at ε = {eps:g}" for eps, ratio in largest.items())
    return (
        f"no step up to η = ε² rises, and L falls by {at_least(small['drop'].min(), 0.05)} η² at least; the largest η "
        f"tried at which no net has a rising step: {said}",
        {"worst": small["worst"].max(), "drop": small["drop"].min()},
    )


@PAGE.claim(
    "descent.bound",
    statement="Proposition (this book), descent",
    says="(not in the paper) L falls by (1 - ηl/2)‖δ_{t+1} - δ_t‖²/η at least, l above the eigenvalues of ∂²L",
    evidence="dynamics.descent_range",
    holds=lambda excess, guaranteed, rises: excess < 1e-6 and guaranteed > 100 and rises > 0,
    verdict="reproduced",
    why="proved for every ε and η; what it does not guarantee does happen",
)
def _bound(descent: pd.DataFrame) -> Measured:
    rows = explode(descent, ["eta", "worst", "drop", "guarantee"])
    sure = rows[rows["guarantee"] < 0]
    excess, rises = (sure["worst"] - sure["guarantee"]).max(), int((rows["worst"] > 0).sum())
    return (
        f"the bound holds in all {len(sure)} cells (net, η) where it promises a descent; of the "
        f"{len(rows) - len(sure)} "
        f"others, {rises} have a rising step",
        {"excess": excess, "guaranteed": len(sure), "rises": rises},
    )


def explode(runs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return a row for each entry of the lists ``names``, with eta / eps^2 as ``relative`` where there is an eta."""
    rows = runs.explode(names, ignore_index=True)
    rows[names] = rows[names].astype(float)
    return rows.assign(relative=(rows["eta"] / rows["eps"] ** 2).round(6)) if "eta" in names else rows


@PAGE.claim(
    "corollary-3.1",
    says="with shrinking steps the distance tends to zero, and D_s = O(1/(s+z)) for the schedule of Remark 3",
    evidence="dynamics.corollary_3_1",
    holds=lambda slowest, growth, decades: slowest < -1 and growth < 1.05 and decades > 1.9,
    verdict="reproduced",
    why="β in its proof bounds the curvature from below, so β ≤ μ; then the rate is better than stated",
)
def _corollary(shrink: pd.DataFrame) -> Measured:
    paper = shrink[shrink["beta_ratio"] <= 1]
    slopes = paper.groupby("beta_ratio")["slope"].max()
    decades = paper.loc[paper["beta_ratio"] == 1, "decades"].min()
    return (
        f"D_s falls at least with the power {about(slopes.max())} for β ≤ μ, over {at_least(decades, 0.1)} decades of "
        "s + z at β = μ, and D_s (s+z) never exceeds its first value",
        {"slowest": slopes.max(), "growth": paper["growth"].max(), "decades": decades},
    )


@PAGE.claim(
    "corollary-3.1.power",
    says="(not in the paper) D_s falls as (s+z)^(-4μ/β), so that D_s = O(1/(s+z)) for β ≤ 4μ and for no larger β",
    evidence="dynamics.corollary_3_1",
    holds=lambda error, small_beta, large_beta: error < 0.1 and small_beta > 0.9 and large_beta < 0.1,
    verdict="reproduced",
    why="the condition is that of the first edition, where it stood for the corollary itself",
)
def _power(shrink: pd.DataFrame) -> Measured:
    good = shrink[np.isfinite(shrink["slope"])]
    error = (good["slope"] / good["predicted"] - 1).abs().median()
    fast = good["slope"] < -0.9
    small, large = fast[good["beta_ratio"] <= 4], fast[good["beta_ratio"] >= 6]
    return (
        f"the power is -4μ/β to within {about(100 * error, 1)}% in the median; at least as 1/s in {share(small)} "
        "of runs "
        f"with β ≤ 4μ and in {share(large)} with β ≥ 6μ",
        {"error": error, "small_beta": small.mean(), "large_beta": large.mean()},
    )


@PAGE.claim(
    "corollary-3.1.why-shrink",
    statement="Theorem 1.1 and Corollary 3.1",
    says="if we further allow the learning rate to shrink, projected gradient descent can converge to a local minimum",
    evidence="dynamics.schedules",
    holds=lambda slowest, stuck: slowest < 0.5 and stuck > 0.8,
    verdict="reproduced",
    why="the sentence says can. What would refute it: a schedule within its condition under which D_s stops "
    "falling, as "
    "it does under steps with a finite sum, which the condition excludes",
)
def _why_shrink(runs: pd.DataFrame) -> Measured:
    family = runs[runs["kappa"].notna()]
    within = family["power"] <= 1
    slowest, stuck = family.loc[within, "fall"].max(), family.loc[~within, "fall"].min()
    return (
        f"over the last decade of time D_s falls to {at_most(slowest, 0.05)} of its value for steps (s+z)^-p with "
        "p ≤ 1; "
        f"with p = 2, whose sum is finite, it stays {at_least(stuck, 0.05)} of it",
        {"slowest": slowest, "stuck": stuck},
    )


@PAGE.claim(
    "corollary-3.1.constant",
    says="(not in the paper) the step need not shrink: a constant one ends closer",
    evidence="dynamics.corollary_3_1",
    holds=lambda constant_closer: constant_closer > 0.95,
    verdict="reproduced",
    why="gradients are exact, so that there is no noise to average out and the constant step converges geometrically",
)
def _constant(shrink: pd.DataFrame) -> Measured:
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


def judged_schedules(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with ``met`` (condition (12)) and whether D_s = O(eta_s), for ``pgd`` and the ``recursion``."""
    return runs.assign(
        met=runs["condition"] <= 1 + 1e-9, pgd=runs["growth"] <= BOUNDED, recursion=runs["worst_case_growth"] <= BOUNDED
    )


@PAGE.claim(
    "lemma-a.8",
    says="if η_s meets (12), then D_s ≤ O(η_s)",
    evidence="dynamics.schedules",
    holds=lambda met, pgd, recursion: met >= 50 and pgd == 1 and recursion == 1,
    verdict="reproduced",
    why="for the recursion of its proof, the worst that can happen, and for PGD; (12) is sufficient, not necessary",
)
def _lemma(runs: pd.DataFrame) -> Measured:
    judged = judged_schedules(runs)
    met, others = judged[judged["met"]], judged[~judged["met"]]
    return (
        f"D_s/η_s stays bounded in {share(met['pgd'])} of PGD's runs that meet (12) and in "
        f"{share(met['recursion'])} of the "
        f"recursions; in {share(others['pgd'])} and {share(others['recursion'])} of those that do not",
        {"met": len(met), "pgd": met["pgd"].mean(), "recursion": met["recursion"].mean()},
    )


@PAGE.claim(
    "lemma-a.8.example",
    says="for η_s = 1/(s+z) with a large integer z, D_s ≤ O(1/(z+s))",
    evidence="dynamics.schedules",
    holds=lambda steep, flat, recursion_steep, recursion_flat: (
        steep == 1 and flat == 0 and recursion_steep == 1 and recursion_flat == 0
    ),
    verdict="reproduced in part",
    why="it depends on the curvature: PGD needs μ ≥ 1/2, the recursion of the proof γ > 1, condition (12) γ ≥ 2; with "
    "2/(γ(s+z)), which the proof has, it holds for every γ",
)
def _example(runs: pd.DataFrame) -> Measured:
    printed = judged_schedules(runs[runs["kappa"].isna()])
    mu = printed["mu"]
    return (
        f"least curvature μ from {about(mu.min())} to {about(mu.max())}: bounded for PGD in "
        f"{share(printed.loc[mu > 0.55, 'pgd'])} of runs with μ > 0.55, {share(printed.loc[mu < 0.45, 'pgd'])} with "
        f"μ < 0.45; for the recursion in {share(printed.loc[mu > 1.5, 'recursion'])} with μ > 1.5, "
        f"{share(printed.loc[mu < 0.9, 'recursion'])} with μ < 0.9; (12) is met in {share(printed['met'])}",
        {
            "steep": printed.loc[mu > 0.55, "pgd"].mean(),
            "flat": printed.loc[mu < 0.45, "pgd"].mean(),
            "recursion_steep": printed.loc[mu > 1.5, "recursion"].mean(),
            "recursion_flat": printed.loc[mu < 0.9, "recursion"].mean(),
        },
    )
