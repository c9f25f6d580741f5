"""Where the adversaries are: Figures 1, 4 and 5, Theorem 5.1 and section 5.2 of Deng et al. (2020)."""

from advnb.papers.dynamics.landscape.claims import PAGE
from advnb.papers.dynamics.landscape.drawings import draw_circle, draw_factors, draw_panel, draw_single, draw_widths
from advnb.papers.dynamics.landscape.trials import (
    FIGURE_1,
    FIGURE_1_ESCAPE,
    FIGURE_4,
    GENERAL_LOSS,
    THEOREM_5_1,
    THEOREM_5_1_HIGH,
)

__all__ = [
    "FIGURE_1",
    "FIGURE_1_ESCAPE",
    "FIGURE_4",
    "GENERAL_LOSS",
    "PAGE",
    "THEOREM_5_1",
    "THEOREM_5_1_HIGH",
    "draw_circle",
    "draw_factors",
    "draw_panel",
    "draw_single",
    "draw_widths",
]
