"""The sharp rate of projected gradient descent near the strongest adversary: a theorem of this book, measured."""

from advnb.papers.dynamics.rate.claims import PAGE
from advnb.papers.dynamics.rate.drawings import (
    draw_agreement,
    draw_curves,
    draw_idea,
    draw_run,
    draw_steps,
    one_step,
    say_run,
)
from advnb.papers.dynamics.rate.quantities import Rate, bends, outward_pull, slowest_direction, step_jacobian
from advnb.papers.dynamics.rate.trials import CONTRACTION

__all__ = [
    "CONTRACTION",
    "PAGE",
    "Rate",
    "bends",
    "draw_agreement",
    "draw_curves",
    "draw_idea",
    "draw_run",
    "draw_steps",
    "one_step",
    "outward_pull",
    "say_run",
    "slowest_direction",
    "step_jacobian",
]
