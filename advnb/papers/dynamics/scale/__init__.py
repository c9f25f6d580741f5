"""The page ``dynamics/scale``: do smaller inputs help? Figures 2 and 3 of Deng et al., section 5.1.

``trials`` has Figure 3, ``claims`` and ``drawings`` what the page shows; Figure 2, the network, the images and their
trajectories are in ``advnb.papers.dynamics.images``.
"""

from advnb.papers.dynamics.scale import drawings
from advnb.papers.dynamics.scale.claims import PAGE, by_epoch, paper_steps

__all__ = ["PAGE", "by_epoch", "drawings", "paper_steps"]
