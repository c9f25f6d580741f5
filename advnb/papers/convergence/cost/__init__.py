"""Beyond the tables: the defences judged by AutoAttack, by what they cost, and a rule for c_max.

``trials`` declares its runs, ``claims`` judges them, ``drawings`` shows them.
"""

from advnb.papers.convergence.cost import drawings, trials
from advnb.papers.convergence.cost.claims import PAGE

__all__ = ["PAGE", "drawings", "trials"]
