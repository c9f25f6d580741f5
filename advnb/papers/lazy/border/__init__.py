"""How far "for all W" reaches: below 0.46 sqrt(d) one step flips all weights of the ball, above 0.58 sqrt(d) not."""

from advnb.papers.lazy.border.claims import PAGE, by_ratio, half
from advnb.papers.lazy.border.drawings import draw_construction, draw_held, draw_overview, overview
from advnb.papers.lazy.border.resist import LEANS, ascend, resisting
from advnb.papers.lazy.border.threshold import fall, lifted, most_resisting, thresholds
from advnb.papers.lazy.border.trials import RESIST

__all__ = [
    "LEANS",
    "PAGE",
    "RESIST",
    "ascend",
    "by_ratio",
    "draw_construction",
    "draw_held",
    "draw_overview",
    "fall",
    "half",
    "lifted",
    "most_resisting",
    "overview",
    "resisting",
    "thresholds",
]
