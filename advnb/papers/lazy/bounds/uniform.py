"""Lemma B.9 proved another way: the change of the gradient over a whole ball of inputs and a whole ball of weights.

With u = x + delta, u' the nearest point to u of a net and g(u; W) = m^-1/2 sum_s a_s w_s 1[w_s.u > 0], write
v_s = w_s - w_{s,0} and split

    g(u; W) - g(x; W) =   m^-1/2 sum_s a_s v_s (1[w_s.u > 0] - 1[w_s.x > 0])                  moved
                        + m^-1/2 sum_s a_s w_{s,0} (1[w_s.u > 0] - 1[w_{s,0}.u' > 0])         ball, at u'
                        + m^-1/2 sum_s a_s w_{s,0} (1[w_{s,0}.u' > 0] - 1[w_{s,0}.x > 0])     chain
                        - m^-1/2 sum_s a_s w_{s,0} (1[w_s.x > 0] - 1[w_{s,0}.x > 0])          ball, at x.

The net has the step epsilon = V / (4 L), L the longest ||w_{s,0}||, so that the units of "ball, at u'" lie in a strip
about u' of half width V (1 + 1/4 + ...). For one u' their number is binomial, and they are Gaussian across u': W may
choose among them, but no choice is longer than ``mended.chosen``. Over the links of "chain" W has no say
(``chaining``). Nothing here grows with m, so that Theorem 3.1 needs no upper end of the width.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, exp, inf, log, pi, sqrt
from typing import NamedTuple

from advnb.papers.lazy.bounds import chaining, mended
from advnb.papers.lazy.bounds import printed as bounds
from advnb.papers.lazy.bounds.printed import GAMMA

_EVENTS = 8  # each fails with probability at most gamma / 8
_STEP = 0.25  # of the last net of delta's: epsilon L / V
_GRID = 30  # of steps that are tried before the least is sought between two


class Change(NamedTuple):
    """The terms whose sum bounds ||grad f(x + delta; W) - grad f(x; W)||, as in the module's docstring."""

    chain: float
    ball: float
    moved: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.chain + self.ball + self.moved


def gradient_change(
    d: float, m: float, c0: float, c1: float = 1.0, gamma: float = GAMMA, *, log_m: float | None = None
) -> Change:
    """Lemma B.9, mended: holds for all ||delta|| <= C1 / sqrt(d) and all W in the ball with probability 1 - gamma.

    Any m will do, and ``log_m`` replaces log(m) where m is beyond floating point; d >= 2. Infinite if
    C1 >= sqrt(d), where the ball of delta's reaches the origin. Raises ``ValueError`` if m is infinite without it.
    """
    log_m = _log_width(m, log_m)
    shift, root, t = c1 / sqrt(d), exp(-log_m / 2), log(_EVENTS / gamma)
    if shift >= 1:
        return Change(inf, inf, inf)
    length = sqrt(d) + sqrt(2 * (t + log_m))
    log_eps = log(_STEP * c0 / length) - log_m / 2
    union = t + chaining.log_net(d, log(shift) - log_eps)
    links = chaining.chain(d, log_m, shift, log_eps, t)
    stretch = 1 + (_STEP + exp(log_eps)) / (1 - shift)
    at_u, strip = _ball(d, root, c0, stretch, union)
    at_x, still = _ball(d, root, c0, 1.0, t)
    wedge = chaining.share(asin(shift) / pi, union * root**2)
    return Change(links.total, at_u + at_x, c0 * min(1.0, wedge + strip + still))


def _log_width(m: float, log_m: float | None) -> float:
    if log_m is None and m == inf:
        raise ValueError("log_m must be given where m is infinite: it is the width that counts; got None")
    return log(m) if log_m is None else log_m


def _ball(d: float, root: float, c0: float, stretch: float, t: float) -> tuple[float, float]:
    """Bound what W in the ball can switch about one point, up to 2 exp(-t): the sum over sqrt(m), the share of units.

    ``root`` is 1 / sqrt(m). The units are those with |<w_{s,0}, u>| <= V ``stretch`` ||u||. Across u they are Gaussian
    rows of which W picks some; along u each adds no more than that half width.
    """
    often = sqrt(2 / pi) * c0 * stretch
    count = often + sqrt(2 * often * t * root) + t * root / 3  # Bernstein's inequality, over sqrt(m)
    count = min(count, 1 / root) if root else count
    return mended.chosen(d, count, root, t) + count * c0 * stretch * root, count * root


def step_length(
    d: float, m: float, c0: float, gamma: float = GAMMA, *, printed: bool = False, log_m: float | None = None
) -> float:
    """The shortest step downhill that the bounds show to flip every x of the sphere in turn; inf if they show none.

    The least C1 / sqrt(d) < 1 with |f| <= (C1 / sqrt(d)) (||grad f|| - change over that radius), the three from
    Lemma B.5, the mended B.7 and ``gradient_change``, or from B.5, B.7 and B.9 as ``printed``, each at gamma / 3. The
    change depends on the step, so this is solved for; ``bounds.step_length`` takes a C1 as given. A width beyond
    floating point is m = inf with its ``log_m``.
    """
    enough, least, high = _first_step(d, m, c0, gamma, printed, log_m)
    low = max(least, high * least ** (1 / _GRID)) if high < inf else high
    for _ in range(40 if high < inf else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def has_step(
    d: float, m: float, c0: float, gamma: float = GAMMA, *, printed: bool = False, log_m: float | None = None
) -> bool:
    """Whether ``step_length``, of the same arguments, is finite."""
    return _first_step(d, m, c0, gamma, printed, log_m)[2] < inf


def _first_step(
    d: float, m: float, c0: float, gamma: float, printed: bool, log_m: float | None
) -> tuple[Callable[[float], bool], float, float]:
    """Return whether a step is enough, a length below which none is, and the first of a grid from there that is."""
    value = bounds.value(m, c0, gamma / 3)
    slope = (bounds if printed else mended).gradient(d, m, c0, gamma / 3)
    log_m = _log_width(m, log_m)

    def enough(step: float) -> bool:
        c1 = step * sqrt(d)
        of = bounds.gradient_change(d, m, c0, c1, log_m=log_m) if printed else None
        return step * (slope - (of or gradient_change(d, m, c0, c1, gamma / 3, log_m=log_m)).total) >= value

    least = value / slope if slope > 0 else inf
    grid = [least ** (1 - k / _GRID) for k in range(_GRID)] if least < 1 else []
    return enough, least, next((step for step in grid if enough(step)), inf)


def least_width(d: float, c0: float, gamma: float = GAMMA) -> float:
    """Return log10 of the least width m >= d from which on ``step_length`` shows a step, up to 10^80; inf if none.

    It is sought by bisection: the more units, the smaller every term of the change. Nothing ends the range above.
    """

    def works(k: float) -> bool:
        return has_step(d, 10.0**k, c0, gamma)

    low, high = log(d) / log(10), 80.0
    if not works(high):
        return inf
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high


def speaks_from(c0: float, gamma: float = GAMMA) -> dict[str, float]:
    """Return log10 of the d from which each bound says something, for the width m = d^2.4 that Theorem 3.1 asks.

    ``flips``: the sign flips of Lemma 4.3 are fewer than m; ``gradient``: Lemma B.7 is above 0; ``gradient_simple``:
    its own conclusion sqrt(d) / 4 follows; ``window``: the widths of Theorem 3.1 are not an empty set (all its
    constants 1); ``change``: Lemma B.9 (C1 = 1) is below that sqrt(d) / 4; ``step``: ``step_length`` exists, so that
    the theorem follows. ``gradient_mended``, ``change_mended`` and ``step_mended`` are these with the mended bounds,
    and ``step_narrow``, ``step_top`` and ``step_wide`` the last at m = 100 d log(d)^2, at exp(d^0.24), where the
    window of Theorem 3.1 ends, and at e^d.
    """

    def change(d: float, log_m: float) -> float:
        return bounds.gradient_change(d, 1, c0, log_m=log_m).total

    def step(d: float, log_m: float, *, printed: bool = False) -> bool:
        return has_step(d, exp(min(log_m, 690)), c0, gamma, printed=printed, log_m=log_m)

    def width(d: float) -> float:
        return min(d**2.4, 1e300)

    conditions: dict[str, tuple[float, Callable[[float], bool]]] = {
        "flips": (120, lambda d: bounds.sign_flips(width(d), c0 / sqrt(width(d)), gamma) < width(d)),
        "gradient": (120, lambda d: bounds.gradient(d, width(d), c0, gamma) > 0),
        "gradient_mended": (120, lambda d: mended.gradient(d, width(d), c0, gamma) > 0),
        "gradient_simple": (120, lambda d: bounds.gradient(d, width(d), c0, gamma) >= sqrt(d) / 4),
        "window": (120, lambda d: bounds.width_window(d, gamma)[0] <= bounds.width_window(d, gamma)[1]),
        "change": (120, lambda d: change(d, 2.4 * log(d)) < sqrt(d) / 4),
        "change_mended": (12, lambda d: gradient_change(d, width(d), c0, gamma=gamma).total < sqrt(d) / 4),
        "step": (50, lambda d: step(d, 2.4 * log(d), printed=True)),
        "step_mended": (12, lambda d: step(d, 2.4 * log(d))),
        "step_narrow": (12, lambda d: step(d, log(100 * d * log(d) ** 2) if d > 2 else log(2))),
        "step_top": (12, lambda d: step(d, d**0.24)),
        "step_wide": (12, lambda d: step(d, d)),
    }
    return {
        name: mended.from_which(holds, most=most, per_decade=10 if name.startswith("step") else 50)
        for name, (most, holds) in conditions.items()
    }


def shares(d: float, m: float, c0: float, gamma: float = GAMMA) -> dict[str, tuple[float, float]]:
    """Return (as printed, mended) of each bound in units in which 1 means that it says nothing.

    ``flips`` and ``nearby`` are shares of the m units (Lemma B.4 at x; and within R = 1 / sqrt(d) of it), ``value``
    and ``change`` are divided by sqrt(d / 2), the usual gradient (B.5; B.9 at that R), ``lost`` is the share of the
    gradient that B.7 leaves open, and ``step`` is a length, where 1 reaches the origin (Theorem 3.1).
    """
    radius, shift, usual = c0 / sqrt(m), 1 / sqrt(d), sqrt(d / 2)
    value = bounds.value(m, c0, gamma) / usual
    nearby = mended.sign_flips_nearby(d, m, radius, shift, gamma)
    change = (bounds.gradient_change(d, m, c0).total / usual, gradient_change(d, m, c0, 1.0, gamma).total / usual)
    return {
        "flips": (bounds.sign_flips(m, radius, gamma) / m, mended.sign_flips_at(m, radius, gamma) / m),
        "nearby": (bounds.sign_flips_nearby(m, radius, shift, gamma) / m, nearby / m),
        "value": (value, value),
        "lost": (1 - bounds.gradient(d, m, c0, gamma) / usual, 1 - mended.gradient(d, m, c0, gamma) / usual),
        "change": change,
        "step": (step_length(d, m, c0, gamma, printed=True), step_length(d, m, c0, gamma)),
    }
