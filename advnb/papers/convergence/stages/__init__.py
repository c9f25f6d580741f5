"""Figure 5: FOSC over the epochs of the three defences, on the runs of ``tables``.

``claims`` judges it, ``drawings`` shows it.
"""

from advnb.papers.convergence.stages import drawings
from advnb.papers.convergence.stages.claims import PAGE

__all__ = ["PAGE", "drawings"]
