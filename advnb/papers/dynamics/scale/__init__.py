"""The page ``dynamics/scale``: do smaller inputs help? Figure 2 of Deng et al., section 5.1.

``claims`` and ``drawings`` have what the page shows; the network, the images and their trajectories are in
``advnb.papers.dynamics.images``, Figure 3 in ``advnb.papers.dynamics.training``.
"""

from advnb.papers.dynamics.scale import drawings
from advnb.papers.dynamics.scale.claims import PAGE, paper_steps

__all__ = ["PAGE", "drawings", "paper_steps"]
