"""What the pictures show: Figures 1, 4 and 5 of Deng et al. (2020), over many networks."""

from advnb.papers.dynamics.panels.claims import PAGE
from advnb.papers.dynamics.panels.drawings import draw_factors, draw_panel, draw_widths
from advnb.papers.dynamics.panels.trials import FIGURE_1, FIGURE_1_ESCAPE, FIGURE_4, NEAR_MAXIMA

__all__ = [
    "FIGURE_1",
    "FIGURE_1_ESCAPE",
    "FIGURE_4",
    "NEAR_MAXIMA",
    "PAGE",
    "draw_factors",
    "draw_panel",
    "draw_widths",
]
