"""Algorithm 1 of Wang et al. (2022): its variants, its slips, which attack can judge it, and training that goes free.

``trials`` declares its runs, ``claims`` judges them, ``drawings`` shows them; the algorithm is ``lazy.adversarial``.
"""

from advnb.papers.lazy.algorithm_1 import drawings
from advnb.papers.lazy.algorithm_1.claims import PAGE, variants
from advnb.papers.lazy.algorithm_1.trials import LINE_4, MASKING, on_digits

__all__ = ["LINE_4", "MASKING", "PAGE", "drawings", "on_digits", "variants"]
