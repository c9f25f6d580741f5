"""How far "for all W" reaches: below 0.46 sqrt(d) one step flips all weights of the ball, above 0.58 sqrt(d) not."""

from advnb.papers.lazy.border.claims import PAGE
from advnb.papers.lazy.border.resist import ascend, resisting
from advnb.papers.lazy.border.threshold import thresholds
from advnb.papers.lazy.border.trials import RESIST

__all__ = ["PAGE", "RESIST", "ascend", "resisting", "thresholds"]
