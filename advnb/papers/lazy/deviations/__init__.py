"""What section 5 of Wang et al. (2022) leaves open, what the released code does differently, and Figure 7."""

from advnb.papers.lazy.deviations.claims import PAGE, reach, shapes, trained
from advnb.papers.lazy.deviations.drawings import draw_histograms, draw_kept, draw_paths

__all__ = ["PAGE", "draw_histograms", "draw_kept", "draw_paths", "reach", "shapes", "trained"]
