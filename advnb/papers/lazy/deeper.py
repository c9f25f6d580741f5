"""Two hidden layers: whether one step flips them after training, in the lazy regime and far from it.

f(x) = m^{-1/2} a^T relu(m^{-1/2} W_2 relu(W_1 x)) with Gaussian W_1 (m, d) and W_2 (m, m), signs a fixed; Theorem 3.1
speaks of one hidden layer, and the paper's conclusion asks for more.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn
from torch.nn.functional import softplus

from advnb import checks
from advnb.book import figures
from advnb.book.claims import Numbers, Page
from advnb.book.rounding import about, interval
from advnb.data import Split
from advnb.experiments import Experiment, Tolerance, unroll
from advnb.papers.lazy.drawings import ticks
from advnb.papers.lazy.task import digit_pair
from advnb.statistics import exponent

PAGE = Page("lazy/deeper", title="Three layers")

NETS = ("start", "lazy", "far")
"""The network before training, after few steps at a small rate, and after many at a large one."""

ON_THE_RAY = 200
"""Points on the ray downhill up to ||x||."""

REACH = 8.0
"""A step of this many ||x|| / sqrt(d) is asked to flip nine images in ten; 5 is the paper's number for two layers."""


class ThreeLayer(nn.Module):
    """The network of this page, reproducible from ``generator``; both weight matrices are trained."""

    signs: Tensor

    def __init__(self, d: int, m: int, generator: torch.Generator, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.m = checks.count("m", m)
        self.first = nn.Parameter(torch.randn(m, checks.count("d", d), generator=generator, dtype=dtype))
        self.second = nn.Parameter(torch.randn(m, m, generator=generator, dtype=dtype))
        self.register_buffer("signs", (torch.randint(2, (m,), generator=generator) * 2 - 1).to(self.first.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), for rows ``x`` (n, d)."""
        return ((x @ self.first.T).relu() @ self.second.T / self.m**0.5).relu() @ self.signs / self.m**0.5


def first_flip(net: nn.Module, x: Tensor) -> Tensor:
    """Return the length of the first flip on the ray downhill from each row of ``x`` (n, d) of norm 1; at most 1.

    The ray is looked at on a grid, and the zero placed between its points by a straight line.
    """
    x = x.detach().requires_grad_()
    f = net(x)
    (gradient,) = torch.autograd.grad(f.sum(), x)
    with torch.no_grad():
        down = -f.sign()[:, None] * gradient / torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        line = torch.linspace(0, 1, ON_THE_RAY + 1, dtype=x.dtype, device=x.device)
        values = torch.stack([net(x + t * down) for t in line], 1) * f.sign()[:, None]
        end = (values < 0).int().argmax(1)
        low, high = (values.gather(1, k[:, None])[:, 0] for k in ((end - 1).clamp_min(0), end))
        place = (end - high.abs() / (low - high).clamp_min(torch.finfo(x.dtype).tiny)) / ON_THE_RAY
        return torch.where((values < 0).any(1), place, torch.ones_like(place))


def train(net: nn.Module, split: Split, *, steps: int, lr: float, generator: torch.Generator, batch: int = 64) -> None:
    """Train by SGD on the mean logistic loss of batches drawn with replacement, in place."""
    parameters = list(net.parameters())
    for _ in range(steps):
        rows = torch.randint(len(split), (batch,), generator=generator)
        loss = softplus(-split.y[rows] * net(split.x[rows])).mean()
        with torch.no_grad():
            for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.sub_(slope, alpha=lr)


def flips(
    *, data: str, side: int, m: int, lazy: list[float], far: list[float], tests: int, seed: int, device: str,
    dtype: torch.dtype,
) -> Numbers:  # fmt: skip
    """Trial: the first flip downhill of ``tests`` test images of zeros and ones, at the networks of ``NETS``.

    ``lazy`` and ``far`` are (steps, learning rate). Each field has an entry a network: ``error`` on the test set,
    ``moved`` and ``moved_second`` the largest movement of a row of W_1 and W_2 times sqrt(m), ``length`` and
    ``length_nine`` the median and the 0.9 quantile of the flip times sqrt(d), ``reached`` the share within ``REACH``.
    """
    both = digit_pair(data, side, "unit").to(device, dtype)
    shown = both.test.subset(min(tests, len(both.test)), seed=seed)
    rows: dict[str, list[float]] = {}
    for steps, lr in ((0, 0.0), lazy, far):
        generator = torch.Generator().manual_seed(seed)
        net = ThreeLayer(side * side, m, generator, dtype).to(device)
        start = [parameter.detach().clone() for parameter in net.parameters()]
        train(net, both.train, steps=int(steps), lr=lr, generator=generator)
        length = first_flip(net, shown.x) * side
        moved = [float((now.detach() - then).norm(dim=1).max()) * m**0.5
                 for now, then in zip(net.parameters(), start, strict=True)]  # fmt: skip
        with torch.no_grad():
            error = float((net(both.test.x) * both.test.y <= 0).double().mean())
        found = {
            "error": error, "moved": moved[0], "moved_second": moved[1], "length": float(length.median()),
            "length_nine": float(length.quantile(0.9)), "reached": float((length <= REACH).double().mean()),
        }  # fmt: skip
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
    return rows


THREE_LAYERS = Experiment(
    "lazy.three_layers",
    flips,
    {
        "live": {"data": "digits", "side": 4, "m": 50, "lazy": [[20, 0.1]], "far": [[50, 1.0]], "tests": 20},
        "laptop": {"data": "mnist", "side": [5, 10, 20, 28], "m": 300, "lazy": [[600, 0.1]], "far": [[1500, 1.0]],
                   "tests": 100},
    },
    {"live": 2, "laptop": 6},
    tolerance=Tolerance(rtol=0.1, atol=0.05),  # float32 numbers after 1,500 steps
)  # fmt: skip
"""Networks with two hidden layers, before and after training, flipped by one step downhill."""

FIELDS = ("error", "moved", "moved_second", "length", "length_nine", "reached")


def by_net(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial and network, named in ``net``, with d = side^2."""
    named = table.assign(
        net=pd.Series([list(NETS)] * len(table), index=table.index, dtype=object), d=(table["side"] ** 2).astype(float)
    )
    return unroll(named, ["net", *FIELDS])


def measured(stored: pd.DataFrame, net: str) -> tuple[str, Numbers]:
    """Give the exponent in d of the median flip of a network of ``NETS``, and the least share flipped in ``REACH``."""
    rows = by_net(stored)
    rows = rows[rows["net"] == net].assign(relative=rows["length"] / np.sqrt(rows["d"]))
    fit, reached = exponent(rows, "d", "relative", "seed"), rows.groupby("d")["reached"].mean().min()
    text = (
        f"d from 25 to 784: median length ~ d^{about(fit.value)} {interval(fit.low, fit.high)}; a step of 8/√d flips "
        f"{about(100 * reached)}% or more of the images; units move by up to {about(rows['moved'].mean())}/√m, test "
        f"error {about(100 * rows['error'].mean())}%"
    )
    return text, {"slope": fit.value, "reached": reached}


@PAGE.claim(
    "theorem-3.1.three-layers",
    statement="Theorem 3.1 (three layers, lazy)",
    says="(not in the paper) networks with two hidden layers, too, are flipped by one step of length O(1/√d) after "
    "training that moves them little",
    evidence="lazy.three_layers",
    holds=lambda slope, reached: slope < -0.3 and reached > 0.9,
    verdict="reproduced",
)
def three_layers_lazy(stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Judge the networks after few steps at a small rate."""
    return measured(stored, "lazy")


@PAGE.claim(
    "theorem-3.1.three-layers-far",
    statement="Theorem 3.1 (three layers, far)",
    says="(not in the paper) the same holds after training that is not restrained",
    evidence="lazy.three_layers",
    holds=lambda slope: slope > -0.3,
    verdict="not reproduced",
    why="far from the start the length hardly falls with d, as for two layers where C0 is large against √d. Two pilot "
    "runs had been seen when the condition was set, which then had a second alternative, flips within 8/√d",
)
def three_layers_far(stored: pd.DataFrame) -> tuple[str, Numbers]:
    """Judge the networks after many steps at a large rate."""
    text, numbers = measured(stored, "far")
    return text, {"slope": numbers["slope"]}


def draw_lengths(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the median flip times sqrt(d) against d for each network, its 0.9 quantile dotted; from ``by_net``."""
    for k, name in enumerate(NETS):
        part = rows[rows["net"] == name].groupby("d")[["length", "length_nine"]].mean()
        ax.semilogx(part.index, part["length"], "o-", color=figures.CYCLE[k], label=name)
        ax.semilogx(part.index, part["length_nine"], ":", color=figures.CYCLE[k])
    dims = np.array([25.0, 784.0])
    ax.semilogx(dims, np.sqrt(dims), **(figures.line("paper") | {"marker": ""}))
    ax.set(xlabel="dimension d", ylabel="flip times √d, in ‖x‖", ylim=(0, 12))
    ticks(ax.xaxis, sorted(rows["d"].unique()))
    ax.legend()
