"""Beyond the tables: the defences judged by AutoAttack, by what they cost, and a rule for c_max.

``trials`` declares its runs, ``claims`` judges them.
"""

from advnb.papers.convergence.cost import trials
from advnb.papers.convergence.cost.claims import PAGE

__all__ = ["PAGE", "trials"]
