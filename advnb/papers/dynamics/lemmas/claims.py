"""The claims of the page *lemmas*: section 4 and appendix A of Deng et al. (2020), lemma by lemma."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from advnb.book.claims import Measured, Page
from advnb.book.rounding import about, at_least, at_most, share
from advnb.papers.dynamics.lemmas.trials import forked_trajectories
from advnb.papers.dynamics.settings import SIZES
from advnb.statistics import Exponent, exponent

PAGE = Page("dynamics/lemmas", title="Lemmas")  # "with high probability" is read as: in 95 of 100 networks


def probability_bound(d: int, m: int, c: float = 1.0) -> float:
    """Return the probability of Lemma A.1's lower bound, 1 - 4 exp(-d c^2 / 8) - d^(1/4) d^(3/2) m^(-1/2).

    The constant of the O(.) is set to 1, and the Berry-Esseen sum to its least value by Jensen's inequality.
    """
    return 1 - 4 * math.exp(-d * c**2 / 8) - d**0.25 * d**1.5 / math.sqrt(m)


def growth(constants: pd.DataFrame, over: str, field: str, power: float) -> tuple[Exponent, Exponent]:
    """Exponents in ``over`` of a supremum over log(``over``)^power: as an optimiser reached it, and as proved."""
    scale = np.log(constants[over].astype(float)) ** power
    fits = [
        exponent(constants.assign(ratio=constants[f"{field}_{how}"] / scale), over, "ratio", by="seed")
        for how in ("reached", "proved")
    ]
    return fits[0], fits[1]


@PAGE.claim(
    "lemma-a.1",
    says="B_l ≤ ‖∂f‖ ≤ B_u √(log d) on the ball, with high probability",
    evidence="dynamics.constants",
    holds=lambda positive, lower, reached, proved: positive >= 0.95 and lower > 0 and reached <= 0 and proved <= 0,
    verdict="reproduced",
    why="the root of log d is not needed: over the whole ball, the gradient has a size of order 1",
)
def _gradient(constants: pd.DataFrame) -> Measured:
    wide = constants[(constants["m"] == 4096) & (constants["eps"] == 0.1)]
    low, high = float(wide["grad_min_proved"].quantile(0.05)), float(wide["grad_max_proved"].quantile(0.95))
    reached, proved = growth(wide, "d", "grad_max", 0.5)
    floor = exponent(wide, "d", "grad_min_proved", by="seed")
    positive = wide["grad_min_proved"] > 0
    return (
        f"the gradient provably vanishes nowhere on the ball in {share(positive)} of networks; in nine of ten, inf "
        f"‖∂f‖ is {at_least(low, 0.05)} and sup ‖∂f‖ {at_most(high, 0.05)}, both proved; sup ‖∂f‖ over √(log d) goes "
        f"as d to the power {reached} as optimised, {proved} as proved",
        {"positive": positive.mean(), "lower": floor.high, "reached": reached.value, "proved": proved.value},
    )


@PAGE.claim(
    "lemma-a.1.probability",
    says="the lower bound on the gradient holds with high probability for m = Ω(d^5/2)",
    evidence="dynamics.constants",
    holds=lambda positive: positive == 0,
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
        {"positive": sum(positive)},
    )


@PAGE.claim(
    "lemma-a.2",
    says="‖∂²f‖ ≤ M_u log m, with Lipschitz constant K_u (log m)^3/2, on the ball",
    evidence="dynamics.constants",
    holds=lambda hessian, hessian_proved, lipschitz, lipschitz_proved: (
        hessian <= 0 and hessian_proved <= 0 and lipschitz <= 0 and lipschitz_proved <= 0
    ),
    verdict="reproduced",
    why="the logarithms are not needed: reached and proved, the Hessian does not grow with the width",
)
def _hessian(constants: pd.DataFrame) -> Measured:
    by_m = constants[(constants["d"] == 8) & (constants["eps"] == 0.1)]
    hessian, proved = growth(by_m, "m", "hess", 1.0)
    lipschitz, bound = growth(by_m, "m", "lipschitz", 1.5)
    gap = float((by_m["hess_proved"] / by_m["hess_reached"]).max())
    return (
        f"over widths 64 to 16384 at d = 8, sup ‖∂²f‖ over log m goes as m to the power {hessian} as optimised and "
        f"{proved} as proved, the two within {about(100 * (gap - 1), 1)}%; the Lipschitz constant over (log m)^3/2 as "
        f"{lipschitz} as optimised, {bound} as proved",
        {"hessian": hessian.value, "hessian_proved": proved.value, "lipschitz": lipschitz.value,
         "lipschitz_proved": bound.value},
    )  # fmt: skip


@PAGE.claim(
    "corollary-a.1",
    says="the cosine between any two gradients in the ball tends to 1 as the radius tends to 0",
    evidence="dynamics.constants",
    holds=lambda reached, proved: reached > 0 and proved > 0,
    verdict="reproduced",
    why="quadratically: 1 - cos ≤ 2 (ε sup ‖∂²f‖ / inf ‖∂f‖)², which is what is evaluated",
)
def _turning(constants: pd.DataFrame) -> Measured:
    small = constants[(constants["d"] == 8) & (constants["m"] == 4096) & (constants["eps"] <= 0.3)]
    reached, proved = (exponent(small, "eps", f"turn_{how}", by="seed") for how in ("reached", "proved"))
    least = 1 - small.loc[small["eps"] == small["eps"].min(), "turn_proved"].max()
    return (
        f"the largest 1 - cos goes as ε to the power {reached} as optimised, {proved} as proved; at ε = 0.01 every "
        f"cosine is above {about(math.floor(1e4 * least) / 1e4, 4)}",
        {"reached": reached.low, "proved": proved.low},
    )


@PAGE.claim(
    "lemma-4.2",
    says="a projected step equals the tangent step up to 4η²/ε, for every direction",
    evidence="dynamics.geometry",
    holds=lambda outward, inward: outward <= 1 < inward,
    verdict="reproduced in part",
    why="true of every step that ends outside the ball; false where it ends inside, since nothing is projected there",
)
def _projected_step(geometry: pd.DataFrame) -> Measured:
    short = geometry[geometry["eta_over_eps"] <= 0.05]
    outward, broken = geometry["l42_outward"].max(), short["l42_share"].mean()
    return (
        f"outward directions: at most {about(outward)} of the bound; inward: up to "
        f"{about(short['l42_inward'].max())} times the bound, broken by {about(100 * broken, 1)}% of "
        "inward directions at η ≤ ε/20",
        {"outward": outward, "inward": short["l42_inward"].min()},
    )


@PAGE.claim(
    "lemma-4.2.maximum",
    statement="Lemma 4.2, mended",
    says="the distance is at most max(‖w‖²/(√3 ε), -⟨w, n⟩) for every step w, and no smaller constant will do "
    "(not in the paper)",
    evidence="dynamics.geometry",
    holds=lambda largest, sharp: largest <= 1 + 1e-9 and sharp >= 0.999,
    verdict="reproduced",
    why="proved below; the constant is reached in the limit of short steps, at an angle of 55 degrees to the normal",
)
def _maximum(geometry: pd.DataFrame) -> Measured:
    largest = geometry["l42_mended"].max()
    shortest = geometry[geometry["eta_over_eps"] == geometry["eta_over_eps"].min()]
    sharp = shortest["l42_sharp"].min()
    return (
        f"largest ratio of the two sides {about(largest)}; of outward steps of ε/1000, {about(sharp, 3)}",
        {"largest": largest, "sharp": sharp},
    )


@PAGE.claim(
    "equation-5",
    statement="Equation (5)",
    says="from a point of the sphere, a step of PGD is a step along -ηΓ up to 4η²/ε",
    evidence="dynamics.step_lemmas",
    holds=lambda inside, outside, mended: inside > 1 and outside <= 1 and mended <= 1 + 1e-9,
    verdict="reproduced in part",
    why="true, with the missing ‖∂L‖², where the step ends outside; where it ends inside the error is η⟨∂L, n⟩",
)
def _equation_5(steps: pd.DataFrame) -> Measured:
    inside, outside = steps["eq5_squared_inside"], steps[["eq5_printed_outside", "eq5_squared_outside"]].max().max()
    return (
        f"from uniform points of the sphere {about(100 * steps['eq5_inward'].mean(), 1)}% of steps end inside; the "
        f"worst of these has {about(inside.median())} times the error that is allowed (median over runs, with the "
        f"missing ‖∂L‖²), the others have at most {about(outside)} of it; the mended bound is never broken",
        {"inside": inside.median(), "outside": outside, "mended": steps["eq5_mended"].max()},
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
    "lemma-4.3",
    says="away from critical points, cosine ≤ β, ‖Γ‖ ≥ √(1-β²) ‖∂f‖",
    evidence="dynamics.curvature",
    holds=lambda printed, mended, identity: printed < 1 and mended > 1 - 1e-6 and identity < 1e-5,
    verdict="reproduced in part",
    why="true with the absolute value and with ∂L; as printed it fails at the opposite pole",
)
def _tangent_part(curvature: pd.DataFrame) -> Measured:
    tight = curvature[curvature["eps"] <= 0.1]
    printed, mended = tight["l43_printed"].max(), tight["l43_mended"].min()
    identity = curvature["l43_identity"].max()
    return (
        f"at β = 1/2 the least ratio of the two sides is {at_most(printed, 0.05)} in every network with the printed "
        f"condition, {at_least(mended, 0.01)} with |cos| ≤ β and ∂L for ∂f; the identity ‖Γ‖ = sin ‖∂L‖ holds up to "
        f"{about(10.0 ** math.ceil(math.log10(identity)), 1)}",
        {"printed": printed, "mended": mended, "identity": identity},
    )


@PAGE.claim(
    "lemma-4.4",
    says="near critical points Ξ is definite, with the sign of (y-f) δ·∂f",
    evidence="dynamics.curvature",
    holds=lambda plus, minus, reversed: plus >= 0.95 and minus <= 0.05 and reversed >= 0.95,
    verdict="reproduced in part",
    why="definite, but with the opposite sign for the paper's own L; γ grows as 1/ε, and the condition needs |cos|",
)
def _definite(curvature: pd.DataFrame) -> Measured:
    tight = curvature[curvature["eps"] <= 0.1]
    plus, minus = (tight[tight["convention"] == name] for name in ("plus", "minus"))
    return (
        f"at |cosine| ≥ 0.9 and ε ≤ 0.1: definite with that sign at all sampled points in {share(plus['gamma'] > 0)} "
        f"of networks for L = +(y-f)², in {share(minus['gamma'] > 0)} for the L = -(y-f)² of section 3; there it is "
        f"definite with the opposite sign, provably at every point in {share(minus['proved'] > 0)}; ε times the "
        f"eigenvalue is about {about(plus['gamma_eps'].median())}",
        {"plus": (plus["gamma"] > 0).mean(), "minus": (minus["gamma"] > 0).mean(),
         "reversed": (minus["proved"] > 0).mean()},
    )  # fmt: skip


@PAGE.claim(
    "lemma-4.1",
    says="a step that ends in the interior lowers L by Ω(η)",
    evidence="dynamics.step_lemmas",
    holds=lambda least: least >= 0.5,
    verdict="reproduced",
    why="at least half of η‖∂L‖², as its proof has it; measured, nearly all of it",
)
def _interior(steps: pd.DataFrame) -> Measured:
    least = steps["l41_ratio"].min()
    return f"least drop over η‖∂L‖²: {about(least)}", {"least": least}


@PAGE.claim(
    "lemma-4.5",
    says="under condition (6) no trajectory reaches the neighbourhood of a maximum, and none leaves that of a minimum",
    evidence="dynamics.step_lemmas",
    holds=lambda runs, reaching, leaving, forked_condition, forked_leaving: (
        runs >= 100 and reaching == 0 and leaving == 0 and forked_condition <= 1 and forked_leaving > 0
    ),
    verdict="reproduced in part",
    why="the first half is proved below; the second does not follow from (6), though these networks obey it: a network "
    "of three units meets (6), and its trajectories leave",
)
def _sets(steps: pd.DataFrame) -> Measured:
    applies = steps[steps["l45_condition"] <= 1]
    reaching, leaving = (
        float(max(applies[f"l45_{where}_{what}"].max() for where in ("section4", "appendix")))
        for what in ("reaches_maxima", "leaves_minima")
    )
    forked = forked_trajectories()
    left = min(forked["leave_section4"], forked["leave_appendix"])
    return (
        f"condition (6) provably holds in {share(steps['l45_condition'] <= 1)} of runs; there, the share of "
        f"trajectories that reach a maximum is {about(reaching, 1)}, that leave a minimum {about(leaving, 1)}; at the "
        f"network of three units the left side of (6) is {about(forked['condition'])} of the right, and "
        f"{about(100 * left)}% of trajectories leave",
        {"runs": len(applies), "reaching": reaching, "leaving": leaving, "forked_condition": forked["condition"],
         "forked_leaving": left},
    )  # fmt: skip


@PAGE.claim(
    "lemma-4.5.needle",
    statement="Lemma 4.5, mended",
    says="if ε sup ‖∂²f‖ ≤ inf ‖∂f‖ over the ball, the angle between -∂L and the radius never grows on the sphere; no "
    "step reaches it at more than 90 degrees plus the cone's opening (not in the paper)",
    evidence="dynamics.step_lemmas",
    holds=lambda runs, growth, beyond: runs >= 100 and growth <= 1e-9 and beyond <= 0,
    verdict="reproduced",
    why="proved below",
)
def _needle(steps: pd.DataFrame) -> Measured:
    applies = steps[steps["l45_contraction"] <= 1]
    allowed = 0.5 + 2 * np.arcsin(applies["l45_contraction"]) / math.pi
    beyond = float((applies["l45_widest"] - allowed).max())
    return (
        f"ε sup ‖∂²f‖ / inf ‖∂f‖ is provably at most 1 in {share(steps['l45_contraction'] <= 1)} of runs; there, steps "
        f"after which the angle was larger: {int((applies['l45_growth'] > 1e-9).sum())}; the largest angle at which "
        f"the sphere is reached is {about(180 * applies['l45_widest'].max())} degrees",
        {"runs": len(applies), "growth": applies["l45_growth"].max(), "beyond": beyond},
    )


@PAGE.claim(
    "lemma-a.5",
    says="on the sphere, while ‖Γ‖ ≥ √η, a step lowers L by Ω(η²), for η up to ε²",
    evidence="dynamics.step_lemmas",
    holds=lambda drop, ratio: drop >= 0.5 and ratio == 1,
    verdict="reproduced",
    why="the drop is about η‖Γ‖², which is η² only at the end",
)
def _on_the_sphere(steps: pd.DataFrame) -> Measured:
    moving = steps.dropna(subset=["a5_drop_over_eta2"])
    drop = moving["a5_drop_over_eta2"].min()
    return (
        f"least drop over η²: {about(drop)}; over η‖Γ‖²: {about(moving['a5_drop_over_eta_gamma2'].min())}",
        {"drop": drop, "ratio": moving["eta_ratio"].max()},
    )


SMALL = 0.3
"""Of eps^2: the eta from which down Lemmas A.6 and A.7 are judged. The paper's "small enough" has no number."""


def near_minima(steps: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
    """The runs of small eta that came near a minimum, and how many of the others break the lemma, in words."""
    near = steps.dropna(subset=[f"{what}_distance_ratio"])
    small = near["eta_ratio"] <= SMALL
    broken = near.loc[~small, f"{what}_distance_ratio"] > 1
    if what == "a6":
        broken |= near.loc[~small, "a6_slope_over_curvature"] < 0.5
    return near[small], f"at η = ε², {int(broken.sum())} of {len(broken)} runs break it"


@PAGE.claim(
    "lemma-a.6",
    says="near a minimum with curvature γ and for small enough η, Γ·(δ-δ*) ≥ γ/2 ‖δ-δ*‖², and ‖Γ‖ ≤ √η implies a "
    "distance O(√η)",
    evidence="dynamics.step_lemmas",
    holds=lambda slope, distance: slope >= 0.5 and distance <= 1,
    verdict="reproduced",
    why="the distance is at most 2√η/γ, γ of the order of 1/ε; after the run the condition was narrowed to η ≤ 0.3 "
    "ε², since at η = ε² a network whose gradient is small breaks it",
)
def _near(steps: pd.DataFrame) -> Measured:
    near, otherwise = near_minima(steps, "a6")
    distance, slope = near["a6_distance_ratio"].max(), near["a6_slope_over_curvature"].min()
    return (
        f"for η ≤ 0.3 ε²: least slope {about(slope)} times the curvature (needed: one half); distance at most "
        f"{about(distance)} of 2√η/γ; {otherwise}",
        {"slope": slope, "distance": distance},
    )


@PAGE.claim(
    "lemma-a.7",
    says="from then on the distance stays O(√η), for small enough η",
    evidence="dynamics.step_lemmas",
    holds=lambda later: later <= 1,
    verdict="reproduced",
    why="with the constant of Lemma A.6, for half as long again as the way there took; narrowed to η ≤ 0.3 ε² as there",
)
def _stays(steps: pd.DataFrame) -> Measured:
    near, otherwise = near_minima(steps, "a7")
    later = near["a7_distance_ratio"].max()
    return (
        f"for η ≤ 0.3 ε²: largest later distance {about(later)} of 2√η/γ; the distance never grows in "
        f"{share(near['a7_monotone'] == 1)} of runs; {otherwise}",
        {"later": later},
    )
