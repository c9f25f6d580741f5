"""How long training stays lazy: when the networks of Figure 3 leave the ball of each C0, and can it be foreseen?"""

from advnb.papers.lazy.exits.claims import PAGE
from advnb.papers.lazy.exits.trials import EXITS, STANDARDISED

__all__ = ["EXITS", "PAGE", "STANDARDISED"]
