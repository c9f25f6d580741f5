"""The bounds of Wang et al., appendix B (section 4 states them loosely), with their constants, as printed.

Each takes plain numbers and returns one, so that a bound can be asked at sizes that nobody can run. ``gamma`` is the
failure probability, x has norm 1, and the weights stay within V = C0 / sqrt(m) of their start. A bound that says
nothing there comes out as it is, larger than what it bounds or, for a lower bound, at most 0.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from advnb import checks

GAMMA = 0.05


def sign_flips(m: float, radius: float, gamma: float = GAMMA) -> float:
    """Lemmas 4.3 and B.4, first set: V m + sqrt(m log(1/gamma) / 2) units may change sign at x; V = ``radius``."""
    _gamma(gamma)
    return radius * m + sqrt(m * log(1 / gamma) / 2)


def sign_flips_nearby(m: float, radius: float, shift: float, gamma: float = GAMMA) -> float:
    """Lemma B.4, second set: (1 + R) times the first, for points x + delta with ||delta|| <= R = ``shift`` <= 1/2.

    The proof is for one delta fixed in advance; the set as it is defined, with "there is a delta", is far larger
    (see ``mended.sign_flips_nearby``).
    """
    return sign_flips(m, radius, gamma) * (1 + shift)


def value(m: float, c0: float, gamma: float = GAMMA) -> float:
    """Lemma B.5: |f(x)| <= sqrt(2 log(2/gamma)) + 2 log(2/gamma) / sqrt(m) + C0 throughout the ball."""
    _gamma(gamma)
    t = log(2 / gamma)
    return sqrt(2 * t) + 2 * t / sqrt(m) + c0


def value_simple(c0: float, gamma: float = GAMMA) -> float:
    """Lemmas 4.1 and B.5, simple form: |f(x)| <= 2 sqrt(log(2/gamma)) + C0, from ``value_width`` on."""
    return 2 * sqrt(log(2 / _gamma(gamma))) + c0


def value_width(gamma: float = GAMMA) -> float:
    """The least m at which the simple form of Lemma B.5 follows from its other: 2 log(2/gamma) / (sqrt(2) - 1)^2."""
    return 2 * log(2 / _gamma(gamma)) / (sqrt(2) - 1) ** 2


def flip_probability(d: float, shift: float) -> float:
    """Lemma B.6, eq. (3): a unit changes sign from x to a fixed x + delta with at most R sqrt(2 log d) + 1/d."""
    return shift * sqrt(2 * log(d)) + 1 / d


def flip_probability_nearby(d: float, radius: float, shift: float, eps: float) -> float:
    """Lemma B.6, eq. (4): the same for some weights in the V-ball and some delta' within ``eps`` of delta."""
    return 2 * eps * (sqrt(d) + 2 * sqrt(d * log(2 / eps))) + (1 + shift + eps) * radius


def gradient(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """Lemma B.7: a lower bound on ||grad f(x)|| throughout the ball; -inf where a root of it is not real."""
    start = gradient_at_start(d, m, gamma)
    return start if start == -inf else start - c0 - switched(d, m, c0, gamma)


def gradient_at_start(d: float, m: float, gamma: float = GAMMA) -> float:
    """The first product of Lemma B.7, which bounds ||P grad f(x; W_0)||; -inf where a root is not real."""
    t = log(4 / _gamma(gamma))
    share = 0.5 - (sqrt(2 * t / m) + t / m)
    length = d - 5 * sqrt(d * log(8 / gamma))
    return sqrt(share * length) if share > 0 and length > 0 else -inf


def gradient_simple(d: float) -> float:
    """Lemma 4.2 and the end of B.7: ||grad f(x)|| >= sqrt(d) / 4."""
    return sqrt(d) / 4


def longest_row(d: float, m: float, gamma: float = GAMMA) -> float:
    """The bound used for all ||w_{s,0}|| at once, sqrt(d + 4 sqrt(d log(8 m/gamma)))."""
    return sqrt(d + 4 * sqrt(d * (log(8 / gamma) + log(m))))


def switched(d: float, m: float, c0: float, gamma: float = GAMMA) -> float:
    """The last term of Lemmas B.7 and B.8, eq. (7): what units that change sign between the start and W can change."""
    share = (c0 + sqrt(log(4 / _gamma(gamma)) / 2)) / sqrt(m)
    return sqrt(share) * longest_row(d, m, gamma)


def gradient_change_along(
    d: float, m: float, c0: float, shift: float, gamma: float = GAMMA, *, as_proved: bool = False
) -> float:
    """Lemma B.8: <r, grad f(x) - grad f(x + delta)> for one fixed unit r and delta with ||delta|| <= R = ``shift``.

    The statement ends in sqrt(log(4m/gamma)); its proof (``as_proved``) arrives at sqrt(log(4m/gamma)) + 3.
    """
    t = log(4 / _gamma(gamma))
    first = 2 * sqrt(t) * ((4 * shift * sqrt(log(d))) ** 0.25 + sqrt(t / m))
    last = 5 * (c0 + sqrt(t)) * (sqrt(t + log(m)) + (3 if as_proved else 0))
    return first + c0 + 3 * switched(d, m, c0, gamma) + last


class Change(NamedTuple):
    """The three terms of Lemma B.9; their sum bounds ||grad f(x) - grad f(x + delta)||."""

    net: float
    width: float
    ball: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.net + self.width + self.ball


def gradient_change(d: float, m: float, c0: float, c1: float = 1.0, *, log_m: float | None = None) -> Change:
    """Lemma B.9: the change of the gradient over all ||delta|| <= C1 / sqrt(d), throughout the ball.

    It asks for m >= d^2.4 and d >= log(4/gamma)^2. ``log_m`` replaces log(m) where m is beyond floating point.
    """
    log_m = log(m) if log_m is None else log_m
    log_md = log_m + log(d)
    net = 9 * (c1 * d**2 * log_md**2 * sqrt(log(d) / d)) ** 0.25
    width = 15 * d * log_md * exp(-log_m / 2)
    return Change(net, width, 327 * max(1.0, c0) * c0 * d**0.25)


def step_length(d: float, m: float, c0: float, gamma: float = GAMMA, c1: float = 1.0) -> float:
    """The step that the proof of Theorem 3.1 builds from these bounds, 2 |f| / (||grad f|| - change); inf if none.

    With |f| from Lemma B.5, the gradient from B.7 and its change from B.9, each at gamma / 3. A step of this length
    flips every x on the sphere with probability 1 - gamma, if it is at most C1 / sqrt(d).
    """
    slack = gradient(d, m, c0, gamma / 3) - gradient_change(d, m, c0, c1).total
    return 2 * value(m, c0, gamma / 3) / slack if slack > 0 else inf


def width_window(d: float, gamma: float = GAMMA, c3: float = 1.0, c4: float = 1.0) -> tuple[float, float]:
    """Theorem 3.1: the log of the least and of the largest width, max(d^2.4, C3 log(1/gamma)) and C4 exp(d^0.24).

    As logarithms, since the upper end overflows; the window is empty where the first exceeds the second.
    """
    return max(2.4 * log(d), log(c3 * log(1 / _gamma(gamma)))), log(c4) + d**0.24


def b9_width_step(d: ArrayLike, constant: float = 0.33) -> NDArray[np.float64]:
    """Lemma B.9 uses "m >= d^2.4 implies sqrt(m) >= 0.33 d log(md)": the right side over the left at m = d^2.4.

    Above 1 the implication is false. Takes arrays, and another ``constant`` for the 0.33.
    """
    d = np.asarray(d, float)
    return constant * 3.4 * np.log(d) / d**0.2


def _gamma(gamma: float) -> float:
    if not 0 < checks.positive("gamma", gamma) < 1:
        raise ValueError(f"gamma must lie between 0 and 1; got {gamma!r}")
    return gamma
