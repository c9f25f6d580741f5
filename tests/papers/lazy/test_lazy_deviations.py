"""What the figures leave open: the trial of Figure 7."""

import numpy as np

from advnb.experiments import live
from advnb.papers.lazy.deviations.trials import FIGURE_7


def test_histogram():
    row = live(FIGURE_7).iloc[0]
    assert len(row["norm"]) == len(row["eta"]) == 100 and row["reached"] and row["moved"] <= 5
    assert (np.diff(row["norm"]) >= 0).all()
    assert np.isfinite(row["gradient_norm"]).all()
