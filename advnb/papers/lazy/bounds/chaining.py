"""The change of the gradient at the start over a whole ball of inputs, by chaining (a result of this book).

g(u) = m^-1/2 sum_s a_s w_s 1[w_s.u > 0] with w_s ~ N(0, I_d) and random signs a_s; x has norm 1 and u = x + delta,
||delta|| <= R < 1. Nets N_1, ..., N_K of the ball of delta's have steps r_1 > ... > r_K, N_0 = {0}, r_0 = R, and each
point of N_k hangs on its nearest one of N_{k-1}. The change from x to a point of N_K is then a sum of K links,

    g(u_K) - g(x) = sum_k (g(u_k) - g(u_{k-1})),    ||u_k - u_{k-1}|| <= r_{k-1},

and level k has no more than |N_k| <= (1 + 2 R / r_k)^d of them. The points of one link have an angle theta, so that
the number n of units whose sign differs is binomial (m, theta / pi). Given which they are, their sum is sub-Gaussian
with variance n across the plane of the two points and with a trace of 2 n in it (``longest``). Near links are many and
short, far ones few: the sum over the levels is a constant times d^(1/4), whatever the width, where a count of all
sign patterns that m hyperplanes allow costs another factor sqrt(log m).
"""

from __future__ import annotations

from math import asin, exp, inf, log, log1p, pi, sqrt
from typing import NamedTuple

_RATIOS = (8.0, 64.0)  # of the steps of neighbouring nets
_LEVELS = 100  # at most; another one that takes off less than a hundredth is the last


class Chain(NamedTuple):
    """The steps r_0 = R > ... > r_{K-1} that the links bridge, and a bound on the links of each level."""

    steps: tuple[float, ...]
    links: tuple[float, ...]

    @property
    def total(self) -> float:
        """The bound on the whole change."""
        return sum(self.links)


def share(p: float, rate: float) -> float:
    """Bernstein's inequality: of m independent events of probability p at most this share occurs, up to exp(-m rate).

    The right tail of the binomial is sub-gamma with variance m p and scale 1/3.
    """
    p = min(1.0, p)
    return min(1.0, p + sqrt(2 * p * rate) + rate / 3)


def longest(d: float, t: float) -> float:
    """Return c so that a link of n units is at most sqrt(c n / m) long, up to exp(-t); for t > 1/2.

    The sum Z of the n rows has E exp(<v, Z>) <= exp(v.S v / 2) with S = n I across the plane of the two points and
    trace 2 n in it, since there a row is a Rayleigh number r along a direction of its own and
    E cosh(h r) = sum h^2k / (2k - 1)!! <= exp(h^2). So E exp(h ||Z||^2 / n) <= (1 - 2h)^(-(d-2)/2) (1 - 4h)^(-1/2), and
    Markov's inequality at 4 h = 1 - 1 / (2t) gives c.
    """
    return 4 * (t + (d * log(2) + log(2 * t)) / 2) / (1 - 1 / (2 * t))


def log_net(d: float, log_ratio: float) -> float:
    """Return d log(1 + 2 R / r): so many balls of radius r, as a log, cover one of radius R = r e^log_ratio."""
    log_double = log(2) + log_ratio
    return d * (log_double + log1p(exp(-log_double)) if log_double > 0 else log1p(exp(log_double)))


def angle(step: float, shift: float) -> float:
    """Return a bound on the angle of two points within ``shift`` < 1 of x that are at most ``step`` apart."""
    return 2 * asin(min(1.0, step / (2 * (1 - shift))))


def chain(d: float, log_m: float, shift: float, log_mesh: float, t: float) -> Chain:
    """Bound ||g(x + delta) - g(x)|| for all delta of a net of step e^log_mesh of the ball ||delta|| <= R = ``shift``.

    Holds up to 2 exp(-t), since level k has t_k = t + log|N_k| + log(k (k + 1)) for its counts and for its sums. The
    steps are R, R/q, R/q^2, ..., with the last net at e^log_mesh; K and q are those of a few that give the least.
    """
    best = Chain((), (inf,))
    for ratio in _RATIOS:
        steps: list[float] = []
        links: list[float] = []
        before = inf
        for k in range(1, _LEVELS + 1):
            steps.append(shift / ratio ** (k - 1))
            p = (asin(shift) if k == 1 else angle(steps[-1], shift)) / pi
            near, far = (
                _link(d, log_m, p, t + log(k * (k + 1)) + log_net(d, log_ratio))
                for log_ratio in (k * log(ratio), log(shift) - log_mesh)
            )
            total = sum(links) + far
            if total < best.total:
                best = Chain(tuple(steps), (*links, far))
            if total > 0.99 * before:
                break
            links.append(near)
            before = total
    return best


def _link(d: float, log_m: float, p: float, t: float) -> float:
    """Bound all links of a level at once, each failing with probability 2 exp(-t)."""
    return sqrt(share(p, t * exp(-log_m)) * longest(d, t))
