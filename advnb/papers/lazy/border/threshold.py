"""How large the ball must be for some weights in it to resist one step at a given x: the two bounds, for large m, d.

Everything is in units of sqrt(d), with c = C0 / sqrt(d), for m to infinity and then d to infinity. There the network at
its start is a Gaussian process with gradient sqrt(d / 2) at x, downhill along e_0, and moving the weights adds what can
be computed. A ray of W that starts at x along -grad f(x; W) stays in the plane of x and a unit vector e at an angle
beta to e_0; its points have the direction y(theta) = cos(theta) x + sin(theta) e. ``stay`` stands for 1 - theta / pi:
the share of the units on at x that is on at y(theta) too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize

from advnb import checks

__all__ = ["Lean", "fall", "lifted", "margin_above", "margin_below", "most_resisting", "sideways", "thresholds"]

SWITCHED = 1 / math.pi
"""What switching the units next to their kink takes from the gradient at x, at right angles to it, in units of C0."""

LEFT = 0.7
"""Where the search for the best construction begins: near the border, all three of its angles are of this size."""


class Lean(NamedTuple):
    """Three angles of a construction: how far units lean sideways, and along e, and where e leaves the gradient."""

    sideways: float
    along: float
    horizon: float


def stay(theta: Any) -> Any:
    """Return 1 - |theta| / pi, the share of the units on at x that is on at an angle theta from it."""
    return 1 - np.abs(theta) / math.pi


def fall(theta: Any, beta: Any) -> Any:
    """Return how far the start has fallen at y(theta) at least, whatever e at an angle ``beta`` to e_0 is taken.

    The largest f(y(theta); W_0) / sqrt(d) over all such e is at most minus sin(theta) / sqrt(2) times
    cos(beta + arccos(1 - theta / pi)): the mean given the gradient at x, and Sudakov's and Fernique's bound on what is
    left.
    """
    return np.sin(theta) / math.sqrt(2) * np.cos(beta + np.arccos(stay(theta)))


def sideways(c: float, lean: float = math.pi / 2) -> float:
    """Return the largest sin(beta): how far weights whose units lean by ``lean`` can turn the gradient at x."""
    return math.sqrt(2) * c * (math.sin(lean) / 2 + SWITCHED)


def lifted(c: float, theta: Any, beta: Any) -> Any:
    """Return the most that weights can add to f(y(theta)) / sqrt(d) if they turn the gradient at x by ``beta`` as well.

    The units on at both points lean sideways, just as far as the turn needs beside what switching gives; it is minus
    infinity where no weights in the ball turn so far.
    """
    both = stay(theta)
    lean = np.clip((2 * (np.sin(beta) / math.sqrt(2) / c - SWITCHED) - (1 - both)) / both, 0, None)
    room = np.sqrt(np.clip(1 - lean**2, 0, None))
    return np.where(lean <= 1, c / 2 * (both * room + 1 - both), -np.inf)


def margin_above(c: float, *, points: int = 400) -> float:
    """Return the least that f falls below 0 on its ray, over all turns: above 0, one step flips all weights at once.

    It is the minimum over beta of the largest ``fall`` - ``lifted`` up to theta = pi / 4, where every ray downhill
    arrives before it is as long as x.
    """
    checks.positive("c", c)
    theta = np.linspace(0, math.pi / 4, points + 1)[1:, None]
    beta = np.linspace(0, math.asin(min(1.0, sideways(c))), points)
    return float((fall(theta, beta) - lifted(c, theta, beta)).max(0).min())


def farther(theta: Any, horizon: float) -> Any:
    """Return f(y(theta)) / sqrt(d) of the start along the direction in which its gradient further away differs most.

    The average of the gradient over directions, at the angle ``horizon`` from x, less what it has in common with that
    at x: a Gaussian vector, independent of the latter.
    """

    def product(a: Any, b: Any) -> Any:
        between = np.arccos(np.clip(np.cos(a) * np.cos(b), -1, 1))
        return np.sin(a) * np.sin(b) * (stay(between) / 2 - stay(a) * stay(b) / 2)

    return product(theta, horizon) / np.sqrt(product(horizon, horizon))


def along_ray(c: float, lean: Lean, theta: Any) -> Any:
    """Return f(y(theta)) / sqrt(d) at the weights of the construction, for angles between -pi and pi."""
    sine = sideways(c, lean.sideways)
    start = -math.sqrt(1 - sine**2) / math.sqrt(2) * np.sin(theta) * stay(theta) + sine * farther(theta, lean.horizon)
    units = stay(theta) * math.cos(lean.sideways) + 1 - stay(theta)
    return start + c / 2 * np.cos(theta - lean.along) * units


def slope_angle(c: float, lean: Lean) -> float:
    """Return the angle between x and the gradient at the weights of the construction; the ray ends at it, uphill."""
    across = math.sqrt(1 - sideways(c, lean.sideways) ** 2) / math.sqrt(2)
    across -= c / 2 * math.cos(lean.sideways) * math.sin(lean.along)
    return math.atan2(across, c / 2 * math.cos(lean.sideways) * math.cos(lean.along))


def margin_below(c: float, lean: Lean, *, shorter: bool = False, points: int = 200) -> float:
    """Return the least f / sqrt(d) along the whole line of the construction: above 0, no step of any length flips.

    With ``shorter`` only steps downhill that are shorter than x count. Minus infinity for angles that make no
    construction.
    """
    checks.positive("c", c)
    if sideways(c, lean.sideways) >= 1 or not 0.05 < lean.horizon < 3:
        return -math.inf
    end = slope_angle(c, lean)
    if not 0 < end < math.pi / 2:
        return -math.inf
    line = np.linspace(0, (math.pi - end) / 2, points) if shorter else np.linspace(-end, math.pi - end, points)
    return float(along_ray(c, lean, line).min())


def most_resisting(c: float, *, shorter: bool = False) -> Lean:
    """Return the construction with the largest margin at ``c``."""
    found = minimize(lambda lean: -_finite(margin_below(c, Lean(*lean), shorter=shorter)), [LEFT] * 3,
                     method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-6})  # fmt: skip
    return Lean(*map(float, found.x))


def _finite(margin: float) -> float:
    return max(margin, -10.0)


@lru_cache
def thresholds(*, shorter: bool = False) -> tuple[float, float]:
    """Return the C0 / sqrt(d) below which every W is flipped by one step, and that above which some W resists."""

    def resists(c: float) -> float:
        return margin_below(c, most_resisting(c, shorter=shorter), shorter=shorter)

    return _root(margin_above), _root(resists)


def _root(of: Callable[[float], float]) -> float:
    return float(brentq(of, 0.3, 0.8, xtol=1e-3))
