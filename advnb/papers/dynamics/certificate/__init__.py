"""One strongest adversary, proved: a certificate for Theorem 5.1 of Deng et al. (2020) that needs no sampling."""

from advnb.papers.dynamics.certificate.claims import PAGE, over_dimension, over_width
from advnb.papers.dynamics.certificate.drawings import draw_condition, draw_growth, draw_radii
from advnb.papers.dynamics.certificate.trials import CERTIFICATE

__all__ = ["CERTIFICATE", "PAGE", "draw_condition", "draw_growth", "draw_radii", "over_dimension", "over_width"]
