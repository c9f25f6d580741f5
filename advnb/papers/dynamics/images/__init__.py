"""Escape from local maxima on images (Deng et al., section 5.1): what the pages ``scale`` and ``choices`` share.

A binary classifier has two logits and one signed margin m(x') = y (z_1 - z_0), with y = +1 for odd digits and -1
for even ones. The objective that projected gradient descent minimises over ||x' - x|| <= eps is L = sign * l(m):
``"minus"`` is section 3 (L = -l, so a local maximum of L is the *weakest* adversary, with a loss near zero), and
``"plus"`` is L = +l (a local maximum is the *strongest* adversary, as in appendix A). A trajectory starts at a
local maximum of L and runs downhill; how long it takes to leave is the question.

What the paper leaves open is a named parameter here: the sign (``convention``), the loss, what an input scale is
(``units``), the version of the CNN (``version``), how the start is found (``climb``) and the step (``step``).

``scene`` draws the network and the images, ``steps`` has the trajectories and the escape times, ``maximum`` the check
of a local maximum, ``escape`` the trial made of them with its experiments, and ``tables`` reads what is stored.
"""

from advnb.papers.dynamics.images.escape import CONSTANT, FIG2, FIG2_SIGN, RATIOS, RELATIVE, SCALES, SETTLED, start_from
from advnb.papers.dynamics.images.maximum import Maximum, local_maximum
from advnb.papers.dynamics.images.scene import Scene, draw_scene
from advnb.papers.dynamics.images.steps import escape_steps, predicted_steps, travel
from advnb.papers.dynamics.images.tables import (
    NAMES,
    by_image,
    by_network,
    escapes,
    medians,
    nearest,
    per_image,
    percent,
    pick,
    spread,
)

__all__ = ["CONSTANT", "FIG2", "FIG2_SIGN", "NAMES", "RATIOS", "RELATIVE", "SCALES", "SETTLED", "Maximum", "Scene",
           "by_image", "by_network", "draw_scene", "escape_steps", "escapes", "local_maximum", "medians", "nearest",
           "per_image", "percent", "pick", "predicted_steps", "spread", "start_from", "travel"]  # fmt: skip
