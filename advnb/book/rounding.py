"""Numbers as text that another processor writes as well: rounded coarsely, bounds rounded outwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from advnb import checks
from advnb.statistics import wilson

__all__ = ["about", "at_least", "at_most", "interval", "share"]

ROOM = 1e-6
"""Of a step: a value that exceeds a multiple by less than this counts as that multiple (0.85 as 17 steps of 0.05)."""


def about(value: float, digits: int = 2) -> str:
    """Return ``value`` rounded to ``digits`` significant digits, as text."""
    value = float(f"{float(value):.{checks.count('digits', digits) - 1}e}")
    if value == 0 or not math.isfinite(value):
        return f"{value:g}".replace("-0", "0")
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        return f"{value:.{max(0, digits - 1 - exponent)}f}"
    return f"{value / 10.0**exponent:.{digits - 1}f}e{exponent}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval as text, its ends rounded by :func:`about`."""
    return f"[{about(low, digits)}, {about(high, digits)}]"


def at_most(value: float, step: float) -> str:
    """Return "at most" and ``value`` rounded up to a multiple of ``step``: text that stays when the value drifts."""
    least = 1 if value > 0 else -math.inf  # what is positive is not at most 0, however small
    return f"at most {_multiple(value, step, lambda steps: max(least, math.ceil(steps - ROOM)))}"


def at_least(value: float, step: float) -> str:
    """Return "at least" and ``value`` rounded down to a multiple of ``step``."""
    return f"at least {_multiple(value, step, lambda steps: math.floor(steps + ROOM))}"


def _multiple(value: float, step: float, whole: Callable[[float], float]) -> str:
    if not math.isfinite(value):
        raise ValueError(f"value must be finite; got {value!r}")
    return f"{whole(float(value) / checks.positive('step', step)) * step:.6g}"


def share(successes: Iterable[bool]) -> str:
    """Return a share in per cent with its Wilson interval, as text: "97% [92, 99]"."""
    drawn = [bool(success) for success in successes]
    low, high = wilson(sum(drawn), len(drawn))
    return f"{100 * sum(drawn) / len(drawn):.0f}% [{100 * low:.0f}, {100 * high:.0f}]"
