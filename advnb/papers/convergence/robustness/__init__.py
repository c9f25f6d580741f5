"""Figures 2 and 3 of Wang et al. (2019): training with other steps, and with FGSM first."""

from advnb.papers.convergence.robustness import claims, drawings, trials
from advnb.papers.convergence.robustness.claims import PAGE

__all__ = ["PAGE", "claims", "drawings", "trials"]
