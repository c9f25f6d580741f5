"""What the pictures of Figures 2 and 3 share: the objective, the share of its range covered, and a band of it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from advnb.papers.dynamics.images.escape import shown_steps

Values = NDArray[np.float64]


def objective(margin: Values, convention: str) -> Values:
    """L of section 3 ("minus") or of appendix A ("plus") at these margins, for the cross entropy."""
    return np.logaddexp(0, -margin) * (-1 if convention == "minus" else 1)


def covered(path: Values, floor: Values, convention: str) -> Values:
    """Share of the loss range covered along the stored margins ``path`` (images, steps), one row an image.

    ``floor`` holds the margins at the minima, of at least as many images. NaN where there was nothing to cover.
    """
    values = objective(path, convention)
    goal = np.minimum(objective(floor[: len(path), None], convention), values.min(1, keepdims=True))
    depth = values[:, :1] - goal
    return (values[:, :1] - values) / np.where(depth > 0, depth, np.nan)


def draw_band(ax: Axes, rule: str, shares: Values, colour: str, name: str) -> None:
    """Median and quartiles of the rows of ``shares`` at the stored steps."""
    low, middle, high = np.quantile(shares, [0.25, 0.5, 0.75], axis=0)
    ax.plot(shown_steps(rule), middle, color=colour, label=name)
    ax.fill_between(shown_steps(rule), low, high, color=colour, alpha=0.15, linewidth=0)
    ax.set_xscale("symlog", linthresh=1)
    ax.set(xlabel="step", ylim=(-0.05, 1.08))
