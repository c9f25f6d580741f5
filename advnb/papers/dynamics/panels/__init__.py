"""What the pictures show: Figures 1, 4 and 5 of Deng et al. (2020), over many networks."""

from advnb.papers.dynamics.panels.claims import PAGE, slow, trapped
from advnb.papers.dynamics.panels.drawings import (
    draw_figure_1,
    draw_figure_4,
    draw_one,
    draw_panel,
    draw_seeds,
    draw_waits,
    draw_widths,
    say_panel,
)
from advnb.papers.dynamics.panels.trials import FIGURE_1, FIGURE_1_ESCAPE, FIGURE_4, LEVELS, NEAR_MAXIMA

__all__ = [
    "FIGURE_1", "FIGURE_1_ESCAPE", "FIGURE_4", "LEVELS", "NEAR_MAXIMA", "PAGE", "draw_figure_1", "draw_figure_4",
    "draw_one", "draw_panel", "draw_seeds", "draw_waits", "draw_widths", "say_panel", "slow", "trapped",
]  # fmt: skip
