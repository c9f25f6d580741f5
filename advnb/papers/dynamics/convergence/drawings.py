"""The pictures of the page *convergence*: the rates, where the rule stops, which steps descend, steps that shrink."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.typing import FillStyleType
from numpy.typing import NDArray

from advnb.book import figures
from advnb.papers.dynamics.convergence.claims import by_net, explode, judged_schedules, local_exponents
from advnb.papers.dynamics.descent import pgd, shrinking
from advnb.papers.dynamics.problem import Problem, draw, in_ball, tangent_part
from advnb.papers.dynamics.sphere import newton

ETA = 0.004
"""The step from which the picture of shrinking steps starts."""


def draw_rates(axes: Sequence[Axes], stored: pd.DataFrame) -> None:
    """Draw against eta, a line a network, coloured by d: the steps, the distance, and the local powers of both."""
    table = by_net(stored)
    for net, part in table.groupby("net"):
        look = {"color": _colour(part["d"].iloc[0]), "alpha": 0.35, "linewidth": 1}
        axes[0].loglog(part["eta"], part["steps"], **look, gid=str(net))
        axes[1].semilogx(part["eta"], part["worst"], **look, gid=str(net))
    ends = np.array([table["eta"].min(), table["eta"].max()])
    paper = figures.line("paper") | {"marker": ""}
    axes[0].loglog(ends, 4 * (ends / ends[1]) ** -2.0, **paper, label="slope -2")
    axes[0].loglog(ends, 4 * (ends / ends[1]) ** -1.0, **(figures.line("bound") | {"marker": ""}), label="slope -1")
    axes[0].set(xlabel="step size η", ylabel="steps until ‖Γ‖ ≤ √η", ylim=(1, 1e5))
    axes[1].axhline(2, **paper, label="Lemma A.6")
    axes[1].set(xlabel="step size η", ylabel="largest distance · μ / √η", ylim=(0, 2.2))
    sizes = table.groupby("net")["eta"].transform("size")
    wide = table[sizes == sizes.max()]
    for name, power, marker in (("steps", -1.0, "o"), ("distance", 0.5, "s")):
        local = local_exponents(wide, name)
        colour = figures.COLOURS["measured" if name == "steps" else "clean"]
        axes[2].semilogx(local["relative"], local["exponent"] - power, marker, color=colour, markersize=3,
                         alpha=0.5, label=f"{name}: from {power:g}")  # fmt: skip
    axes[2].axhline(0, color=figures.INK, linewidth=0.8)
    axes[2].set(xlabel="η / ε²", ylabel="local power, less its limit")
    for d in sorted(table["d"].unique()):
        axes[1].plot([], [], color=_colour(d), label=f"d = {d}")
    for ax in axes:
        ax.legend(fontsize=8)


def _colour(d: int) -> str:
    """One colour a dimension, along a map that grey printing keeps in order."""
    return str(to_hex(colormaps["viridis"](min(1.0, math.log2(d) / 6.5))))


def draw_stopping(ax: Axes, *tables: pd.DataFrame) -> None:
    """Draw, for every start, where it stops: distance in units of sqrt(eta)/mu against sqrt(eta) in units of ||dL||."""
    colours = {"squared": "measured", "cross_entropy": "adversarial", "pseudo_huber": "clean"}
    for table in tables:
        loss = table["loss"] if "loss" in table else pd.Series("squared", index=table.index)
        for name, part in table.groupby(loss.fillna("squared")):
            rows = part.explode("ratio", ignore_index=True)
            x = np.sqrt(rows["eta"].astype(float)) / rows["grad_L"].astype(float)
            look = {"color": figures.COLOURS[colours[str(name)]], "markersize": 2.5, "alpha": 0.35}
            ax.semilogx(x, rows["ratio"].astype(float), "o", **look, label=str(name).replace("_", " "))
    ax.axvline(1, **(figures.line("bound") | {"marker": ""}), label="the rule holds everywhere")
    ax.axhline(1, color=figures.INK, linewidth=0.8)
    ax.set(xlabel="√η / ‖∂L‖", ylabel="distance · μ / √η at the stopping rule", ylim=(0, 1.4))
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(handles.values(), handles.keys(), fontsize=8)


def draw_descent(ax: Axes, stored: pd.DataFrame) -> None:
    """Draw the share of networks without a rising step against eta / eps^2, a line a radius."""
    rows = explode(stored, ["eta", "worst", "drop", "guarantee"])
    marks = ["o", "s", "D", "^", "v"]
    for (eps, part), mark in zip(rows.groupby("eps"), marks, strict=False):
        falls = (part["worst"] < 0).groupby(part["relative"]).mean()
        sure = (part["guarantee"] < 0).groupby(part["relative"]).mean()
        (drawn,) = ax.semilogx(falls.index, falls, marker=mark, markersize=4, label=f"ε = {eps:g}")
        ax.semilogx(sure.index, sure, ":", color=drawn.get_color())
    ax.axvline(1, **(figures.line("paper") | {"marker": ""}), label="the theorem's ε²")
    ax.axvline(1 / 16, **(figures.line("bound") | {"marker": ""}), label="its proof's ε²/16")
    ax.set(xlabel="η / ε²", ylabel="share of networks that descend", ylim=(-0.03, 1.03))
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def draw_schedules(ax: Axes, stored: pd.DataFrame) -> None:
    """Draw for each schedule kappa / (mu z) (z / (s + z))^p whether (12) is met and whether D_s / eta_s is bounded."""
    family = judged_schedules(stored[stored["kappa"].notna()])
    cells = family.groupby(["kappa", "power"])[["met", "pgd", "recursion"]].mean().reset_index()
    for _, row in cells.iterrows():
        kappa, power = float(row["kappa"]), float(row["power"])
        for name, size, look in (("recursion", 15, "adversarial"), ("pgd", 9, "measured")):
            style: FillStyleType = "full" if row[name] > 0.5 else "none"
            colour = figures.COLOURS[look]
            ax.plot(
                kappa, power, "o", markersize=size, color=colour, fillstyle=style, gid=f"{name}-{kappa:g}-{power:g}"
            )
        if row["met"] > 0.5:
            ax.plot(kappa, power, "+", color="white", markersize=6, gid=f"met-{kappa:g}-{power:g}")
    for name, look in (("bounded in the proof's recursion", "adversarial"), ("bounded for PGD", "measured")):
        ax.plot([], [], "o", color=figures.COLOURS[look], label=name)
    ax.plot([], [], "+", color=figures.INK, label="meets (12)")
    ax.set(xscale="log", xlabel="κ = γ η₀ z", ylabel="power p of $η_s$", ylim=(0.2, 2.9), xlim=(0.18, 4.2))
    ax.set_xticks(sorted(cells["kappa"]), [f"{kappa:g}" for kappa in sorted(cells["kappa"])])
    ax.minorticks_off()
    ax.legend(fontsize=8, ncols=3, loc="upper center")


@lru_cache
def _close_to_a_minimum() -> tuple[Problem, torch.Tensor, torch.Tensor, float]:
    """Return a problem, its minimum (1, d), a point of the sphere near it, and the least tangent curvature there."""
    problem = draw(4, 128, 0.2, seed=0)
    end = pgd(problem, in_ball(problem, 1, seed=0), steps=3000, step_size=ETA).end
    minimum = newton(problem, end)
    aside = tangent_part(minimum.delta, torch.ones(1, 4, dtype=torch.float64))
    near = problem.eps * torch.nn.functional.normalize(minimum.delta + 0.02 * aside)
    return problem, minimum.delta, near, float(minimum.eigenvalues[0, 0])


def shrinking_and_constant(ratio: float) -> tuple[NDArray[np.int_], dict[str, NDArray[np.float64]]]:
    """Return s + z and the squared distances there, under steps 2 / (beta (s + z)) and under the first of them.

    beta = ``ratio`` mu; one network, from one start close to its minimum.
    """
    problem, minimum, near, mu = _close_to_a_minimum()
    beta = ratio * mu
    z = math.ceil(2 / (beta * ETA))
    steps = min(10 * z, 1500)
    sizes: dict[str, float | Callable[[int], float]] = {"shrinking": shrinking(beta, z), "constant": 2 / (beta * z)}
    paths = {name: pgd(problem, near, steps=steps, step_size=size).delta for name, size in sizes.items()}
    squares = {name: ((path - minimum) ** 2).sum(-1)[:, 0].clamp_min(1e-32).numpy() for name, path in paths.items()}
    return z + np.arange(steps + 1), squares


def say_shrinking(ratio: float) -> str:
    """Say what :func:`draw_shrinking` shows."""
    time, squares = shrinking_and_constant(ratio)
    shrunk, constant = (squares[name] for name in ("shrinking", "constant"))
    power = math.log(shrunk[-1] / shrunk[len(time) // 2]) / math.log(time[-1] / time[len(time) // 2])
    return (
        f"In {len(time) - 1} steps the squared distance falls from {shrunk[0]:.1g} to {shrunk[-1]:.1g} with steps that "
        f"shrink, in the end as the power {power:.2g} of s + z where the law has {-4 / ratio:.2g}, and to "
        f"{constant[-1]:.1g} with a constant step"
    )


def draw_shrinking(ax: Axes, ratio: float) -> None:
    """Draw the squared distance under steps 2 / (beta (s + z)), beta = ``ratio`` mu, and under a constant one."""
    time, squares = shrinking_and_constant(ratio)
    for name, look in (("shrinking", "measured"), ("constant", "bound")):
        ax.loglog(time, squares[name], **(figures.line(look) | {"marker": ""}), label=name)
    law = squares["shrinking"][0] * (time / time[0]) ** (-4 / ratio)
    ax.loglog(time, law, **(figures.line("paper") | {"marker": ""}), label=f"power {-4 / ratio:.2g}")
    ax.set(xlabel="s + z", ylabel="$D_s$", ylim=(1e-24, 1e-2), title=f"β = {ratio:g} μ")
    ax.legend(loc="lower left")


def draw_decay(ax: Axes, stored: pd.DataFrame) -> None:
    """Draw the decay exponents of the squared distance against beta / mu, with the law 4 mu / beta."""
    for d, part in stored.groupby("d"):
        ax.loglog(part["beta_ratio"], -part["slope"], "o", color=_colour(int(str(d))), markersize=4, label=f"d = {d}")
    grid = np.geomspace(0.5, 32)
    ax.loglog(grid, 4 / grid, color=figures.INK, linewidth=1, label="4 μ / β")
    ax.axhline(1, **(figures.line("paper") | {"marker": ""}), label="the corollary's 1")
    ax.set(xlabel="β / μ", ylabel="decay exponent of $D_s$")
    ax.legend()
