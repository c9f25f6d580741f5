"""The drawings of the page: what flips over C0 / sqrt(d), the border, and f along the ray of a construction."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from advnb.book import figures
from advnb.models import TwoLayer
from advnb.papers.lazy.all_weights import by_c0
from advnb.papers.lazy.border.claims import by_ratio
from advnb.papers.lazy.border.threshold import Lean, along_ray, thresholds
from advnb.papers.lazy.flips import by_radius
from advnb.papers.lazy.one_step import by_network

SHOWN = 2.2
"""The largest C0 / sqrt(d) in the picture of the chapter's index."""

KINDS = ("start", "trained", "trained adversarially", "worst weights")


def overview(sgd: pd.DataFrame, adversarial: pd.DataFrame, worst: pd.DataFrame, resist: pd.DataFrame) -> pd.DataFrame:
    """Return ``kind`` (of :data:`KINDS`), ``d``, ``ratio`` = C0 / sqrt(d) and the mean ``length`` of the flip in ||x||.

    The tables are those of ``lazy.figures_5_6``, ``lazy.one_step``, ``lazy.worst_weights`` and ``lazy.resist``. A
    network counts at the C0 that it has moved; one that no step shorter than x flips counts as ||x||.
    """
    plain = by_radius(sgd)
    plain = plain[plain["reached"] & (plain["m"] == plain["m"].max())]
    plain = plain.assign(ratio=plain["moved"] / np.sqrt(plain["d"]), length=plain["relative"], group=plain["radius"],
                         kind=np.where(plain["radius"] > 0, KINDS[1], KINDS[0]))  # fmt: skip
    nets = by_network(adversarial)
    nets = nets[nets["adversarial"]]
    nets = nets.assign(ratio=nets["moved"] / np.sqrt(nets["d"]), group=nets["network"], kind=KINDS[2])
    built = by_c0(worst)
    built = built.assign(length=built["worst"] / np.sqrt(built["d"]), group=built["c0"])
    found = by_ratio(resist)
    found = found.assign(length=found["found"], group=found["ratio"])
    most = pd.concat([built, found]).assign(kind=KINDS[3])
    rows = pd.concat([plain, nets, most])[["kind", "d", "group", "ratio", "length"]]
    return rows.astype({"group": str}).groupby(["kind", "d", "group"], as_index=False)[["ratio", "length"]].mean()


def draw_overview(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the flip in ||x|| against C0 / sqrt(d), a marker a kind of weights; from :func:`overview`."""
    low, high = thresholds()
    ax.axvspan(low, high, color=figures.COLOURS["bound"], alpha=0.2, lw=0, label="border, proved bounds")
    looks = zip(KINDS, ("start", "clean", "adversarial", "measured"), "sov^", strict=True)
    for kind, meaning, marker in looks:
        part = rows[(rows["kind"] == kind) & (rows["ratio"] <= SHOWN)]
        ax.plot(part["ratio"], part["length"], marker, color=figures.COLOURS[meaning], markersize=5,
                markerfacecolor="none", label=kind)  # fmt: skip
    ax.axhline(1, **(figures.line("paper") | {"marker": ""}))
    ax.set(xlabel="C₀ / √d", ylabel="step that flips, in ‖x‖", xlim=(-0.05, SHOWN), ylim=(0, 1.08))
    ax.legend(loc="center right", fontsize="small")


def draw_held(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the share of x held by weights built against them, over C0 / sqrt(d), a colour a d; from ``by_ratio``."""
    low, high = thresholds()
    ax.axvspan(low, high, color=figures.COLOURS["bound"], alpha=0.2, lw=0)
    for k, (d, part) in enumerate(rows.groupby("d")):
        shares = part.groupby("ratio")[["held", "never"]].mean()
        ax.plot(shares.index, shares["held"], "o-", color=figures.CYCLE[k], label=f"d = {d}")
        ax.plot(shares.index, shares["never"], ":", color=figures.CYCLE[k])
    ax.set(xlabel="C₀ / √d", ylabel="share of x held", ylim=(-0.03, 1.05))
    ax.legend()


def draw_construction(ax: Axes, c: float, lean: Lean, net: TwoLayer, built: TwoLayer, x: Tensor) -> None:
    """Draw f / sqrt(d) from x (1, d) downhill at weights built for c: the network, its limit, and the start there."""
    theta = torch.linspace(0, 2.2, 60, dtype=x.dtype)
    f, gradient = built.value_and_gradient(x)
    side = float(f.sign())
    across = gradient[0] - (gradient[0] @ x[0]) * x[0]
    ray = -side * across / torch.linalg.vector_norm(across)
    points = torch.cos(theta)[:, None] * x + torch.sin(theta)[:, None] * ray
    angles = theta.numpy()
    for which, meaning, name in ((built, "measured", "built against x"), (net, "start", "start")):
        with torch.no_grad():
            ax.plot(angles, side * which(points) / math.sqrt(net.d), color=figures.COLOURS[meaning], label=name)
    ax.plot(angles, along_ray(c, lean, angles), **(figures.line("paper") | {"marker": ""}), label="limit")
    ax.axhline(0, color=figures.INK, linewidth=0.8)
    ax.set(xlabel="angle from x along the ray", ylabel="sign f(x) · f / √d")
    ax.legend()
