"""How many inputs can weights of the ball resist at once, built against them and found by projected ascent."""

from advnb.papers.lazy.how_many.claims import PAGE, by_count, most, needed
from advnb.papers.lazy.how_many.drawings import draw_most, draw_needed
from advnb.papers.lazy.how_many.hide import ALL, FEW, hidden, left_over, vanishing
from advnb.papers.lazy.how_many.trials import HIDDEN, MANY

__all__ = [
    "ALL",
    "FEW",
    "HIDDEN",
    "MANY",
    "PAGE",
    "by_count",
    "draw_most",
    "draw_needed",
    "hidden",
    "left_over",
    "most",
    "needed",
    "vanishing",
]
