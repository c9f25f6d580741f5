"""Whether FOSC is a measure of strength: Figure 1 of Wang et al. (2019).

``claims`` and ``drawings`` read the runs that ``convergence.criterion`` declares.
"""

from advnb.papers.convergence.strength import drawings
from advnb.papers.convergence.strength.claims import PAGE

__all__ = ["PAGE", "drawings"]
