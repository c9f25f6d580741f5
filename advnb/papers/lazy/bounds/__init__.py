"""The lemmas of Wang et al. (2022): ``printed`` bounds, ``mended`` ones, and what is ``measured``.

``uniform`` has this book's form of Lemma B.9 and what it makes of Theorem 3.1, ``chaining`` the chain behind it.

The page's runs are in ``trials``, their reading in ``tables``, its claims and pictures in ``claims`` and ``drawings``.
"""

from advnb.papers.lazy.bounds import drawings, measured, mended, printed, uniform
from advnb.papers.lazy.bounds.claims import PAGE
from advnb.papers.lazy.bounds.tables import C0, at, at_paper, worst_cases

__all__ = ["C0", "PAGE", "at", "at_paper", "drawings", "measured", "mended", "printed", "uniform", "worst_cases"]
