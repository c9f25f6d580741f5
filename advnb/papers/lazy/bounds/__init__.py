"""The lemmas of Wang et al. (2022): ``printed`` bounds, ``mended`` ones, ``uniform`` for B.9, what is ``measured``.

The page's runs are in ``trials``, their reading in ``tables``, its claims and pictures in ``claims`` and ``drawings``.
"""

from advnb.papers.lazy.bounds import drawings, measured, mended, printed, uniform
from advnb.papers.lazy.bounds.claims import PAGE
from advnb.papers.lazy.bounds.tables import C0, at, at_paper, worst_cases

__all__ = ["C0", "PAGE", "at", "at_paper", "drawings", "measured", "mended", "printed", "uniform", "worst_cases"]
