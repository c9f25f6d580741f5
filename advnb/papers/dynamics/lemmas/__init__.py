"""The lemmas of Deng et al. (2020), section 4 and appendix A, each beside what it bounds."""

from advnb.papers.dynamics.lemmas.claims import PAGE
from advnb.papers.dynamics.lemmas.drawings import (
    ALONG_A_TRAJECTORY,
    CONSTANTS_IN_WORDS,
    draw_bracket,
    draw_curvature,
    draw_needle,
    draw_profile,
    draw_sphere,
    draw_tangent_step,
)
from advnb.papers.dynamics.lemmas.quantities import forked
from advnb.papers.dynamics.lemmas.trials import CONSTANTS, STEP_LEMMAS, openings

__all__ = [
    "ALONG_A_TRAJECTORY",
    "CONSTANTS",
    "CONSTANTS_IN_WORDS",
    "PAGE",
    "STEP_LEMMAS",
    "draw_bracket",
    "draw_curvature",
    "draw_needle",
    "draw_profile",
    "draw_sphere",
    "draw_tangent_step",
    "forked",
    "openings",
]
