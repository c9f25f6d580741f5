"""How projected gradient descent gets there: Theorem 3.1 and Corollary 3.1 of Deng et al. (2020)."""

from advnb.papers.dynamics.convergence.claims import PAGE, conditions
from advnb.papers.dynamics.convergence.drawings import (
    draw_decay,
    draw_descent,
    draw_rates,
    draw_schedules,
    draw_shrinking,
    draw_stopping,
    say_shrinking,
)
from advnb.papers.dynamics.convergence.shrinking import COROLLARY_3_1, SCHEDULES
from advnb.papers.dynamics.convergence.trials import DESCENT_RANGE, GENERAL_LOSS_RATE, THEOREM_3_1

__all__ = [
    "COROLLARY_3_1",
    "DESCENT_RANGE",
    "GENERAL_LOSS_RATE",
    "PAGE",
    "SCHEDULES",
    "THEOREM_3_1",
    "conditions",
    "draw_decay",
    "draw_descent",
    "draw_rates",
    "draw_schedules",
    "draw_shrinking",
    "draw_stopping",
    "say_shrinking",
]
