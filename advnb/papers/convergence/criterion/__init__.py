"""FOSC: what equation (4) measures, and what it says of the strength of an attack (Wang et al. 2019, Figure 1).

``measures`` has what is looked at, ``trials`` declares its runs, ``claims`` judges them.
"""

from advnb.papers.convergence.criterion import measures, trials
from advnb.papers.convergence.criterion.claims import PAGE

__all__ = ["PAGE", "measures", "trials"]
