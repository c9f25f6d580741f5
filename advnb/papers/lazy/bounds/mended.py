"""The same bounds where a step of their proof does not hold, mended; and where a bound begins to say something.

What was mended. Lemma B.4's second set lets delta depend on the unit. Lemma B.6 takes the variance of
<w, x + delta> as at least 1/2 where it can be 1/4. Equation (7) treats the set of units that change sign as
independent of their weights, but whoever picks W in the ball picks the set. The largest of m Gaussians is bounded by
sqrt(log(m/gamma)), a factor sqrt(2) short.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, erf, inf, log, pi, sqrt

from advnb.papers.lazy.bounds import printed as bounds
from advnb.papers.lazy.bounds.printed import GAMMA


def sign_flips_nearby(d: float, m: float, radius: float, shift: float, gamma: float = GAMMA) -> float:
    """Lemma B.4's second set as it is defined: units that some W in the ball flips at some x + delta.

    Such a unit has |<w_{s,0}, x>| <= V (1 + R) + R ||w_{s,0}||. With probability gamma / 2 some ||w_{s,0}|| exceeds
    sqrt(d) + sqrt(2 log(2 m/gamma)), the norm being 1-Lipschitz; with gamma / 2 Hoeffding's inequality fails. With R
    of order 1 / sqrt(d) this is of order m, not sqrt(m).
    """
    reach = radius * (1 + shift) + shift * (sqrt(d) + sqrt(2 * log(2 * m / gamma)))
    return min(float(m), m * erf(reach / sqrt(2)) + sqrt(m * log(2 / gamma) / 2))


def sign_flips_at(m: float, radius: float, gamma: float = GAMMA) -> float:
    """The second set at one delta fixed in advance: no factor 1 + R is needed, since both sides scale with x + delta.

    Uses the density of the Gaussian, sqrt(2/pi) V, where the paper rounds up to V.
    """
    return m * min(1.0, sqrt(2 / pi) * radius) + sqrt(m * log(1 / gamma) / 2)


def largest_projection(m: float, gamma: float = GAMMA) -> float:
    """max_s |<x, w_{s,0}>| <= sqrt(2 log(m/gamma)); the paper drops the 2."""
    return sqrt(2 * log(m / gamma))


def flip_probability(shift: float) -> float:
    """Eq. (3) exactly, for the worst delta with ||delta|| <= R < 1: arcsin(R) / pi."""
    return asin(shift) / pi


def flip_probability_nearby(d: float, radius: float, shift: float, eps: float) -> float:
    """Eq. (4) by a proof that holds for every eps; at most 1, which it is for eps >= 1 - R.

    With rho = ||x + delta|| >= 1 - R and g, h the parts of w_{s,0} along and across x + delta, the event implies
    rho |g| <= eps (|g| + ||h|| + V) + V rho. As h is independent of g and E||h|| <= sqrt(d - 1), its probability is
    at most sqrt(2/pi) (V (rho + eps) + eps sqrt(d - 1)) / (rho - eps), which falls with rho.
    """
    rho = 1 - shift
    if eps >= rho:
        return 1.0
    return min(1.0, sqrt(2 / pi) * (radius * (rho + eps) + eps * sqrt(d - 1)) / (rho - eps))


def gradient(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """Lemma B.7 with eq. (7) mended: a lower bound on ||grad f(x)|| throughout the ball; -inf where it is not real.

    Each of its four events takes gamma / 4.
    """
    start = bounds.gradient_at_start(d, m, gamma)
    return start if start == -inf else start - c0 - switched(d, m, c0, gamma)


def switched(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """Eq. (7) mended: what the units that W in the ball makes change sign can change in the gradient.

    The sign flips T chosen by W lie in S (Lemma B.4), and S depends on <w_{s,0}, x> alone. So the rows
    (P w_{s,0})_{s in S} are Gaussian, and ``chosen`` bounds the sum over T with probability 1 - gamma / 4; that |S| is
    exceeded takes gamma / 4, too.
    """
    count = min(sqrt(m), c0 + sqrt(log(4 / gamma) / 2))  # Lemma B.4 at gamma / 4, over sqrt(m)
    return chosen(d, count, 1 / sqrt(m), log(4 / gamma))


def chosen(d: float, count: float, root: float, t: float) -> float:
    """The longest sum of some of k = ``count`` sqrt(m) Gaussian rows, over sqrt(m), up to exp(-t); ``root`` is m^-1/2.

    Chevet's inequality: sup over b in {0, 1}^k and unit r of b.Z r has a mean of at most E sum_s max(g_s, 0) +
    sqrt(k) E||h|| <= k / sqrt(2 pi) + sqrt(k d), and it is sqrt(k)-Lipschitz in Z. So whoever chooses after the draw
    gets k / sqrt(2 pi), where a sum of all rows has sqrt(k d).
    """
    return count / sqrt(2 * pi) + sqrt(count * root) * (sqrt(d) + sqrt(2 * t))


def from_which(holds: Callable[[float], bool], *, most: float = 400.0, per_decade: int = 50) -> float:
    """Return the least log10(size) from which ``holds`` stays true, up to 10^most; inf if it is not true there.

    ``holds`` takes a size. It is asked on a logarithmic grid, then between the last failure and the next point.
    """
    grid = [k / per_decade for k in range(int(per_decade * most) + 1)]
    truths = [_true(holds, at) for at in grid]
    if not truths[-1]:
        return inf
    last = max((k for k, truth in enumerate(truths) if not truth), default=-1)
    if last < 0:
        return 0.0
    low, high = grid[last], grid[last + 1]
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _true(holds, middle) else (middle, high)
    return high


def _true(holds: Callable[[float], bool], log_size: float) -> bool:
    return bool(holds(10.0 ** min(log_size, 300.0)))
