"""Trials of Theorem 1, Lemmas 1 and 2, and Assumption 2 of Wang et al. (2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advnb.balls import Linf
from advnb.data import load
from advnb.experiments import Experiment, Tolerance
from advnb.gradients import frozen, loss_and_gradient
from advnb.models import digits_cnn
from advnb.papers.convergence.guarantee.problem import MinMax, draw_minmax
from advnb.training import Standard, fit

Numbers = dict[str, Any]
Array = NDArray[np.float64]

START = 3.0
"""The length of theta_0."""


def descend(problem: MinMax, theta: Array, T: int, eta: float, delta: float, generator: np.random.Generator) -> Array:
    """Return ||grad L_S||^2 at theta_0 .. theta_{T-1}, (T, runs), in Algorithm 1's outer loop, one example a batch.

    ``theta`` (runs, p) holds the starts. Each inner problem is left at FOSC = ``delta``, in the direction in which the
    error of the gradient opposes it.
    """
    squares = np.empty((T, len(theta)))
    for t in range(T):
        gradient = problem.gradient(theta)
        squares[t] = (gradient**2).sum(-1)
        u = problem.approximate(theta, delta, -gradient @ problem.B.T)
        theta = theta - eta * problem.gradient(theta, u, generator.integers(len(problem.b), size=len(theta)))
    return squares


def theorem_1(
    *, T: int, noise: float, delta: float, seed: int, device: str, repeats: int = 5, p: int = 8, d: int = 16
) -> Numbers:
    """Trial: the left side of Theorem 1, averaged over ``repeats`` descents, and both bounds.

    ``average`` is (1/T) sum ||grad L_S||^2; ``last`` the same over the last tenth of the steps; ``floor`` is
    L_tx^2 delta / mu.
    """
    problem = draw_minmax(p=p, d=d, n=20, mu=1.0, eps=0.5, noise=noise, seed=seed)
    generator = np.random.default_rng(seed)
    direction = generator.normal(size=p)
    theta = START * direction / np.linalg.norm(direction)
    gap = problem.value(theta) - problem.least()
    eta = problem.step_size(T, gap)
    squares = descend(problem, np.tile(theta, (repeats, 1)), T, eta, delta, generator)
    return {
        "average": float(squares.mean()),
        "last": float(squares[-max(1, T // 10) :].mean()),
        "printed": problem.printed_bound(T, gap, delta),
        "mended": problem.mended_bound(T, gap, delta),
        "floor": problem.coupling**2 * delta / problem.mu,
        "gap": gap,
        "sigma": problem.sigma,
        "smoothness": problem.smoothness,
    }


def lemmas(*, delta: float, seed: int, device: str, pairs: int = 200, p: int = 8, d: int = 16) -> Numbers:
    """Trial: the largest left over right side of Lemma 1 and of Lemma 2, over random points and directions."""
    problem = draw_minmax(p=p, d=d, n=20, mu=1.0, eps=0.5, noise=0.0, seed=seed)
    generator = np.random.default_rng(seed)
    smooth, bias = [], []
    for _ in range(pairs):
        one = generator.normal(size=p) * 10 ** generator.uniform(-2, 1)
        other = one + generator.normal(size=p) * 10 ** generator.uniform(-4, 1)
        difference = np.linalg.norm(problem.gradient(one) - problem.gradient(other))
        smooth.append(float(difference / (problem.smoothness * np.linalg.norm(one - other))))
        u = problem.approximate(one, delta, generator.normal(size=d))
        error = np.linalg.norm(problem.gradient(one, u) - problem.gradient(one))
        fosc = max(float(problem.fosc(one, u)), np.finfo(float).tiny)  # 0 where u could not leave the maximiser
        bias.append(float(error / (problem.coupling * np.sqrt(fosc / problem.mu))))
    return {"lemma_1": max(smooth), "lemma_2": max(bias)}


def touching(*, delta: float, seed: int, device: str, T: int = 2000) -> Numbers:
    """Trial: a problem in one dimension whose descent stops where the bias of Lemma 2 is as large as it can be.

    At the limit the maximiser touches the end of the box with a zero gradient, so that FOSC = mu ||x - x*||^2 and the
    gradient of L_S is L_tx sqrt(delta / mu). ``ratio`` is ||grad L_S||^2 there over L_tx^2 delta / mu.
    """
    rng = np.random.default_rng(seed)
    a, mu, eps = rng.uniform(0.5, 1.0), rng.uniform(0.5, 2.0), rng.uniform(0.5, 1.0)
    bias = np.sqrt(delta / mu)
    limit = -mu * eps  # B = 1: the maximiser theta / mu is at -eps there
    b = -a * limit - (bias - eps)  # the biased gradient vanishes at the limit
    problem = MinMax(np.array([[a]]), np.ones((1, 1)), np.array([[b]]), mu, eps)
    theta = np.array([limit + 0.5])
    for _ in range(T):
        u = problem.approximate(theta, delta, np.ones(1))
        theta = theta - problem.gradient(theta, u) / problem.smoothness
    gradient = problem.gradient(theta)
    return {"ratio": float(gradient @ gradient / (delta / mu)), "missed": float(abs(theta[0] - limit))}


def several_maxima(*, seed: int, device: str, T: int = 2000) -> Numbers:
    """Trial: what FOSC = 0 is worth without strong concavity, in one dimension.

    f = a theta^2 / 2 - c theta + theta u + u^2 / 2 with |u| <= eps is convex in u. For theta > 0 its maximum is at
    u = eps, but u = -eps has FOSC 0 too while theta <= eps. With a >= (c + eps) / eps and c > eps, descent with that
    corner stays at theta = (c + eps) / a, where grad L_S = 2 eps; ``ratio`` is |grad L_S| at the end over 2 eps,
    ``fosc`` the criterion there, and ``exact`` is |grad L_S| where descent with the maximiser ends.
    """
    rng = np.random.default_rng(seed)
    eps = rng.uniform(0.1, 1.0)
    c = eps * rng.uniform(1.1, 2.0)
    a = (c + eps) / eps * rng.uniform(1.0, 2.0)

    def end(theta: float, *, exact: bool) -> tuple[float, float]:
        for _ in range(T):
            u = eps if exact or theta > eps else -eps
            theta -= (a * theta - c + u) / (2 * a)
        return theta, u

    theta, u = end(0.1 * eps, exact=False)
    slope = theta + u
    best, _ = end(0.1 * eps, exact=True)
    return {
        "fosc": eps * abs(slope) - u * slope,
        "ratio": abs(a * theta - c + eps) / (2 * eps),
        "exact": abs(a * best - c + eps),
    }


def digits_network(defence: str, eps: float, epochs: int, seed: int, device: str) -> tuple[nn.Module, torch.Generator]:
    """Return a digits CNN in float64, at its start ("none") or after PGD training ("standard"), and its generator."""
    generator = torch.Generator().manual_seed(seed)
    model = digits_cnn(generator=generator).to(device)
    if defence != "none":
        unfolded = Standard(Linf(eps), fold=False)
        fit(model, load("digits").to(device), unfolded, epochs=epochs, lr=0.05, seed=seed, progress=False)
    return model.double().eval(), generator


def pairs_in_ball(eps: float, pairs: int, generator: torch.Generator, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return two random points of the ball around each of ``pairs`` random test digits, and the labels."""
    test = load("digits").to(device).test
    rows = torch.randint(len(test.x), (pairs,), generator=generator).to(device)
    one, two = (Linf(eps).sample(test.x[rows].double(), generator=generator) for _ in range(2))
    return one, two, test.y[rows]


def concavity(*, defence: str, eps: float, seed: int, device: str, epochs: int = 10, pairs: int = 2000) -> Numbers:
    """Trial: Assumption 2 on a digits CNN: the share of pairs in the ball at which even concavity (mu = 0) fails.

    For random x_1, x_2 in the ball around a test digit the loss at x_1 must not exceed its tangent plane at x_2.
    ``flat`` is the share of pairs at which both sides agree to rounding.
    """
    model, generator = digits_network(defence, eps, epochs, seed, device)
    one, two, y = pairs_in_ball(eps, pairs, generator, device)
    with frozen(model):
        above, _, _ = loss_and_gradient(model, one, y)
        value, slope, _ = loss_and_gradient(model, two, y)
    excess = above - value - (slope * (one - two)).flatten(1).sum(1)
    size = torch.finfo(one.dtype).eps * 100 * (1 + above.abs())
    return {"broken": float((excess > size).double().mean()), "flat": float((excess.abs() <= size).double().mean())}


def weight_gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of the cross entropy at one image (c, h, w) in all weights, as one vector."""
    loss = torch.nn.functional.cross_entropy(model(x[None]), y[None])
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def kinks(
    *, defence: str, distance: float, seed: int, device: str, eps: float = 0.15, epochs: int = 10, pairs: int = 300
) -> Numbers:
    """Trial: Assumption 1 on a digits CNN: the largest ||grad_theta f(x) - grad_theta f(x')|| over ||x - x'||.

    The pairs are random in the ball, brought together until x' is ``distance`` times as far from x as it was.
    """
    model, generator = digits_network(defence, eps, epochs, seed, device)
    one, two, labels = pairs_in_ball(eps, pairs, generator, device)
    two = one + distance * (two - one)
    steep = [
        float((weight_gradient(model, x, y) - weight_gradient(model, z, y)).norm() / (x - z).norm())
        for x, z, y in zip(one, two, labels, strict=True)
    ]
    return {"steepest": max(steep), "median": float(np.median(steep))}


def jumps(
    *, defence: str, seed: int, device: str, eps: float = 0.15, epochs: int = 10, pairs: int = 50, halvings: int = 20
) -> Numbers:
    """Trial: as ``kinks``, but looking for them: of each pair's segment the half with the larger change is kept.

    ``steepest`` is the largest quotient over the pairs after 0 .. ``halvings`` halvings.
    """
    model, generator = digits_network(defence, eps, epochs, seed, device)
    found = np.empty((pairs, halvings + 1))
    for row, (x, z, y) in enumerate(zip(*pairs_in_ball(eps, pairs, generator, device), strict=True)):
        first, last = weight_gradient(model, x, y), weight_gradient(model, z, y)
        for k in range(halvings + 1):
            found[row, k] = float((first - last).norm() / (x - z).norm())
            middle = (x + z) / 2
            between = weight_gradient(model, middle, y)
            if (first - between).norm() > (between - last).norm():
                z, last = middle, between
            else:
                x, first = middle, between
    return {"steepest": found.max(0)}


EXACT = Tolerance(rtol=1e-6, atol=1e-9)

THEOREM_1 = Experiment(
    "convergence.theorem_1",
    theorem_1,
    {
        "live": {"T": [10, 100, 1000], "noise": [0.0, 0.3], "delta": [0.0, 0.01]},
        "laptop": {"T": [10, 30, 100, 300, 1000, 3000], "noise": [0.0, 0.1, 0.3, 1.0],
                   "delta": [0.0, 1e-4, 1e-2]},
    },
    {"live": 2, "laptop": 10},
    dtype="float64",
    devices=("cpu",),
    tolerance=EXACT,
)  # fmt: skip

LEMMAS = Experiment(
    "convergence.lemmas",
    lemmas,
    {"live": {"delta": [1e-4, 1e-2, 1.0]}, "laptop": {"delta": [1e-4, 1e-3, 1e-2, 0.1, 1.0]}},
    {"live": 3, "laptop": 50},
    dtype="float64",
    devices=("cpu",),
    tolerance=EXACT,
)

TOUCHING = Experiment(
    "convergence.touching",
    touching,
    {"live": {"delta": [1e-3, 1e-2]}, "laptop": {"delta": [1e-6, 1e-4, 1e-2, 0.1]}},
    {"live": 3, "laptop": 20},
    dtype="float64",
    devices=("cpu",),
    tolerance=EXACT,
    unchecked=("missed",),
)

SEVERAL_MAXIMA = Experiment(
    "convergence.several_maxima",
    several_maxima,
    {"live": {"T": 2000}, "laptop": {"T": 2000}},
    {"live": 5, "laptop": 100},
    dtype="float64",
    devices=("cpu",),
    tolerance=EXACT,
)

CONCAVITY = Experiment(
    "convergence.concavity",
    concavity,
    {
        "live": {"defence": ["none", "standard"], "eps": 0.15},
        "laptop": {"defence": ["none", "standard"], "eps": [0.01, 0.05, 0.15]},
    },
    {"live": 1, "laptop": 5},
    tolerance=Tolerance(rtol=0.0, atol=0.1),
)
"""The trained network differs from one processor to another, and its shares with it."""

KINKS = Experiment(
    "convergence.kinks",
    kinks,
    {
        "live": {"defence": ["none", "standard"], "distance": [1.0, 0.01]},
        "laptop": {"defence": ["none", "standard"], "distance": [1.0, 0.1, 0.01, 1e-3, 1e-4]},
    },
    {"live": 1, "laptop": 5},
    tolerance=Tolerance(rtol=0.9),
)
"""As above; a largest value over pairs differs most."""

JUMPS = Experiment(
    "convergence.jumps",
    jumps,
    {"live": {"defence": ["none", "standard"]}, "laptop": {"defence": ["none", "standard"]}},
    {"live": 1, "laptop": 5},
    tolerance=Tolerance(rtol=0.9),
)
