"""For all weights: Theorem 3.1 of Wang et al. (2022) at weights that resist one step, and in the cone of Figure 1."""

from advnb.papers.lazy.all_weights.claims import PAGE
from advnb.papers.lazy.all_weights.drawings import draw_angles, draw_cone, draw_held, draw_longest, draw_turn
from advnb.papers.lazy.all_weights.tables import PER_C0, by_c0, by_scale, on_the_grid
from advnb.papers.lazy.all_weights.trials import ANGLES, WORST_WEIGHTS, adversary

__all__ = [
    "ANGLES",
    "PAGE",
    "PER_C0",
    "WORST_WEIGHTS",
    "adversary",
    "by_c0",
    "by_scale",
    "draw_angles",
    "draw_cone",
    "draw_held",
    "draw_longest",
    "draw_turn",
    "on_the_grid",
]
