"""How the flipping step depends on d, m and C0: Figures 2, 5 and 6 of Wang et al. (2022), and one law for all."""

from advnb.papers.lazy.scaling.claims import PAGE, all_widths, figure_2, figure_5, figure_6, trained_law
from advnb.papers.lazy.scaling.drawings import (
    PANELS,
    draw_all_radii,
    draw_collapse,
    draw_crosses,
    draw_exponents,
    draw_law,  # fmt: skip
    draw_panels,
    draw_theory,
    say_law,
)
from advnb.papers.lazy.scaling.trials import FIGURES_2_3, FIGURES_5_6

__all__ = ["FIGURES_2_3", "FIGURES_5_6", "PAGE", "PANELS", "all_widths", "draw_all_radii", "draw_collapse",
           "draw_crosses", "draw_exponents", "draw_law", "draw_panels", "draw_theory", "figure_2", "figure_5",
           "figure_6", "say_law", "trained_law"]  # fmt: skip
