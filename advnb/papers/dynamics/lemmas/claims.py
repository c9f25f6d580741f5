"""The claims of the page *lemmas*: section 4 and appendix A of Deng et al. (2020), lemma by lemma."""

from __future__ import annotations

import math

import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, share
from advnb.papers.dynamics.settings import SIZES
from advnb.statistics import exponent

PAGE = Page("dynamics/lemmas", title="Lemmas")


def probability_bound(d: int, m: int, c: float = 1.0) -> float:
    """Return the probability of Lemma A.1's lower bound, 1 - 4 exp(-d c^2 / 8) - d^(1/4) d^(3/2) m^(-1/2).

    The constant of the O(.) is set to 1, and the Berry-Esseen sum to its least value by Jensen's inequality.
    """
    return 1 - 4 * math.exp(-d * c**2 / 8) - d**0.25 * d**1.5 / math.sqrt(m)


@PAGE.claim(
    "lemma-a.1",
    says="B_l ≤ ‖∂f‖ ≤ B_u √(log d) on the ball",
    evidence="dynamics.constants",
    holds=lambda growth, largest: abs(growth) < 0.2 and largest < 2,
    verdict="reproduced",
    why="the logarithm is not needed: the gradient concentrates at a constant size",
)
def _gradient(constants: pd.DataFrame) -> Measured:
    wide = constants[(constants["m"] == 4096) & (constants["eps"] == 0.1)]
    by_d = exponent(wide, "d", "grad_max", by="seed")
    low, high = float(wide["grad_min"].quantile(0.05)), float(wide["grad_max"].quantile(0.95))
    return (
        f"‖∂f‖ between {about(low, 1)} and {about(high, 1)} in nine of ten networks; its maximum goes as d to the "
        f"power {by_d}",
        {"growth": by_d.value, "largest": wide["grad_max"].max()},
    )


@PAGE.claim(
    "lemma-a.1.probability",
    says="the lower bound on the gradient holds with high probability for m = Ω(d^5/2)",
    evidence="dynamics.constants",
    holds=lambda positive: positive < 0.3,
    verdict="vacuous here",
    why="the Berry-Esseen term decays as d^7/4 over the root of m; the gradient itself behaves at every size",
)
def _probability(constants: pd.DataFrame) -> Measured:
    sizes = {*zip(constants["d"].tolist(), constants["m"].tolist(), strict=True), *SIZES}
    positive = [probability_bound(d, m) > 0 for d, m in sizes]
    needed = next(k for k in range(3, 40) if probability_bound(16, 2**k) > 0)
    return (
        f"the bound on the probability is positive at {sum(positive)} of {len(sizes)} sizes; at d = 16 it needs a "
        f"width of 2^{needed}",
        {"positive": sum(positive) / len(sizes)},
    )


@PAGE.claim(
    "lemma-a.2",
    says="‖∂²f‖ ≤ M_u log m, with Lipschitz constant K_u (log m)^3/2",
    evidence="dynamics.constants",
    holds=lambda hessian_high, lipschitz_high: hessian_high < 0.15 and lipschitz_high < 0.15,
    verdict="reproduced",
    why="no growth with the width is seen, not even a logarithm",
)
def _hessian(constants: pd.DataFrame) -> Measured:
    by_m = constants[(constants["d"] == 8) & (constants["eps"] == 0.1)]
    hessian, lipschitz = (exponent(by_m, "m", name, by="seed") for name in ("hess_max", "hess_lipschitz"))
    return (
        f"over widths 64 to 16384 at d = 8 they go as m to the power {hessian} and {lipschitz}; largest values "
        f"{about(by_m['hess_max'].max(), 1)} and {about(by_m['hess_lipschitz'].max(), 1)}",
        {"hessian_high": hessian.high, "lipschitz_high": lipschitz.high},
    )


@PAGE.claim(
    "corollary-a.1",
    says="the cosine between gradients in the ball tends to 1 as the radius tends to 0",
    evidence="dynamics.constants",
    holds=lambda low, high: low > 1.5 and high < 2.5,
    verdict="reproduced",
    why="quadratic, as the norm of the Hessian times the radius squared",
)
def _turning(constants: pd.DataFrame) -> Measured:
    turning = constants[(constants["d"] == 8) & (constants["m"] == 4096) & (constants["eps"] <= 0.3)]
    fit = exponent(turning.assign(turn=1 - turning["cosine_min"]), "eps", "turn", by="seed")
    return f"1 minus the least cosine goes as ε to the power {fit}", {"low": fit.low, "high": fit.high}


@PAGE.claim(
    "lemma-4.2",
    says="a projected step equals the tangent step up to 4η²/ε, for every direction",
    evidence="dynamics.geometry",
    holds=lambda outward, inward, mended: outward < 1 < inward and mended <= 1 + 1e-9,
    verdict="not reproduced",
    why="false for inward directions, where nothing is projected; true, with 3/2 for 4, for outward ones",
)
def _projected_step(geometry: pd.DataFrame) -> Measured:
    short = geometry[geometry["eta_over_eps"] <= 0.05]
    outward, mended = geometry["l42_outward"].max(), geometry["l42_mended"].max()
    broken = short["l42_share"].mean()
    return (
        f"outward directions: at most {about(outward)} of the bound; inward: up to "
        f"{about(short['l42_inward'].max())} times the bound, broken by {about(100 * broken, 1)}% of "
        f"inward directions at η ≤ ε/20; the mended bound: at most {about(mended)}",
        {"outward": outward, "inward": short["l42_inward"].min(), "mended": mended},
    )


@PAGE.claim(
    "lemma-a.3",
    says="the normal part of a chord of the sphere is at most its square over 2ε, and at most the tangent part's "
    "square over ε if the chord is shorter than ε",
    evidence="dynamics.geometry",
    holds=lambda first, second, printed: abs(first - 1) < 1e-6 and second < 1 < printed,
    verdict="reproduced in part",
    why="the second bound is true with the tangent part on the right and false as printed",
)
def _chord(geometry: pd.DataFrame) -> Measured:
    first, second = geometry["a3_first"].max(), geometry["a3_second"].max()
    printed = geometry["a3_second_printed"].min()
    return (
        f"first ratio {about(first)} (equality); second at most {about(second)}; as printed, with the normal part on "
        f"both sides, at least {about(printed)}",
        {"first": first, "second": second, "printed": printed},
    )


@PAGE.claim(
    "lemma-a.4",
    says="tangent spaces at two points of the sphere differ by at most the distance over ε",
    evidence="dynamics.geometry",
    holds=lambda ratio: ratio <= 1 + 1e-9,
    verdict="reproduced",
    why="the left side is the sine of the angle between the points, the right side its chord",
)
def _tangent_spaces(geometry: pd.DataFrame) -> Measured:
    return f"largest ratio of the two sides {about(geometry['a4'].max())}", {"ratio": geometry["a4"].max()}


@PAGE.claim(
    "lemma-4.4",
    says="near critical points Ξ is definite, with the sign of (y-f) δ·∂f",
    evidence="dynamics.curvature",
    holds=lambda plus, minus: plus > 0.9 and minus < 0.05,
    verdict="reproduced in part",
    why="true with the sign reversed for the paper's own L; the constant γ grows as 1/ε, and the condition needs |cos|",
)
def _definite(curvature: pd.DataFrame) -> Measured:
    tight = curvature[curvature["eps"] <= 0.1]
    plus, minus = (tight[tight["convention"] == name] for name in ("plus", "minus"))
    return (
        f"at cosine above 0.9 and ε ≤ 0.1: definite with that sign in {share(plus['gamma'] > 0)} of networks for L = "
        f"+(y-f)², in {share(minus['gamma'] > 0)} for the L = -(y-f)² of section 3; ε times the eigenvalue is about "
        f"{about(plus['gamma_eps'].median())}",
        {"plus": (plus["gamma"] > 0).mean(), "minus": (minus["gamma"] > 0).mean()},
    )


@PAGE.claim(
    "lemma-4.3",
    says="away from critical points, cosine ≤ β, ‖Γ‖ ≥ √(1-β²) ‖∂f‖",
    evidence="dynamics.curvature",
    holds=lambda printed, mended, identity: printed < 0.5 and mended > 0.999 and identity < 1e-5,
    verdict="reproduced in part",
    why="true with the absolute value and with ∂L; as printed it fails at the opposite pole",
)
def _tangent_part(curvature: pd.DataFrame) -> Measured:
    tight = curvature[curvature["eps"] <= 0.1]
    printed, mended = tight["l43_printed"].min(), tight["l43_mended"].min()
    identity = curvature["l43_identity"].max()
    return (
        f"at β = 1/2 the least ratio of the two sides is {about(printed, 1)} with the printed condition, "
        f"{about(mended)} with |cos| ≤ β and ∂L for ∂f; the identity ‖Γ‖ = sin ‖∂L‖ holds up to "
        f"{about(10.0 ** math.ceil(math.log10(identity)), 1)}",
        {"printed": printed, "mended": mended, "identity": identity},
    )


@PAGE.claim(
    "lemma-4.1",
    says="a step that ends in the interior lowers L by Ω(η)",
    evidence="dynamics.step_lemmas",
    holds=lambda least: least > 0.5,
    verdict="reproduced",
    why="the constant is the squared gradient, as for gradient descent without a constraint",
)
def _interior(steps: pd.DataFrame) -> Measured:
    inside = steps.dropna(subset=["l41_drop_over_eta"])
    least = (inside["l41_drop_over_eta"] / (2 * inside["l41_half_square"])).min()
    return f"least drop over η: {about(least)} of the squared gradient at worst", {"least": least}


@PAGE.claim(
    "lemma-4.5",
    says="under condition (6) no trajectory reaches the neighbourhood of a maximum, and none leaves that of a minimum",
    evidence="dynamics.step_lemmas",
    holds=lambda runs, reaching, leaving: runs > 20 and reaching == 0 and leaving == 0,
    verdict="reproduced",
    why="for both definitions of the sets, the one of section 4 and the one of the appendix",
)
def _sets(steps: pd.DataFrame) -> Measured:
    applies = steps[steps["l45_condition"] <= 1]
    reaching, leaving = (
        float(max(applies[f"l45_{where}_{what}"].max() for where in ("section4", "appendix")))
        for what in ("reaches_maxima", "leaves_minima")
    )
    return (
        f"condition (6) holds in {share(steps['l45_condition'] <= 1)} of runs; there, trajectories that reach a "
        f"maximum: {about(reaching, 1)}, that leave a minimum: {about(leaving, 1)}",
        {"runs": len(applies), "reaching": reaching, "leaving": leaving},
    )


@PAGE.claim(
    "lemma-a.5",
    says="on the sphere, while ‖Γ‖ ≥ √η, a step lowers L by Ω(η²)",
    evidence="dynamics.step_lemmas",
    holds=lambda drop, equation_5: drop > 0.5 and equation_5 <= 1,
    verdict="reproduced",
    why="the drop is about η‖Γ‖², which is η² only at the end; equation (5) holds with the missing square of ‖∂L‖",
)
def _on_the_sphere(steps: pd.DataFrame) -> Measured:
    moving = steps.dropna(subset=["a5_drop_over_eta2"])
    drop = moving["a5_drop_over_eta2"].min()
    return (
        f"least drop over η²: {about(drop)}; over η‖Γ‖²: {about(moving['a5_drop_over_eta_gamma2'].min())}",
        {"drop": drop, "equation_5": moving["eq5_mended_ratio"].max()},
    )


@PAGE.claim(
    "lemma-a.6",
    says="‖Γ‖ ≤ √η implies a distance O(√η), and the slope inequality with γ/2",
    evidence="dynamics.step_lemmas",
    holds=lambda slope, distance: slope > 0.5 and distance < 2,
    verdict="reproduced",
    why="the constant is the inverse of the tangent curvature, of the order of ε",
)
def _near(steps: pd.DataFrame) -> Measured:
    near = steps.dropna(subset=["a6_distance_over_root_eta"])
    distance, slope = near["a6_distance_over_root_eta"].max(), near["a6_slope_over_curvature"].min()
    return (
        f"distance at most {about(distance, 1)} √η; least slope {about(slope)} times the curvature (needed: one half)",
        {"slope": slope, "distance": distance},
    )


@PAGE.claim(
    "lemma-a.7",
    says="from then on the distance stays O(√η)",
    evidence="dynamics.step_lemmas",
    holds=lambda later_over_first, monotone: later_over_first <= 1.001 and monotone > 0.9,
    verdict="reproduced",
    why="more is true: the distance falls at every step",
)
def _stays(steps: pd.DataFrame) -> Measured:
    near = steps.dropna(subset=["a6_distance_over_root_eta"])
    later, monotone = near["a7_distance_over_root_eta"], near["a7_monotone"] == 1
    return (
        f"largest later distance {about(later.max(), 1)} √η; the distance never grows in {share(monotone)} of runs",
        {"later_over_first": (later / near["a6_distance_over_root_eta"]).max(), "monotone": monotone.mean()},
    )
