"""The landscape that a reader can move: the networks and examples that the page ships, and the frame it starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from advnb.book import figures
from advnb.book.movable import packed
from advnb.papers.dynamics.circle import at_angle, circle_points
from advnb.papers.dynamics.descent import Path, pgd
from advnb.papers.dynamics.landscape.drawings import mark
from advnb.papers.dynamics.problem import CONVENTIONS, Problem, draw

WIDTHS = (4, 8, 16, 32, 64)
SEEDS = 20
STEPS, STEP_SIZE = 400, 0.05
START: dict[str, Any] = {"m": 16, "seed": 1, "eps": 5.0, "y": 1.0, "sign": CONVENTIONS["minus"], "at": [0.25, 0.3]}
"""What is shown first; ``at`` is the start of the attack in units of the radius."""


def problem(m: int, seed: int, eps: float, y: float, sign: float) -> Problem:
    """Return the problem that the picture shows: a network in the plane and an input of norm 1."""
    convention = next(name for name, value in CONVENTIONS.items() if value == sign)
    return draw(2, m, eps, seed=seed, scale=1.0, y=y, convention=convention)


def attack(shown: Problem, at: tuple[float, float] | list[float]) -> Path:
    """Return the path that the picture draws from ``at``, in units of the radius."""
    start = shown.eps * torch.tensor([at], dtype=torch.float64)
    return pgd(shown, start, steps=STEPS, step_size=STEP_SIZE)


def numbers() -> dict[str, Any]:
    """Return what the picture needs: the networks of all widths and seeds, the ranges of its controls, its start."""
    drawn = [(m, seed, problem(m, seed, 1.0, 1.0, -1.0)) for m in WIDTHS for seed in range(SEEDS)]
    networks = [
        {
            "m": m,
            "seed": seed,
            "W": packed(net.W.numpy()),
            "signs": packed(net.a.sign().numpy(), "int8"),
            "x": net.x.tolist(),
        }
        for m, seed, net in drawn
    ]
    return {"networks": networks, "seeds": SEEDS, "steps": STEPS, "step": STEP_SIZE, "radii": [-1.3, 2.0],
            "targets": [-4.0, 4.0], "start": START}  # fmt: skip


def draw_frame(ax: Axes, *, resolution: int = 201) -> None:
    """Draw the picture as it starts, for those whose browser runs no scripts: the objective, its minima, the attack."""
    at, chosen = START["at"], {name: value for name, value in START.items() if name != "at"}
    shown = problem(**chosen)
    u, v = np.meshgrid(*2 * [np.linspace(-shown.eps, shown.eps, resolution)])
    values = shown.objective(torch.from_numpy(np.stack([u.ravel(), v.ravel()], axis=1))).numpy().reshape(u.shape)
    edge = Circle((0, 0), shown.eps, fill=False, edgecolor=figures.INK, linewidth=1.2, zorder=2)
    ax.add_patch(edge)
    inside = np.where(u**2 + v**2 <= (1.02 * shown.eps) ** 2, values, np.nan)  # and a little beyond, under the edge
    picture = ax.contourf(u, v, inside, 14, cmap="cividis", zorder=1)
    picture.set_clip_path(edge)
    ax.figure.colorbar(picture, ax=ax, label="L", shrink=0.8, format="%.2g")
    points = circle_points(shown)
    mark(ax, at_angle(shown, points.theta).numpy(), points)
    path = attack(shown, at).delta[:, 0]
    ax.plot(*path.T, color=figures.COLOURS["start"], linewidth=2, zorder=3)
    ax.plot(*path[0], "o", color=figures.COLOURS["start"], markerfacecolor=figures.BACKGROUND, markersize=8, zorder=7)
    ax.plot(*path[-1], "o", color=figures.COLOURS["start"], markersize=6, zorder=7)
    reach = 1.06 * shown.eps
    ax.set(
        aspect="equal",
        xlim=(-reach, reach),
        ylim=(-reach, reach),
        title=f"{points.minima} local minima of L on the circle",
    )
    ax.set_axis_off()
