"""One step is enough: Theorem 3.1 and Corollary 3.2 of Wang et al. (2022), for the networks that training finds."""

from advnb.papers.lazy.one_step.claims import PAGE
from advnb.papers.lazy.one_step.drawings import (
    draw_image,
    draw_lengths,
    draw_robust_error,
    draw_shares,
    draw_widths,
    say_image,
)
from advnb.papers.lazy.one_step.tables import NETWORKS, at_length, by_network, lost_at, lost_by_width
from advnb.papers.lazy.one_step.trials import ONE_STEP, THEOREM_3_1

__all__ = [
    "NETWORKS",
    "ONE_STEP",
    "PAGE",
    "THEOREM_3_1",
    "at_length",
    "by_network",
    "draw_image",
    "draw_lengths",
    "draw_robust_error",
    "draw_shares",
    "draw_widths",
    "lost_at",
    "lost_by_width",
    "say_image",
]
