"""Where the adversaries are: Theorem 5.1, assumption 3 and section 5.2 of Deng et al. (2020)."""

from advnb.papers.dynamics.landscape.claims import PAGE, conclusions_due
from advnb.papers.dynamics.landscape.drawings import (
    draw_arrivals,
    draw_circle,
    draw_needle,
    draw_single,
    draw_turning,
    say_circle,
)
from advnb.papers.dynamics.landscape.trials import GENERAL_LOSS, THEOREM_5_1, THEOREM_5_1_HIGH

__all__ = [
    "GENERAL_LOSS",
    "PAGE",
    "THEOREM_5_1",
    "THEOREM_5_1_HIGH",
    "conclusions_due",
    "draw_arrivals",
    "draw_circle",
    "draw_needle",
    "draw_single",
    "draw_turning",
    "say_circle",
]
