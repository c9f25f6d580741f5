"""How long training stays lazy: when the networks of Figure 3 leave the ball of each C0, and can it be foreseen?"""

from advnb.papers.lazy.exits.claims import C0, PAGE
from advnb.papers.lazy.exits.drawings import cells, draw_forecasts, draw_late, draw_movement
from advnb.papers.lazy.exits.forecasts import foreseen_exits, reached, with_intervals
from advnb.papers.lazy.exits.late import LATE, LATE_TOYS
from advnb.papers.lazy.exits.trials import EXITS, STANDARDISED

__all__ = ["C0", "EXITS", "LATE", "LATE_TOYS", "PAGE", "STANDARDISED", "cells", "draw_forecasts", "draw_late",
           "draw_movement", "foreseen_exits", "reached", "with_intervals"]  # fmt: skip
