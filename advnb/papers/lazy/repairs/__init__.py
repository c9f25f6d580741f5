"""What a specialist looks up: the lemmas of appendix B one by one, their constants, and the steps that were mended."""

from advnb.papers.lazy.repairs import drawings
from advnb.papers.lazy.repairs.claims import PAGE

__all__ = ["PAGE", "drawings"]
