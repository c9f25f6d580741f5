"""Wang, Ullah, Mianjy and Arora (NeurIPS 2022): networks trained in the lazy regime are flipped by one step.

``ball`` has the 2,infinity ball around the initial weights and ``sgd`` training that notices when it leaves it;
``task`` the two digits at each size. ``bounds`` has the lemmas' bounds as printed, ``mended`` those with a broken step
mended, ``uniform`` Lemma B.9 by another proof, ``measured`` what they bound. ``adversarial`` is Algorithm 1.
``trials`` and ``runs`` hold the experiments of Figures 2, 3, 5, 6 and 7, ``transition`` those of Figure 4,
``bound_trials`` those of the lemmas; ``fits`` reads exponents, movement laws and thresholds from their tables.
"""

from advnb.papers.lazy.adversarial import Outcome, craft, robust_accuracy, train_projected
from advnb.papers.lazy.ball import largest_movement, movement, project
from advnb.papers.lazy.laws import fit_robust_radius, movement_law, robust_radius, steps_to_reach
from advnb.papers.lazy.scaling.tables import by_radius, exponents
from advnb.papers.lazy.sgd import Exit, Trajectory, lazy_sgd
from advnb.papers.lazy.task import SIDES, digit_pair

__all__ = [
    "SIDES",
    "Exit",
    "Outcome",
    "Trajectory",
    "by_radius",
    "craft",
    "digit_pair",
    "exponents",
    "fit_robust_radius",
    "largest_movement",
    "lazy_sgd",
    "movement",
    "movement_law",
    "project",
    "robust_accuracy",
    "robust_radius",
    "steps_to_reach",
    "train_projected",
]
