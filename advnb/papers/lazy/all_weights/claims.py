"""The claims of Theorem 3.1 and Figure 1 about all weights of the ball, and of the cone over it."""

from __future__ import annotations

import pandas as pd

from advnb.book.claims import Numbers, Page
from advnb.book.rounding import about, at_most
from advnb.experiments import unroll
from advnb.papers.lazy.all_weights.tables import by_c0, by_scale, level, on_the_grid
from advnb.papers.lazy.spread import mean_over_seeds

PAGE = Page("lazy/all_weights", title="For all weights")


@PAGE.claim(
    "theorem-3.1.all-weights",
    says="the step flips simultaneously for all W within C0/√m of the start, with constants independent of d and m",
    evidence="lazy.worst_weights",
    holds=lambda most, held_far, held_near: most < 2 and held_far == 0 and held_near > 0.5,
    verdict="reproduced in part",
    why="true with C2 growing with C0, below a fixed share of √d, which the page on the border proves; at the paper's "
    "own sizes C0 is often above it. Weights were built at ten angles a point, so the longest step is at least this. "
    "The condition was set anew after the run, from the statement: bounded far from the border, failures near it",
)
def all_weights(stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Give the longest minimal step far inside of C0 = sqrt(d), and how often there is none beyond it."""
    worst = by_c0(stored)
    far, near = worst[worst["ratio"] <= 0.36], worst[(worst["ratio"] >= 1) & (worst["ratio"] <= 2)]
    ratio = far["worst"] / level(far["c0"])
    excess, single = ratio.groupby([far["d"], far["c0"], far["m"]]).mean(), ratio.max()
    stuck = float((on_the_grid(worst) > 0.95).to_numpy().mean())
    text = (
        f"for C0 ≤ 0.36√d the longest minimal step found is {about(excess.median())} times (0.8 + C0/√2)/√d in the "
        f"median, {at_most(excess.max(), 0.1)} times in the mean of a cell and {at_most(single, 0.5)} times at a "
        f"single point; for C0 between √d and 2√d no step along the gradient shorter than ‖x‖ flips, at "
        f"{mean_over_seeds(near.assign(percent=100 * near['held']), 'percent')}% of x; in "
        f"{about(100 * stuck, 1)}% of the paper's grid of d and C0 the longest step found is about ‖x‖"
    )
    return text, {"most": excess.max(), "held_far": far["held"].max(), "held_near": near["held"].mean()}


@PAGE.claim(
    "figure-1.cone",
    says="the theorem holds in the cone over the ball, beyond the lazy regime",
    evidence=("lazy.outside", "lazy.cone"),
    holds=lambda same, norm, eta, left: same > 0.999 and norm < 1e-9 and eta < 1e-9 and left > 0.9,
    verdict="reproduced in part",
    why="scaling the weights changes no prediction, exactly, without biases. But the cone frees the length of "
    "W and nothing else, and training does not lengthen W: the networks that leave a ball leave its cone with it",
)
def cone(trained: pd.DataFrame, stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Scale trained networks, and give the cone that those are in which have left the ball."""
    rows, scaled = unroll(trained, ["moved", "cone"]), by_scale(stored)
    left = rows["cone"] / rows["moved"]
    text = (
        f"r from 1e-3 to 1e3: {about(100 * scaled['same'].min(), 3)}% of predictions stay, flips agree to better than "
        f"1e-9; networks trained {about(rows['moved'].min())} to {about(rows['moved'].max())} far (in 1/√m) are in the "
        f"cone of C0 = {about(left.min())} to {about(left.max())} times that and in no smaller one"
    )
    numbers = {"same": scaled["same"].min(), "norm": scaled["norm"].max(), "eta": scaled["eta"].max()}
    return text, {**numbers, "left": left.min()}
