"""Wang, Ullah, Mianjy and Arora (NeurIPS 2022): networks trained in the lazy regime are flipped by one step.

``ball`` has the 2,infinity ball around the initial weights and ``sgd`` training that notices when it leaves it;
``task`` the two digits at each size, ``flips`` networks trained to each radius and flipped there, ``laws`` what their
tables follow. ``adversarial`` is Algorithm 1, ``projected`` its trial, ``transition`` the law of how robust it makes.

Each page has a module: ``one_step`` Theorem 3.1, ``smallest_step`` how its step is found, ``all_weights`` what resists
it, ``scaling`` Figures 2, 3, 5 and 6, ``deviations`` what those leave open and Figure 7, ``phase_transition`` Figure 4,
``algorithm_1`` its training, ``bounds`` and ``repairs`` the lemmas. Shared by them: ``ray`` draws f along one step,
``several`` takes several, ``spread`` says a mean over seeds.
"""

from advnb.papers.lazy.adversarial import Outcome, craft, robust_accuracy, train_projected
from advnb.papers.lazy.ball import largest_movement, movement, project
from advnb.papers.lazy.flips import by_radius
from advnb.papers.lazy.laws import movement_law, steps_to_reach
from advnb.papers.lazy.sgd import Exit, Trajectory, lazy_sgd
from advnb.papers.lazy.task import SIDES, digit_pair
from advnb.papers.lazy.transition import Transition, fit_transition

__all__ = [
    "SIDES",
    "Exit",
    "Outcome",
    "Trajectory",
    "Transition",
    "by_radius",
    "craft",
    "digit_pair",
    "fit_transition",
    "largest_movement",
    "lazy_sgd",
    "movement",
    "movement_law",
    "project",
    "robust_accuracy",
    "steps_to_reach",
    "train_projected",
]
