"""Lemma B.9 proved another way: the change of the gradient over a whole ball of inputs and a whole ball of weights.

With u = x + delta and g(u; W) = m^-1/2 sum_s a_s w_s 1[w_s.u > 0], write v_s = w_s - w_{s,0} and split

    g(u; W) - g(x; W) =   m^-1/2 sum_s a_s v_s (1[w_s.u > 0] - 1[w_s.x > 0])                 moved
                        + m^-1/2 sum_s a_s w_{s,0} (1[w_s.u > 0] - 1[w_{s,0}.u > 0])         ball, at u
                        + m^-1/2 sum_s a_s w_{s,0} (1[w_{s,0}.u > 0] - 1[w_{s,0}.x > 0])     net
                        - m^-1/2 sum_s a_s w_{s,0} (1[w_s.x > 0] - 1[w_{s,0}.x > 0])         ball, at x.

A net of the delta's with steps epsilon = V / (4 L), L the longest ||w_{s,0}||, controls which units occur: the units
of "net" lie in a wedge T' of probability at most arcsin(R) / pi or in a strip S' about u' of half width V (1 + 1/4 +
...), those of "ball, at u" in S'. For one u' both sizes are binomial, and their rows are Gaussian apart from the
two coordinates that define the sets. The sum "net" itself needs no net: the signs of <w_{s,0}, u> are one of at most
2 sum_{i<d} C(m-1, i) patterns (Cover's count), and given all w_{s,0} the a_s are independent signs, so that
Hoeffding's inequality for each pattern and each r of a net of the sphere is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, inf, log, pi, sqrt
from typing import NamedTuple

from advnb.papers.lazy.bounds import mended
from advnb.papers.lazy.bounds import printed as bounds
from advnb.papers.lazy.bounds.printed import GAMMA

_EVENTS = 9  # each fails with probability at most gamma / 9
_STEP = 0.25  # of the net of delta's: epsilon L / V
_MESH = 0.1  # of the net of directions r


class Change(NamedTuple):
    """The terms whose sum bounds ||grad f(x + delta; W) - grad f(x; W)||, as in the module's docstring."""

    net: float
    ball: float
    moved: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.net + self.ball + self.moved


def gradient_change(d: float, m: float, c0: float, c1: float = 1.0, gamma: float = GAMMA) -> Change:
    """Lemma B.9, mended: holds for all ||delta|| <= C1 / sqrt(d) and all W in the ball with probability 1 - gamma.

    Any m will do; infinite if C1 >= sqrt(d), where the ball of delta's reaches the origin.
    """
    shift, radius, t = c1 / sqrt(d), c0 / sqrt(m), log(_EVENTS / gamma)
    if shift >= 1:
        return Change(inf, inf, inf)
    length = sqrt(d) + sqrt(2 * (t + log(m)))
    eps = _STEP * radius / length
    union = t + d * log(1 + 2 * shift / eps)
    width = radius * (1 + (_STEP + eps) / (1 - shift))
    strip = most_of(m, sqrt(2 / pi) * width, union)
    wedge = most_of(m, asin(shift) / pi, union)
    still = min(m, m * sqrt(2 / pi) * radius + sqrt(m * t / 2))  # the units that W can flip at x
    strip_norm = _norm(strip, d, union) + sqrt(strip) * width
    still_norm = _norm(still, d, t) + sqrt(still) * radius
    wedge_square = _norm(wedge, d, union) ** 2 + 2 * (wedge + sqrt(2 * wedge * union) + union)
    deviation = sqrt((wedge_square + strip_norm**2) / m)
    exponent = t + log_patterns(d, m) + d * log(1 + 2 / _MESH)
    return Change(
        net=deviation * sqrt(2 * exponent) / (1 - _MESH),
        ball=(sqrt(strip) * strip_norm + sqrt(still) * still_norm) / sqrt(m),
        moved=c0 * min(1.0, (wedge + strip + still) / m),
    )


def most_of(m: float, p: float, t: float) -> float:
    """Bernstein's inequality: m independent events of probability p occur at most so often, up to exp(-t)."""
    p = min(1.0, p)
    return min(m, m * p + sqrt(2 * m * p * t) + t / 3)


def log_patterns(d: float, m: float) -> float:
    """A bound on the log of the number of sign patterns of m hyperplanes through the origin of R^d."""
    return min(m * log(2), log(2) + d * (1 + log(m / d))) if m > d else m * log(2)


def _norm(rows: float, d: float, t: float) -> float:
    """The largest singular value of a Gaussian matrix, up to exp(-t)."""
    return sqrt(rows) + sqrt(d) + sqrt(2 * t)


def step_length(d: float, m: float, c0: float, gamma: float = GAMMA, *, printed: bool = False) -> float:
    """The shortest step downhill that the bounds show to flip every x of the sphere in turn; inf if they show none.

    The least C1 / sqrt(d) < 1 with |f| <= (C1 / sqrt(d)) (||grad f|| - change over that radius), the three from
    Lemma B.5, the mended B.7 and ``gradient_change``, or from B.5, B.7 and B.9 as ``printed``, each at gamma / 3. The
    change depends on the step, so this is solved for; ``bounds.step_length`` takes a C1 as given.
    """
    value = bounds.value(m, c0, gamma / 3)
    slope = (bounds if printed else mended).gradient(d, m, c0, gamma / 3)

    def enough(step: float) -> bool:
        c1 = step * sqrt(d)
        sound = gradient_change(d, m, c0, c1, gamma / 3) if not printed else bounds.gradient_change(d, m, c0, c1)
        return step * (slope - sound.total) >= value

    least = value / slope if slope > 0 else inf  # no shorter step can do
    if least >= 1:
        return inf
    grid = [least ** (1 - k / 200) for k in range(200)]
    high = next((step for step in grid if enough(step)), inf)
    low = max(least, high * least ** (1 / 200)) if high < inf else high
    for _ in range(40 if high < inf else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def speaks_from(c0: float, gamma: float = GAMMA) -> dict[str, float]:
    """Return log10 of the d from which each bound says something, for the width m = d^2.4 that Theorem 3.1 asks.

    ``flips``: the sign flips of Lemma 4.3 are fewer than m; ``gradient``: Lemma B.7 is above 0; ``gradient_simple``:
    its own conclusion sqrt(d) / 4 follows; ``window``: the widths of Theorem 3.1 are not an empty set (all its
    constants 1); ``change``: Lemma B.9 (C1 = 1) is below that sqrt(d) / 4; ``step``: ``step_length`` exists, so that
    the theorem follows. ``gradient_mended``, ``change_mended`` and ``step_mended`` are these with the mended bounds.
    """

    def width(d: float) -> float:
        return min(d**2.4, 1e300)

    def change(d: float) -> float:
        return bounds.gradient_change(d, 1, c0, log_m=2.4 * log(d)).total

    conditions: dict[str, tuple[float, Callable[[float], bool]]] = {
        "flips": (120, lambda d: bounds.sign_flips(width(d), c0 / sqrt(width(d)), gamma) < width(d)),
        "gradient": (120, lambda d: bounds.gradient(d, width(d), c0, gamma) > 0),
        "gradient_mended": (120, lambda d: mended.gradient(d, width(d), c0, gamma) > 0),
        "gradient_simple": (120, lambda d: bounds.gradient(d, width(d), c0, gamma) >= sqrt(d) / 4),
        "window": (120, lambda d: bounds.width_window(d, gamma)[0] <= bounds.width_window(d, gamma)[1]),
        "change": (120, lambda d: change(d) < sqrt(d) / 4),
        "change_mended": (30, lambda d: gradient_change(d, width(d), c0, gamma=gamma).total < sqrt(d) / 4),
        "step": (50, lambda d: step_length(d, width(d), c0, gamma, printed=True) < 1),
        "step_mended": (30, lambda d: step_length(d, width(d), c0, gamma) < 1),
    }
    return {name: mended.from_which(holds, most=most) for name, (most, holds) in conditions.items()}


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
