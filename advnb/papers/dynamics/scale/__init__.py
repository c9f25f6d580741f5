"""Question 2 on images: escape from local maxima against input scale (Deng et al., section 5.1, Figures 2 and 3).

A binary classifier has two logits and one signed margin m(x') = y (z_1 - z_0), with y = +1 for odd digits and -1
for even ones. The objective that projected gradient descent minimises over ||x' - x|| <= eps is L = sign * l(m):
``"minus"`` is section 3 (L = -l, so a local maximum of L is the *weakest* adversary, with a loss near zero), and
``"plus"`` is L = +l (a local maximum is the *strongest* adversary, as in appendix A). A trajectory starts at a
local maximum of L and runs downhill; how long it takes to leave is the question.

What the paper leaves open is a named parameter here: the sign (``convention``), the loss, what an input scale is
(``units``), the version of the CNN (``version``), how the start is found (``climb``) and the step (``step``).

``scene`` draws the network and the images, ``steps`` has the trajectories and the escape times, ``maximum`` the check
of a local maximum; ``escape``, ``precision`` and ``training`` hold the trials, ``runs`` the experiments made of them.
"""

from advnb.papers.dynamics.scale.escape import (
    SETTLE,
    SHARES,
    STEPS,
    per_image,
    run_escape,
    shown_steps,
    start_from,
)
from advnb.papers.dynamics.scale.maximum import Maximum, local_maximum
from advnb.papers.dynamics.scale.runs import FIG2, FIG2_CHOICES, FIG2_PRECISION, FIG3, RATIOS, RUNS, SCALES
from advnb.papers.dynamics.scale.scene import (
    Scene,
    at_scale,
    class_index,
    classifier,
    draw_scene,
    parity,
    signed_margin,
)
from advnb.papers.dynamics.scale.steps import (
    LEARNING_RATE,
    RELATIVE_STEP,
    RULES,
    cross_entropy_steps,
    escape_steps,
    linear_steps,
    predicted_steps,
    shrinking,
    travel,
)

__all__ = [
    "FIG2",
    "FIG2_CHOICES",
    "FIG2_PRECISION",
    "FIG3",
    "LEARNING_RATE",
    "RATIOS",
    "RELATIVE_STEP",
    "RULES",
    "RUNS",
    "SCALES",
    "SETTLE",
    "SHARES",
    "STEPS",
    "Maximum",
    "Scene",
    "at_scale",
    "class_index",
    "classifier",
    "cross_entropy_steps",
    "draw_scene",
    "escape_steps",
    "linear_steps",
    "local_maximum",
    "parity",
    "per_image",
    "predicted_steps",
    "run_escape",
    "shown_steps",
    "shrinking",
    "signed_margin",
    "start_from",
    "travel",
]
