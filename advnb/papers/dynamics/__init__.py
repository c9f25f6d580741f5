"""Deng, He, Huang and Su (ICML 2020): how projected gradient ascent finds an adversary.

``problem`` has the adversary's objective and its closed-form derivatives, ``circle`` the exact count of its
minima for d = 2, ``bounds`` what is proved of the network's derivatives on the whole ball, ``sphere`` Newton's
method and counting for d > 2, ``descent`` the paper's projected gradient iteration, ``lemmas`` the quantities
that the lemmas speak of. Each page has a module of its name with its trials, claims and drawings.
"""

from advnb.papers.dynamics.bounds import BallBounds, ball_bounds, certified_radius, expand, optimised, proved_extrema
from advnb.papers.dynamics.circle import CirclePoints, at_angle, circle_points, count_minima
from advnb.papers.dynamics.descent import Path, pgd, schedule_condition, shrinking
from advnb.papers.dynamics.lemmas.quantities import (
    chord_terms,
    mended_bound,
    printed_bound,
    projection_error,
    uncrossed,
)
from advnb.papers.dynamics.losses import SCALAR_LOSSES, ScalarLoss
from advnb.papers.dynamics.problem import (
    CONVENTIONS,
    Problem,
    cosine,
    draw,
    from_net,
    in_ball,
    normal_part,
    on_sphere,
    stack,
    tangent_basis,
    tangent_part,
)
from advnb.papers.dynamics.sphere import Census, SpherePoints, critical_points, descend_sphere, minima, newton
from advnb.statistics import Exponent, exponent, wilson

__all__ = [
    "CONVENTIONS",
    "SCALAR_LOSSES",
    "BallBounds",
    "Census",
    "CirclePoints",
    "Exponent",
    "Path",
    "Problem",
    "ScalarLoss",
    "SpherePoints",
    "at_angle",
    "ball_bounds",
    "certified_radius",
    "chord_terms",
    "circle_points",
    "cosine",
    "count_minima",
    "critical_points",
    "descend_sphere",
    "draw",
    "expand",
    "exponent",
    "from_net",
    "in_ball",
    "mended_bound",
    "minima",
    "newton",
    "normal_part",
    "on_sphere",
    "optimised",
    "pgd",
    "printed_bound",
    "projection_error",
    "proved_extrema",
    "schedule_condition",
    "shrinking",
    "stack",
    "tangent_basis",
    "tangent_part",
    "uncrossed",
    "wilson",
]
