"""The same bounds where a step of their proof does not hold, mended; and where a bound begins to say something.

What was mended. Lemma B.4's second set lets delta depend on the unit. Lemma B.6 takes the variance of
<w, x + delta> as at least 1/2 where it can be 1/4. Equation (7) treats the set of units that change sign as
independent of their weights, but whoever picks W in the ball picks the set. The largest of m Gaussians is bounded by
sqrt(log(m/gamma)), a factor sqrt(2) short.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, erf, exp, inf, log, pi, sqrt

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
    """Eq. (4) with the variance (1 - R)^2 that ||delta|| <= R leaves; V scales with ||x + delta|| and is not hurt.

    It stays below the printed bound for d >= 2 and eps <= 1/3, so that the statement stands and its proof does not.
    """
    row = sqrt(d + 4 * sqrt(d * log(2 / eps))) + radius
    return eps + sqrt(2 / pi) * (eps * row / (1 - shift) + radius)


def gradient(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """Lemma B.7 with eq. (7) mended: a lower bound on ||grad f(x)|| throughout the ball; -inf where it is not real.

    Each of its four events takes gamma / 4.
    """
    start = bounds.gradient_at_start(d, m, gamma)
    return start if start == -inf else start - c0 - switched(d, m, c0, gamma)


def switched(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """Eq. (7) mended: what the units that W in the ball makes change sign can change in the gradient.

    The sign flips T chosen by W lie in S, k = |S| (Lemma B.4), and S depends on <w_{s,0}, x> alone. So the rows of
    Z_S = (P w_{s,0})_{s in S} are Gaussian, and || sum_T a_s P w_{s,0} || <= sqrt(k) ||Z_S|| <= sqrt(k) (sqrt(k) +
    sqrt(d) + sqrt(2 log(4/gamma))) with probability 1 - gamma / 4; that k is exceeded takes gamma / 4, too.
    """
    flips = min(float(m), bounds.sign_flips(m, c0 / sqrt(m), gamma / 4))
    return sqrt(flips / m) * (sqrt(flips) + sqrt(d) + sqrt(2 * log(4 / gamma)))


def from_which(holds: Callable[[float], bool], *, most: float = 400.0) -> float:
    """Return the least log10(size) from which ``holds`` stays true, up to 10^most; inf if it is not true there.

    ``holds`` takes a size. It is asked on a fine logarithmic grid, then between the last failure and the next point.
    """
    grid = [k / 50 for k in range(int(50 * most) + 1)]
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
    return bool(holds(exp(log_size * log(10)) if log_size < 300 else 10.0**300))


def speaks_from(c0: float, gamma: float = GAMMA, c1: float = 1.0) -> dict[str, float]:
    """Return log10 of the d from which each bound says something, for the width m = d^2.4 that Theorem 3.1 asks.

    ``flips``: the sign flips of Lemma 4.3 are fewer than m; ``gradient`` and ``gradient_mended``: Lemma B.7 is above
    0; ``gradient_simple``: its own conclusion sqrt(d) / 4 follows; ``b9_step``: the width inequality inside B.9 is
    true; ``net``, ``width``, ``ball``: each term of B.9 alone is below that sqrt(d) / 4; ``change``: their sum is;
    ``window``: the widths of Theorem 3.1 are not an empty set (all its constants 1).
    """

    def width(d: float) -> float:
        return min(d**2.4, 1e300)

    def term(name: str) -> Callable[[float], bool]:
        return lambda d: getattr(bounds.gradient_change(d, 1, c0, c1, log_m=2.4 * log(d)), name) < sqrt(d) / 4

    conditions: dict[str, Callable[[float], bool]] = {
        "flips": lambda d: bounds.sign_flips(width(d), c0 / sqrt(width(d)), gamma) < width(d),
        "gradient": lambda d: bounds.gradient(d, width(d), c0, gamma) > 0,
        "gradient_mended": lambda d: gradient(d, width(d), c0, gamma) > 0,
        "gradient_simple": lambda d: bounds.gradient(d, width(d), c0, gamma) >= sqrt(d) / 4,
        "b9_step": lambda d: bounds.b9_width_step(d) <= 1,
        **{name: term(name) for name in ("net", "width", "ball")},
        "change": term("total"),
        "window": lambda d: bounds.width_window(d, gamma)[0] <= bounds.width_window(d, gamma)[1],
    }
    return {name: from_which(holds, most=120.0) for name, holds in conditions.items()}
