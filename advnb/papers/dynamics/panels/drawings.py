"""The pictures of the page *panels*: the panels of Figures 1 and 4, waiting times, minima against the width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from numpy.typing import NDArray

from advnb.book import figures
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points, prominences
from advnb.papers.dynamics.descent import Path
from advnb.papers.dynamics.landscape.drawings import mark
from advnb.papers.dynamics.panels.claims import KINDS, deep_counts, starts
from advnb.papers.dynamics.panels.trials import LEVELS, PANELS, best_descent
from advnb.papers.dynamics.problem import Problem, draw, in_ball
from advnb.statistics import aggregate


def panel(ax: Axes, problem: Problem, *, seed: int = 0, resolution: int = 101) -> CirclePoints:
    """Draw one panel of Figure 1: the objective on the disc, its minima on the circle, a trajectory of ten steps.

    The trajectory starts at the highest of 10,000 random points and takes the best of ten step sizes (appendix B.1).
    ``problem`` has d = 2. Returns the points on the circle, whose number stands in the title.
    """
    points = circle_points(problem)
    _disc(ax, problem, resolution)
    mark(ax, at_angle(problem, points.theta).numpy(), points)
    draw_path(ax, ten_steps(problem, seed).delta[:, 0].numpy())
    ax.set_title(f"minima on the circle: {points.minima}")
    return points


def ten_steps(problem: Problem, seed: int = 0) -> Path:
    """Return the trajectory of a panel: from the highest of 10,000 random points, with the best of ten step sizes."""
    cloud = in_ball(problem, 10_000, seed=seed)
    start = cloud[problem.objective(cloud).argmax()].unsqueeze(0)
    return best_descent(problem, start)[0]


def _disc(ax: Axes, problem: Problem, resolution: int) -> ContourSet:
    """Draw the contours of the objective on the disc of radius eps, as shares of its range there, and the edge."""
    u, v = np.meshgrid(*2 * [np.linspace(-problem.eps, problem.eps, resolution)])
    points = torch.from_numpy(np.stack([u.ravel(), v.ravel()], axis=1))
    values = problem.objective(points).numpy().reshape(u.shape)
    inside = values[np.hypot(u, v) <= problem.eps]
    values = (values - inside.min()) / np.ptp(inside)
    edge = Circle((0, 0), problem.eps, fill=False, edgecolor=figures.INK, linewidth=1.2, zorder=2)
    ax.add_patch(edge)
    filled = ax.contourf(u, v, values.clip(0, 1), np.linspace(0, 1, 13), cmap="cividis", zorder=1)
    filled.set_clip_path(edge)
    reach = 1.08 * problem.eps  # room for markers on the edge
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
    ax.set_axis_off()
    return filled


def draw_path(ax: Axes, path: NDArray[np.float64]) -> None:
    """Draw a trajectory (steps + 1, 2): a dot a step, a ring at the start, a star at the end."""
    ax.plot(*path.T, ".-", color="white", linewidth=3, markersize=7, zorder=3)
    ax.plot(*path.T, ".-", color=figures.INK, linewidth=1.3, markersize=4, zorder=3)
    ax.plot(*path[0], "o", color=figures.INK, markerfacecolor="white", markersize=8, zorder=7)
    ax.plot(*path[-1], "*", color=figures.COLOURS["start"], markeredgecolor=figures.INK, markersize=14, zorder=7)


def of_figure_1(scale: float, ratio: float, convention: str = "minus", seed: int = 3, m: int = 16) -> Problem:
    """Return the problem of a panel of Figure 1: y = 1, the input uniform in the disc (B.1)."""
    return draw(2, m, ratio * scale, seed=seed, scale=scale, inside=True, y=1.0, convention=convention)


def draw_panel(
    ax: Axes, scale: float, ratio: float, convention: str = "minus", seed: int = 3, m: int = 16
) -> CirclePoints:
    """Draw :func:`panel` of Figure 1 at an input scale and a ratio."""
    return panel(ax, of_figure_1(scale, ratio, convention, seed, m))


def draw_one(ax: Axes, scale: float, ratio: float, convention: str = "minus", seed: int = 3, m: int = 16) -> None:
    """Draw :func:`draw_panel` on an Axes of its own, with its colour bar."""
    draw_panel(ax, scale, ratio, convention, seed, m)
    _colour_bar(ax.figure, ax)


def say_panel(scale: float, ratio: float, convention: str = "minus", seed: int = 3, m: int = 16) -> str:
    """Say what :func:`draw_one` shows: the minima, and how far down ten steps come."""
    problem = of_figure_1(scale, ratio, convention, seed, m)
    points, path = circle_points(problem), ten_steps(problem)
    values = path.value[:, 0]
    lowest = min(float(points.value.min()), float(values.min()))
    down = float((values[0] - values[-1]) / (values[0] - lowest))
    found = "one local minimum" if points.minima == 1 else f"{points.minima} local minima"
    inside = float(path.end.norm()) < 0.99 * problem.eps
    where = "inside the disc" if inside else "on the circle"
    return (
        f"The loss on the disc has {found} on the circle; from near the highest value ten steps come "
        f"{100 * down:.0f} percent of the way to the lowest and end {where}"
    )


def draw_figure_1(fig: Figure, convention: str = "minus", seed: int = 3, m: int = 16) -> None:
    """Draw Figure 1: nine panels, a row an input scale and a column a ratio, with one colour bar."""
    axes = _grid(fig, PANELS["scale"], "input scale {:g}", PANELS["ratio"], "ratio {:g}")
    for row, scale in zip(axes, PANELS["scale"], strict=True):
        for ax, ratio in zip(row, PANELS["ratio"], strict=True):
            points = draw_panel(ax, scale, ratio, convention, seed, m)
            ax.set_title(f"{points.minima} min.", fontsize=8, pad=2)
    _colour_bar(fig, axes)


def draw_figure_4(
    fig: Figure, widths: Sequence[int], scales: Sequence[float] = (0.01, 1.0, 100.0), seed: int = 3, deep: float = 0.1
) -> None:
    """Draw Figure 4: the objective on the disc at ratio 10, a row an input scale and a column a width.

    Minima on the circle with a prominence above ``deep`` are triangles, shallower ones small dots.
    """
    axes = _grid(fig, scales, "input scale {:g}", widths, "width {:g}")
    for row, scale in zip(axes, scales, strict=True):
        for ax, m in zip(row, widths, strict=True):
            problem = draw(2, m, 10 * scale, seed=seed, scale=scale, inside=True, y=1.0)
            _disc(ax, problem, 101)
            _minima(ax, problem, deep)
    _colour_bar(fig, axes)


def _minima(ax: Axes, problem: Problem, deep: float) -> None:
    """Mark the minima on the circle of a problem by their depth; the numbers of both stand in the title."""
    points = circle_points(problem)
    where, depth = at_angle(problem, points.theta).numpy(), prominences(points.value)
    ax.plot(*where[points.minimum.numpy()].T, "o", color="white", markeredgecolor=figures.INK, markersize=4, zorder=5)
    colour = figures.COLOURS["adversarial"]
    ax.plot(*where[depth > deep].T, "v", color=colour, markeredgecolor="white", markersize=9, zorder=6)
    ax.set_title(f"{points.minima} min., {points.deep(deep)} deep", fontsize=8, pad=2)


def _grid(fig: Figure, rows: Sequence[float], row: str, columns: Sequence[float], column: str) -> NDArray[Any]:
    """Return Axes, a row for each of ``rows`` and a column for each of ``columns``, labelled at the edges."""
    axes: NDArray[Any] = fig.subplots(len(rows), len(columns), squeeze=False)
    for ax, value in zip(axes[:, 0], rows, strict=True):
        ax.text(-0.04, 0.5, row.format(value), rotation=90, ha="right", va="center", transform=ax.transAxes)
    for ax, value in zip(axes[0], columns, strict=True):
        ax.text(0.5, 1.16, column.format(value), ha="center", va="bottom", transform=ax.transAxes)
    return axes


def _colour_bar(fig: Any, axes: Axes | NDArray[Any]) -> None:
    """Put one colour bar beside all panels: each is coloured by shares of its own range."""
    colours = ScalarMappable(Normalize(0, 1), "cividis")
    bar = fig.colorbar(colours, ax=axes, shrink=0.6, ticks=[0, 0.5, 1], label="L, from its lowest to its highest value")
    bar.ax.set_yticklabels(["lowest", "middle", "highest"])


def draw_waits(ax: Axes, near: pd.DataFrame, steps: str) -> None:
    """Draw the median number of ``steps`` ("raw" or "unit") until half way against the distance of the start.

    A curve for each kind of local maximum, with a band from quartile to quartile over all starts.
    """
    rows = starts(near)
    for (kind, name), look in zip(KINDS.items(), ("o-", "s--", "^:"), strict=True):
        part = rows[rows["kind"] == kind].groupby("distance")[steps]
        low, median, high = (part.quantile(level) for level in (0.25, 0.5, 0.75))
        (curve,) = ax.plot(median.index, median, look, label=name)
        ax.fill_between(median.index, low, high, color=curve.get_color(), alpha=0.15, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="distance of the start, in radii")


def draw_widths(ax: Axes, stored: pd.DataFrame, live: pd.DataFrame, scale: float) -> None:
    """Draw the mean number of minima of L against the width at an input scale, a curve a prominence; crosses live."""
    part = deep_counts(stored[stored["scale"] == scale])
    for level, marker in zip(LEVELS, "os^Dv", strict=True):
        mean = aggregate(part[part["level"] == level], "m", "deep")
        error = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
        ax.errorbar(mean["m"], mean["mean"], error, marker=marker, label=f"above {100 * level:g}%" if level else "all")
    for _, rows in deep_counts(live[live["scale"] == scale]).groupby("level"):
        ax.plot(rows.groupby("m")["deep"].mean(), "kx", zorder=3)
    ax.set(xscale="log", xlabel="hidden width m", title=f"input scale {scale:g}")


def draw_seeds(ax: Axes, panels: pd.DataFrame, most: int = 8) -> AxesImage:
    """Draw for each of the nine panels the share of networks with 1, 2, ... minima, in the end ``most`` or more."""
    counts = panels.assign(minima=panels["minus"].clip(upper=most))
    shares = pd.crosstab([counts["scale"], counts["ratio"]], counts["minima"], normalize="index")
    shares = shares.reindex(columns=range(1, most + 1), fill_value=0.0)
    image = ax.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares.to_numpy()):
        if share >= 0.005:
            colour = figures.INK if share > 0.5 else "white"
            ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)
    names = [f"scale {scale:g}, ratio {ratio:g}" for scale, ratio in shares.index]
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(most), [*map(str, range(1, most)), f"{most}+"])
    ax.set_xlabel("local minima on the circle")
    ax.grid(False)
    return image
