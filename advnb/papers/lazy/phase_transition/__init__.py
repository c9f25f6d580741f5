"""Where training against the attack stops helping: Figure 4 of Wang et al. (2022).

``trials`` declares its runs, ``claims`` judges them, ``drawings`` shows them; the surface that both panels are cuts
through is ``lazy.transition``.
"""

from advnb.papers.lazy.phase_transition import drawings, trials
from advnb.papers.lazy.phase_transition.claims import PAGE, at_the_edge, held_out

__all__ = ["PAGE", "at_the_edge", "drawings", "held_out", "trials"]
