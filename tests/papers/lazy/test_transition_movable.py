"""What the transition that can be moved is given: the book's law, its thresholds and the trials behind them."""

import numpy as np
from matplotlib.figure import Figure

from advnb.experiments import load
from advnb.papers.lazy.phase_transition import movable
from advnb.papers.lazy.transition import STORED, edge_law, surface
from advnb.statistics import thresholds


def test_the_law_is_the_one_that_the_page_fits():
    assert movable.numbers()["law"] == edge_law(surface(*map(load, STORED)))._asdict()


def test_each_threshold_follows_from_the_trials_behind_it():
    for point, part in movable.behind(movable.stored())[::7]:
        along = "c0" if point["panel"] == "right" else "budget"
        again = thresholds(part, along, ["d"], level=0.5, field="worst")
        assert len(again) == 1 and np.isclose(again[along].iloc[0], point[along])


def test_every_point_has_its_table_of_trials():
    pages, points = movable.pages(), movable.numbers()["points"]
    for point in points:
        file, _, anchor = point["trials"].partition("#")
        assert f'id="{anchor}"' in pages[file]
    assert len({point["trials"] for point in points}) == len(points)


def test_the_frame_shows_the_law_and_all_thresholds():
    ax = Figure().subplots()
    movable.draw_frame(ax)
    drawn = sum(len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None")
    assert drawn == len(movable.measured(movable.stored()))
