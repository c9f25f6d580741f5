"""Tables 1 to 3, Figures 4 and 5: the defences against each other.

``trials`` declares its runs, ``claims`` judges them, ``paper`` has the numbers that the paper prints.
"""

from advnb.papers.convergence.tables import trials
from advnb.papers.convergence.tables.claims import PAGE

__all__ = ["PAGE", "trials"]
