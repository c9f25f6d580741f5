"""Tables 1 to 3 and Figure 4: the defences against each other.

``trials`` declares its runs, ``claims`` judges them, ``drawings`` shows them; ``paper`` has what the paper prints.
"""

from advnb.papers.convergence.tables import drawings, trials
from advnb.papers.convergence.tables.claims import PAGE

__all__ = ["PAGE", "drawings", "trials"]
