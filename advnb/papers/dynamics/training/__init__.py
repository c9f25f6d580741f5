"""The page ``dynamics/training``: Figure 3 of Deng et al., escapes along adversarial training.

``trials`` has the trial and its experiment, ``claims`` and ``drawings`` what the page shows; the network, the images
and their trajectories are in ``advnb.papers.dynamics.images``.
"""

from advnb.papers.dynamics.training import drawings
from advnb.papers.dynamics.training.claims import PAGE, SETTING, by_epoch, compared, learning

__all__ = ["PAGE", "SETTING", "by_epoch", "compared", "drawings", "learning"]
