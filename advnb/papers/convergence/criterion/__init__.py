"""FOSC: what equation (4) measures (Wang et al. 2019, section 3.1).

``measures`` has what is looked at, ``trials`` declares the runs, of Figure 1 too, ``claims`` judges them.
"""

from advnb.papers.convergence.criterion import drawings, measures, trials
from advnb.papers.convergence.criterion.claims import PAGE

__all__ = ["PAGE", "drawings", "measures", "trials"]
