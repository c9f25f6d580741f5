"""Algorithm 1 of Wang et al. (2019), Dynamic: where each example's steps go, and the ablations."""

from advnb.papers.convergence.dynamic import claims, drawings, trials
from advnb.papers.convergence.dynamic.claims import PAGE

__all__ = ["PAGE", "claims", "drawings", "trials"]
