"""The pictures of the page *guarantee*: both bounds, the idea of Lemma 2, and what FOSC = 0 is worth elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from advnb.book import figures
from advnb.statistics import aggregate

__all__ = ["draw_bounds", "draw_descents", "draw_kinks", "draw_lemma_2", "draw_terms", "draw_two_maxima", "say_terms"]

TERMS = {"measured": "measured", "printed": "printed bound", "mended": "bound that follows"}
LOOKS = dict(zip(TERMS, ("measured", "paper", "bound"), strict=True))
"""The columns of the stored runs that the pictures compare: what each is called, and its look."""

NUMBER = {"facecolor": figures.BACKGROUND, "edgecolor": "none", "pad": 1}
"""Behind a number, so that it can be read where a line passes."""


def spread(noise: float) -> str:
    """Say what sigma is: the examples are drawn, so that it is near ``noise`` unless that is 0."""
    return f"≈ {noise:g}" if noise else "= 0"


def draw_bounds(ax: Axes, runs: pd.DataFrame, noise: float, delta: float) -> None:
    """Draw the average squared gradient over T, with intervals over problems, beside the means of both bounds."""
    part = runs[(runs["noise"] == noise) & (runs["delta"] == delta)]
    mean = aggregate(part, "T", "average")
    error = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
    ax.errorbar(mean["T"], mean["mean"], error, **figures.line("measured"), label=TERMS["measured"])
    for name in ("printed", "mended"):
        bound = part.groupby("T")[name].mean()
        label = TERMS[name] if bound.any() else f"{TERMS[name]}: 0"
        ax.plot(bound[bound > 0], **(figures.line(LOOKS[name]) | {"marker": ""}), label=label)
    ax.set(xscale="log", yscale="log", xlabel="steps T", title=f"σ {spread(noise)}, δ = {delta:g}")
    ax.legend()


def terms(runs: pd.DataFrame, T: int, noise: float, delta: float) -> dict[str, float]:
    """Return the mean left side of Theorem 1, both bounds, and the three terms of the one that follows, by name."""
    part = runs[(runs["T"] == T) & (runs["noise"] == noise) & (runs["delta"] == delta)]
    quiet = 2 * part["smoothness"] * part["gap"] / T
    found = {TERMS["measured"]: part["average"], TERMS["printed"]: part["printed"], TERMS["mended"]: part["mended"]}
    found |= {"2LΔ/T": quiet, "4σ√(LΔ/T)": 4 * part["sigma"] * (quiet / 2) ** 0.5, "2$L_{θx}^2$δ/μ": 2 * part["floor"]}
    return {name: float(values.mean()) for name, values in found.items()}


def draw_terms(ax: Axes, T: int, noise: float, delta: float, runs: pd.DataFrame) -> None:
    """Draw the left side of Theorem 1, both bounds and the terms of the one that follows as bars, on a fixed axis."""
    found = terms(runs, T, noise, delta)
    colours = [figures.COLOURS[LOOKS[name]] for name in TERMS] + ["#D9A9C6"] * 3
    low, high = 1e-4, 1e2
    for row, ((name, value), colour) in enumerate(zip(found.items(), colours, strict=True)):
        ax.barh(row, max(value - low, 0.0), left=low, color=colour, height=0.7)
        ax.text(max(value, low) * 1.15, row, f"{value:.2g}", va="center", fontsize=8, bbox=NUMBER)
        if name == TERMS["measured"]:
            ax.axvline(value, color=colour, linewidth=0.8)
    ax.set(xscale="log", xlim=(low, 4 * high), title=f"T = {T}, σ {spread(noise)}, δ = {delta:g}")
    ax.set_yticks(range(len(found)), list(found))
    ax.invert_yaxis()
    ax.grid(False, axis="y")


def say_terms(T: int, noise: float, delta: float, runs: pd.DataFrame) -> str:
    """Say what :func:`draw_terms` shows."""
    measured, printed, mended = list(terms(runs, T, noise, delta).values())[: len(TERMS)]
    verdict = "keeps" if measured <= printed else "breaks"
    return (
        f"The mean squared gradient, {measured:.2g}, {verdict} the printed bound, {printed:.2g}; the bound that "
        f"follows is {mended:.2g}"
    )


def draw_descents(ax: Axes, squares: Mapping[float, NDArray[np.float64]], floors: Mapping[float, float]) -> None:
    """Draw ||grad L_S||^2 over the steps, (T, runs) by delta, and L_tx^2 delta / mu by delta where it is not 0."""
    for colour, (delta, each) in zip(figures.CYCLE, squares.items(), strict=False):
        ax.plot(each.mean(1), color=colour, label=f"δ = {delta:g}")
        if floors[delta]:
            ax.axhline(floors[delta], color=colour, linestyle=":")
    ax.set(yscale="log", xlabel="step t", ylabel="‖∇$L_S$‖²")
    ax.legend()


def draw_lemma_2(ax: Axes, top: float, delta: float = 0.1, mu: float = 1.0) -> None:
    """Draw a strongly concave inner problem on [-1, 1] with its maximum at ``top``: where FOSC is at most ``delta``.

    The maximum of the quadratic may lie outside; the one over the interval is then its end. Dotted lines stand
    sqrt(delta / mu) from it.
    """
    u = np.linspace(-1, 1, 801)
    slope = mu * (top - u)
    fosc = np.abs(slope) - u * slope
    best = min(max(top, -1.0), 1.0)
    ax.plot(u, -mu * ((u - top) ** 2 - (best - top) ** 2) / 2, color=figures.INK, label="f, up to a constant")
    ax.plot(u, fosc, color=figures.COLOURS["adversarial"], label="FOSC")
    near = u[fosc <= delta]
    ax.axvspan(near.min(), near.max(), color=figures.COLOURS["measured"], alpha=0.2, label="FOSC ≤ δ")
    for end in (best - np.sqrt(delta / mu), best + np.sqrt(delta / mu)):
        ax.axvline(end, **(figures.line("bound") | {"marker": ""}))
    ax.axhline(delta, color=figures.FAINT, linewidth=0.8)
    ax.set(xlabel="(x − x⁰)/ε", xlim=(-1.05, 1.05), ylim=(-1, 2), title=f"top at {top:g}")


def draw_two_maxima(ax: Axes, a: float = 2.5, c: float = 0.6, eps: float = 0.5) -> None:
    """Draw L_S(theta) = a theta^2 / 2 - c theta + eps |theta|, and the loss that a wrong corner of FOSC 0 shows."""
    theta = np.linspace(-0.2, 0.6, 401)
    seen = a * theta**2 / 2 - c * theta
    ax.plot(theta, seen + eps * np.abs(theta), color=figures.COLOURS["clean"], label="$L_S$: the larger maximum")
    ax.plot(theta, seen - eps * theta, color=figures.COLOURS["adversarial"], label="at u = −ε")
    ends = {"true": (c - eps) / a, "other": (c + eps) / a}
    ax.plot(ends["true"], a * ends["true"] ** 2 / 2 - (c - eps) * ends["true"], "o", color=figures.COLOURS["clean"])
    ax.plot(ends["other"], -((c + eps) ** 2) / (2 * a), "s", color=figures.COLOURS["adversarial"])
    ax.axvline(eps, color=figures.FAINT, linewidth=0.8)
    ax.set(xlabel="θ", ylabel="loss, up to ε²/2")
    ax.legend()


def draw_kinks(ax: Axes, jumps: pd.DataFrame, kinks: pd.DataFrame) -> None:
    """Draw the largest quotient of gradient and input differences over the distance, in units of the first one.

    A line a defence is the mean over seeds where pairs are halved towards a kink, dots are seeds of random pairs.
    """
    names = {"none": ("clean", "at the start"), "standard": ("adversarial", "trained by PGD")}
    for name, (look, label) in names.items():
        colour = figures.COLOURS[look]
        steep = np.stack(list(jumps[jumps["defence"] == name]["steepest"])).mean(0)
        ax.plot(0.5 ** np.arange(len(steep)), steep, "-", color=colour, label=f"towards a kink, {label}")
        part = kinks[kinks["defence"] == name]
        ax.plot(part["distance"], part["steepest"], ".", color=colour, alpha=0.5, label=f"random pairs, {label}")
    ax.set(xscale="log", yscale="log", xlabel="distance over the first one", ylabel="largest quotient")
    ax.legend()
