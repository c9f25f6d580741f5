"""Theorem 1 of Wang et al. (2019) on problems whose constants are all known.

``problem`` has the family, ``trials`` declares its runs, ``claims`` judges them, ``drawings`` shows them.
"""

from advnb.papers.convergence.guarantee import drawings
from advnb.papers.convergence.guarantee.claims import PAGE
from advnb.papers.convergence.guarantee.problem import MinMax, draw_minmax
from advnb.papers.convergence.guarantee.trials import descend

__all__ = ["PAGE", "MinMax", "descend", "draw_minmax", "drawings"]
