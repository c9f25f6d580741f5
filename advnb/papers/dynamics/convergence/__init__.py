"""How projected gradient descent gets there: Theorem 3.1 and Corollary 3.1 of Deng et al. (2020)."""

from advnb.papers.dynamics.convergence.claims import PAGE, conditions
from advnb.papers.dynamics.convergence.drawings import draw_decay, draw_rates, draw_shrinking
from advnb.papers.dynamics.convergence.trials import COROLLARY_3_1, THEOREM_3_1

__all__ = ["COROLLARY_3_1", "PAGE", "THEOREM_3_1", "conditions", "draw_decay", "draw_rates", "draw_shrinking"]
