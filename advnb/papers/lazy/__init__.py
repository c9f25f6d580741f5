"""Wang, Ullah, Mianjy and Arora (NeurIPS 2022): networks trained in the lazy regime are flipped by one step.

``ball`` has the 2,infinity ball around the initial weights and ``sgd`` training that notices when it leaves it;
``task`` the two digits at each size, ``flips`` networks trained to each radius and flipped there, ``laws`` what their
tables follow. ``adversarial`` is Algorithm 1, ``projected`` its trial, ``transition`` the law of how robust it makes.

Each page has a module: ``one_step`` Theorem 3.1, ``smallest_step`` how its step is found, ``all_weights`` what resists
it, ``scaling`` Figures 2, 3, 5 and 6, ``deviations`` what those leave open and Figure 7, ``phase_transition`` Figure 4,
``algorithm_1`` its training, ``bounds`` and ``repairs`` the lemmas. Shared by them: ``ray`` draws f along one step,
``several`` takes several, ``spread`` says a mean over seeds.
"""

from advnb.papers.lazy.sgd import lazy_sgd
from advnb.papers.lazy.task import digit_pair

__all__ = ["digit_pair", "lazy_sgd"]
