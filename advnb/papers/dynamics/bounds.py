"""Bounds on the network's derivatives over the whole ball, proved, not sampled; and the certificate they give.

With p = softplus'' = s (1 - s), where s is the sigmoid, all derivatives of f = sum_r a_r softplus(w_r . (x + delta))
that Theorem 5.1 and Lemmas A.1 and A.2 speak of are sums of a_r times a function of p_r: softplus''' = +-p sqrt(1 - 4p)
and softplus'''' = p (1 - 6p). On the ball the preactivation of unit r stays within eps ||w_r|| of its value at x, so
p_r lies in an interval that is known. From there two ways lead to a bound, and the smaller one is taken:

* the interval itself: a sum of a_r p_r w_r w_r^T lies between two matrices in the order of quadratic forms;
* Taylor's formula at x: derivatives at x are computed, so that units of opposite sign cancel, and the interval is
  needed for the remainder alone.

What is rigorous: every inequality here is proved in exact arithmetic. The computation is in float64 without directed
rounding; a sum of N terms is then wrong by less than N 2^-53 times the sum of their sizes, and each bound is moved
outwards by ``SLACK`` times that sum, which covers N up to some millions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import bisect
from torch import Tensor

from advnb import checks
from advnb.papers.dynamics.circle import at_angle
from advnb.papers.dynamics.problem import Problem, in_ball, on_sphere

SLACK = 1e-9
"""Outward allowance for rounding, as a share of the sum of the sizes of what was added."""

SAMPLES = 64
"""Random points behind a sampled condition, as many as in the first edition of the chapter."""

LARGEST_SQUARE = 100
"""Largest d whose (d (d + 1) / 2)-dimensional Gram matrix of squares is formed: 5050 at d = 100."""


@dataclass(frozen=True)
class BallBounds:
    """Bounds that hold at every point of the ball of radius ``eps`` around x.

    ``hessian`` >= ||d2f||_2; ``hessian_lipschitz`` >= ||d2f(delta) - d2f(delta')|| / ||delta - delta'||;
    ``gradient_low`` <= ||df|| <= ``gradient_high``; ``output_low`` <= f <= ``output_high``.
    """

    eps: float
    hessian: float
    hessian_lipschitz: float
    gradient_low: float
    gradient_high: float
    output_low: float
    output_high: float

    @property
    def contraction(self) -> float:
        """eps sup ||d2f|| / inf ||df||, from above: below 1 the gradient turns less than the point moves."""
        return self.eps * self.hessian / self.gradient_low if self.gradient_low > 0 else math.inf

    @property
    def single(self) -> bool:
        """Whether f provably has one maximum and one minimum on the sphere and no other critical point in the ball."""
        return self.contraction < 1

    def excludes(self, y: float) -> bool:
        """Whether f provably never takes the value ``y`` on the ball (assumption 3 of section 2)."""
        return not self.output_low <= float(y) <= self.output_high


@dataclass(frozen=True)
class Expansion:
    """f at the example x up to second order, and sizes of its third and fourth derivatives.

    ``output`` = f(x); ``gradient`` (d,); ``hessian`` (d, d); ``third`` >= sup |sum_r a_r softplus''' (w_r . u)
    (w_r . v)^2| at x over unit u, v; ``fourth`` >= sup sum_r |a_r| (w_r . u)^4 / 8 over unit u, which bounds the
    fourth derivative everywhere (|softplus''''| <= 1/8).
    """

    problem: Problem
    output: float
    gradient: Tensor
    hessian: Tensor
    third: float
    fourth: float

    def bounds(self, eps: float) -> BallBounds:
        """Return the bounds over the ball of radius ``eps`` around x."""
        problem = self.problem.having(eps=checks.positive("eps", eps))
        first, second = mass(problem, 1), mass(problem, 2)
        low, high = curvature_range(problem)
        plain = _gram_norm(problem, problem.a.abs() * _third_size(low, high) * _norms(problem))
        quartic = min(
            self.fourth, _gram_norm(problem, problem.a.abs() * _fourth_size(low, high) * _norms(problem) ** 2)
        )
        lipschitz = min(plain, self.third + eps * quartic)
        centre = float(torch.linalg.matrix_norm(self.hessian, ord=2)) + SLACK * second
        change = min(eps * plain, eps * self.third + eps**2 * quartic / 2)
        hessian = min(centre + change, _loewner(problem, low, high))
        size = float(self.gradient.norm())
        bend = min(eps**2 * plain / 2, eps**2 * self.third / 2 + eps**3 * quartic / 6)
        slack = SLACK * (first + eps * second)
        least = max(_least_linear(self.gradient, self.hessian, eps) - bend, size - eps * hessian) - slack
        reach = eps * size + eps**2 * hessian / 2 + SLACK * mass(problem, 0) + eps * slack
        bottom, top = _output_range(problem)
        return BallBounds(
            eps, hessian, lipschitz, max(least, 0.0), size + eps * hessian + slack,
            max(bottom, self.output - reach), min(top, self.output + reach),
        )  # fmt: skip


def expand(problem: Problem) -> Expansion:
    """Expand f at the example of ``problem``, one net; the radius plays no part. Raises ValueError for a stack."""
    if problem.W.ndim != 2:
        raise ValueError(f"problem must be one net, with W of shape (m, d); got W of shape {tuple(problem.W.shape)}")
    centre = torch.zeros(1, problem.d, dtype=torch.float64)
    s = torch.sigmoid(problem.preactivation(centre)[0])
    squares = _squares(problem.W) if problem.d <= LARGEST_SQUARE else None
    weights = problem.a * s * (1 - s) * (1 - 2 * s)
    if squares is None:
        third = _gram_norm(problem, weights.abs() * _norms(problem))
        fourth = _gram_norm(problem, problem.a.abs() / 8 * _norms(problem) ** 2)
    else:
        unfolded = (problem.W * weights.unsqueeze(-1)).mT @ squares
        third = float(torch.linalg.matrix_norm(unfolded, ord=2)) + SLACK * mass(problem, 3)
        fourth = _quartic(squares, problem.a.abs() / 8) + SLACK * mass(problem, 4)
    return Expansion(
        problem, float(problem.f(centre)), problem.f_gradient(centre)[0], problem.f_hessian(centre)[0], third, fourth
    )


def ball_bounds(problem: Problem) -> BallBounds:
    """Bounds over the ball of ``problem``; for several radii around one example use :func:`expand` once."""
    return expand(problem).bounds(problem.eps)


def certified_radius(problem: Problem, *, low: float = 1e-6, high: float = 1e6) -> float:
    """Largest radius found at which the condition of the proposition is proved; 0 if it is not at ``low``.

    A bisection of log eps: the condition at a radius implies it at every smaller one, since sup and inf are over
    nested balls.
    """
    checks.positive("low", low)
    if high <= low:
        raise ValueError(f"high must be more than low = {low:g}; got {high!r}")
    expansion = expand(problem)

    def missing(log_eps: float) -> float:
        return -1.0 if expansion.bounds(math.exp(log_eps)).single else 1.0

    if missing(math.log(low)) > 0:
        return 0.0
    if missing(math.log(high)) < 0:
        return high
    root = float(bisect(missing, math.log(low), math.log(high), xtol=1e-6))
    return math.exp(root - 2e-6)  # on the side where it is proved


def mass(problem: Problem, power: int) -> float:
    """sum_r |a_r| (1 + |w_r . x| + eps ||w_r||) ||w_r||^power: the sizes that a rounding error is a share of."""
    z = (problem.W @ problem.x).abs() + problem.eps * _norms(problem)
    return float((problem.a.abs() * (1 + z) * _norms(problem) ** power).sum())


def curvature_range(problem: Problem) -> tuple[Tensor, Tensor]:
    """Least and largest softplus''(w_r . (x + delta)) over the ball for each unit, (m,) and (m,).

    softplus'' is even and falls from 1/4 as its argument leaves 0.
    """
    norms = _norms(problem)
    reach = problem.eps * norms + SLACK * norms * (problem.x.norm() + problem.eps)
    z = (problem.W @ problem.x).abs()
    far, near = z + reach, (z - reach).clamp_min(0)
    low, high = (torch.sigmoid(t) * torch.sigmoid(-t) for t in (far, near))
    return low * (1 - SLACK), (high * (1 + SLACK)).clamp_max(0.25)


def _output_range(problem: Problem) -> tuple[float, float]:
    """Bounds on f over the ball, each unit at the better and at the worse end of its interval on its own."""
    z, reach = problem.W @ problem.x, problem.eps * _norms(problem) * (1 + SLACK)
    high, low = (F.softplus(t, threshold=40.0) for t in (z + reach, z - reach))
    slack = SLACK * mass(problem, 0)
    bottom = float((problem.a * torch.where(problem.a > 0, low, high)).sum()) - slack
    return bottom, float((problem.a * torch.where(problem.a > 0, high, low)).sum()) + slack


def _norms(problem: Problem) -> Tensor:
    return problem.W.norm(dim=-1)


def _third_size(low: Tensor, high: Tensor) -> Tensor:
    """sup |softplus'''| = sup p sqrt(1 - 4p) over p in [low, high]: it rises up to p = 1/6 and falls behind."""
    p = torch.full_like(low, 1 / 6).clamp(low, high)
    return p * (1 - 4 * p).clamp_min(0).sqrt() * (1 + SLACK)


def _fourth_size(low: Tensor, high: Tensor) -> Tensor:
    """sup |softplus''''| = sup |p (1 - 6p)| over p in [low, high]: at an end, or 1/24 at p = 1/12."""
    inner = torch.full_like(low, 1 / 12).clamp(low, high)
    return torch.stack([(p * (1 - 6 * p)).abs() for p in (low, inner, high)]).amax(0) * (1 + SLACK)


def _gram(problem: Problem, weights: Tensor) -> Tensor:
    return (problem.W * weights.unsqueeze(-1)).mT @ problem.W


def _gram_norm(problem: Problem, weights: Tensor) -> float:
    """Spectral norm of sum_r weights_r w_r w_r^T for weights that are not negative, from above."""
    slack = SLACK * float((weights * _norms(problem) ** 2).sum())
    return float(torch.linalg.eigvalsh(_gram(problem, weights))[-1]) + slack


def _loewner(problem: Problem, low: Tensor, high: Tensor) -> float:
    """Bound on ||d2f|| from d2f <= sum a_r p_r w_r w_r^T with the worst p_r for each sign of a_r, and from below."""
    up = torch.where(problem.a > 0, high, low)
    down = torch.where(problem.a > 0, low, high)
    top = float(torch.linalg.eigvalsh(_gram(problem, problem.a * up))[-1])
    bottom = float(torch.linalg.eigvalsh(_gram(problem, problem.a * down))[0])
    return max(top, -bottom) + SLACK * mass(problem, 2)


def _squares(W: Tensor) -> Tensor:
    """vec(w_r w_r^T) in an orthonormal basis of the symmetric matrices, (m, d (d + 1) / 2): products become squares."""
    i, j = torch.triu_indices(W.shape[-1], W.shape[-1])
    twice = torch.ones(len(i), dtype=W.dtype)
    twice[i != j] = math.sqrt(2)
    return W[:, i] * W[:, j] * twice


def _quartic(squares: Tensor, weights: Tensor) -> float:
    """Bound on sup sum_r weights_r (w_r . u)^4 over unit u, for weights that are not negative.

    It is the quadratic form S = sum_r weights_r vec(w_r w_r^T) vec(w_r w_r^T)^T at vec(u u^T), a unit vector whose
    product with vec(I) is 1. Hence it is at most alpha + lambda_max(S - alpha vec(I) vec(I)^T) for every alpha >= 0.
    The alpha that evens out the spectrum of a Gaussian net is taken: most of S lies along vec(I).
    """
    scaled = squares * weights.sqrt().unsqueeze(-1)
    gram = scaled.mT @ scaled
    dimension = len(gram)
    d = round((math.sqrt(8 * dimension + 1) - 1) / 2)
    i, j = torch.triu_indices(d, d)
    identity = (i == j).to(gram)
    along = float(identity @ gram @ identity) / d
    rest = (float(gram.trace()) - along) / max(dimension - 1, 1)
    alpha = max((along - rest) / d, 0.0)
    return alpha + float(torch.linalg.eigvalsh(gram - alpha * torch.outer(identity, identity))[-1])


def _least_linear(gradient: Tensor, hessian: Tensor, eps: float) -> float:
    """Lower bound on min ||gradient + hessian delta|| over the ball: the best of many points of its dual.

    For every t >= 0, ||g + H delta||^2 >= sum_i t g_i^2 / (h_i^2 + t) - t eps^2 on the ball, in the eigenbasis of H.
    """
    values, vectors = torch.linalg.eigh(hessian)
    square = (vectors.mT @ gradient) ** 2
    largest = float(values.abs().max())
    if largest == 0:
        return float(gradient.norm()) * (1 - SLACK)
    top = largest * (largest + float(gradient.norm()) / eps)
    t = top * torch.logspace(-10, 2, 500, dtype=torch.float64).unsqueeze(-1)
    dual = (t * square / (values**2 + t)).sum(-1) - t.squeeze(-1) * eps**2
    return math.sqrt(max(float(dual.max()) - 1e-12 * float(square.sum()), 0.0))


# -- d = 2: every extremum on the circle, proved


def proved_extrema(problem: Problem, *, arcs: int = 64, halvings: int = 30, budget: int = 4096) -> int | None:
    """Number of critical points of f on the circle, proved by subdivision; None where the subdivision gives up.

    On each arc either df/dtheta keeps its sign, or d2f/dtheta2 does, or it is halved. Between neighbouring arcs of
    different sign of df/dtheta there is then exactly one critical point, between arcs of equal sign none, so their
    number is the number of sign changes: half of them minima. It gives up after ``halvings``, or when more than
    ``budget`` arcs are open (f is flat, or two critical points nearly merge). Raises ValueError unless d = 2.
    """
    if problem.d != 2 or problem.W.ndim != 2:
        raise ValueError(f"problem must be one net with d = 2; got W of shape {tuple(problem.W.shape)}")
    half = math.pi / checks.count("arcs", arcs, minimum=4)
    open_ = (torch.arange(arcs, dtype=torch.float64) * 2 + 1) * half
    angles, signs = [], []
    for _ in range(checks.count("halvings", halvings)):
        slope, flat, bent = _arc(problem, open_, half)
        angles.append(open_[~flat])
        signs.append(slope[~flat])
        open_ = open_[flat & ~bent]
        if len(open_) == 0:
            order = torch.cat(angles).argsort()
            sign = torch.cat(signs)[order]
            return int((sign != sign.roll(-1)).sum()) if len(sign) else None
        half = half / 2
        open_ = torch.cat((open_ - half, open_ + half))
        if len(open_) > budget:
            return None
    return None


def _arc(problem: Problem, theta: Tensor, half: float) -> tuple[Tensor, Tensor, Tensor]:
    """Sign of df/dtheta in the middle of arcs, whether it may vanish on them, whether d2f/dtheta2 keeps its sign, (n,).

    z = w . (x + delta(theta)) has z'' = -w . delta and z''' = -z'; the arc is theta +- ``half``, a little more for
    rounding. d3f/dtheta3 is bounded unit by unit, with p = softplus'' in its interval on the arc.
    """
    radius, along = at_angle(problem, theta), at_angle(problem, theta + math.pi / 2)
    z, z1, z2 = problem.preactivation(radius), along @ problem.W.mT, radius @ problem.W.mT
    half = half * (1 + SLACK) + 1e-14
    full = problem.eps * _norms(problem)
    size1, size2 = (torch.minimum(t.abs() + half * full, full) for t in (z1, z2))
    wide = half * size1 + SLACK * (full + z.abs())
    s = torch.sigmoid(z)
    p = s * torch.sigmoid(-z)
    near, far = (z.abs() - wide).clamp_min(0), z.abs() + wide
    low, high = torch.sigmoid(far) * torch.sigmoid(-far), torch.sigmoid(near) * torch.sigmoid(-near)
    weight, on = problem.a.abs(), torch.sigmoid(z + wide)
    turn = (_third_size(low, high) * size1**3 + 3 * high * size1 * size2 + on * size1) @ weight
    slope, bend = (s * z1) @ problem.a, (p * z1**2 - s * z2) @ problem.a
    slack = SLACK * ((p * full * (1 + full) + s * full) @ weight)
    change = half * turn + slack * (1 + problem.eps)
    flat = slope.abs() <= half * (bend.abs() + change) + slack
    return slope > 0, flat, bend.abs() > change


# -- what sampling and optimisation say: never an upper bound


@dataclass(frozen=True)
class Optimised:
    """The largest ||d2f|| and the smallest ||df|| that a search found on the ball.

    ``hessian`` is a lower bound on the supremum and ``gradient`` an upper bound on the infimum: what the search has
    seen, no proof.
    """

    hessian: float
    gradient: float

    def single(self, eps: float) -> bool:
        """Whether the condition of the proposition holds at the points that were visited."""
        return eps * self.hessian < self.gradient


def optimised(problem: Problem, starts: int = 12, *, steps: int = 60, seed: int = 0) -> Optimised:
    """Search the ball for the largest ||d2f|| and the smallest ||df|| by projected gradient steps from many starts.

    Starts are the example, and uniform points of the ball and of the sphere. Steps have the length eps / 2 times
    0.88^t, along the gradient of the eigenvalue of largest size, and of -||df||.
    """
    half = checks.count("starts", starts, minimum=3) // 2
    begin = torch.cat((
        torch.zeros(1, problem.d, dtype=torch.float64), in_ball(problem, half, seed=seed),
        on_sphere(problem, starts - half - 1, seed=seed),
    ))  # fmt: skip
    bent, steep = begin, begin
    largest, smallest = 0.0, math.inf
    for t in range(checks.count("steps", steps)):
        values, vectors = torch.linalg.eigh(problem.f_hessian(bent))
        pick = torch.where(values[:, -1] > -values[:, 0], values.shape[-1] - 1, 0)
        rows = torch.arange(len(bent))
        largest = max(largest, float(values[rows, pick].abs().max()))
        bent = _moved(problem, bent, _eigenvalue_gradient(problem, bent, vectors[rows, :, pick], values[rows, pick]), t)
        gradient = problem.f_gradient(steep)
        smallest = min(smallest, float(gradient.norm(dim=-1).min()))
        downhill = -(problem.f_hessian(steep) @ gradient.unsqueeze(-1)).squeeze(-1)
        steep = _moved(problem, steep, downhill, t)
    return Optimised(largest, smallest)


def _eigenvalue_gradient(problem: Problem, delta: Tensor, vector: Tensor, value: Tensor) -> Tensor:
    """Gradient in delta of |v . d2f v| at its eigenvector v: sum_r a_r softplus''' (w_r . v)^2 w_r, (n, d)."""
    s = torch.sigmoid(problem.preactivation(delta))
    third = problem.a * s * (1 - s) * (1 - 2 * s) * (vector @ problem.W.mT) ** 2
    return torch.sign(value).unsqueeze(-1) * (third @ problem.W)


def _moved(problem: Problem, delta: Tensor, direction: Tensor, t: int) -> Tensor:
    """One step of length eps / 2 * 0.88^t, projected onto the ball."""
    unit = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    return problem.ball.project(delta + 0.5 * 0.88**t * problem.eps * unit, torch.zeros_like(delta))


def searched_radius(problem: Problem, start: float, *, starts: int = 8, steps: int = 50, halvings: int = 5) -> float:
    """Radius up to which the condition holds at the points that a search visits: from above, and no proof.

    ``start`` is a radius at which it holds (the certified one); it is doubled until the condition fails and then
    bisected. With ``steps`` = 1 nothing is searched: the points are random ones.
    """

    def holds(eps: float) -> bool:
        return optimised(problem.having(eps=eps), starts, steps=steps).single(eps)

    low = checks.positive("start", start)
    while holds(2 * low) and low < 1e6:
        low *= 2
    high = 2 * low
    for _ in range(checks.count("halvings", halvings)):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def condition_radii(problem: Problem) -> dict[str, float]:
    """Radii up to which eps sup ||d2f|| < inf ||df|| is proved, holds where a search looked, and at random points."""
    certified = certified_radius(problem)
    start = certified or 1e-6
    return {
        "certified": certified,
        "optimised": searched_radius(problem, start),
        "sampled": searched_radius(problem, start, starts=SAMPLES, steps=1),
    }
