"""The adversary's problem at one example: objective, derivatives and their tangent parts in closed form.

Notation of Deng et al. (ICML 2020): f(x + delta) = sum_r a_r softplus(w_r . (x + delta)), the constraint
c(delta) = ||delta||^2 - eps^2 <= 0, and an objective L(delta) that projected gradient descent *minimises*.
Section 3 takes L = -(y - f)^2 ("minus": its minima are the strongest adversaries, its maxima the weakest);
appendix A computes with L = +(y - f)^2 ("plus": the roles swapped). Both are here, for any scalar loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from advnb import checks
from advnb.balls import L2
from advnb.models import TwoLayer
from advnb.papers.dynamics.losses import ScalarLoss, scalar_loss

CONVENTIONS = {"minus": -1.0, "plus": 1.0}
"""Sign of the loss in the objective that is minimised; "minus" is section 3 of the paper."""


@dataclass(frozen=True)
class Problem:
    """minimise L(delta) = sign * l(f(x + delta), y) over ||delta|| <= eps, in float64.

    ``W`` (..., m, d), ``a`` (..., m), ``x`` (..., d) and ``y`` (...,) may carry leading dimensions, one
    entry for each net of a stack; points delta then have shape (..., n, d) and values (..., n). ``eps`` is
    in the units of x.
    """

    W: Tensor
    a: Tensor
    x: Tensor
    y: Tensor
    eps: float
    loss: str = "squared"
    convention: str = "minus"

    def __post_init__(self) -> None:
        checks.positive("eps", self.eps)
        checks.choice("convention", self.convention, CONVENTIONS)
        scalar_loss(self.loss)
        shape = (*self.a.shape, self.x.shape[-1])
        if self.W.shape != shape:
            raise ValueError(f"W must have the shape (..., m, d) of a and x, {shape}; got {tuple(self.W.shape)}")
        if self.y.shape != self.x.shape[:-1]:
            raise ValueError(
                f"y must have one entry a net, shape {tuple(self.x.shape[:-1])}; got {tuple(self.y.shape)}"
            )
        if self.loss == "cross_entropy" and not bool(((self.y == 0) | (self.y == 1)).all()):
            raise ValueError(f"y must be 0 or 1 for the cross entropy; got {self.y.unique().tolist()[:5]}")

    @property
    def d(self) -> int:
        """Input dimension."""
        return self.x.shape[-1]

    @property
    def m(self) -> int:
        """Hidden width."""
        return self.a.shape[-1]

    @property
    def sign(self) -> float:
        """-1 for the convention of section 3, +1 for that of appendix A."""
        return CONVENTIONS[self.convention]

    @property
    def scalar(self) -> ScalarLoss:
        """The loss as a function of the output."""
        return scalar_loss(self.loss)

    @property
    def ball(self) -> L2:
        """The ball that delta lives in."""
        return L2(self.eps)

    def having(self, **changes: object) -> Problem:
        """Return the same problem with other ``eps``, ``loss``, ``convention``, ``y`` or ``x``."""
        return replace(self, **changes)  # type: ignore[arg-type]

    # -- the network

    def preactivation(self, delta: Tensor) -> Tensor:
        """w_r . (x + delta), shape (..., n, m)."""
        return (self.x.unsqueeze(-2) + delta) @ self.W.mT

    def f(self, delta: Tensor) -> Tensor:
        """Output f(x + delta), shape (..., n)."""
        active = F.softplus(self.preactivation(delta), threshold=40.0)
        return (active @ self.a.unsqueeze(-1)).squeeze(-1)

    def f_gradient(self, delta: Tensor) -> Tensor:
        """df/ddelta = sum_r a_r softplus'(.) w_r (appendix A), shape (..., n, d)."""
        return (self.a.unsqueeze(-2) * torch.sigmoid(self.preactivation(delta))) @ self.W

    def f_hessian(self, delta: Tensor) -> Tensor:
        """d2f/ddelta2 = sum_r a_r softplus''(.) w_r w_r^T (appendix A), shape (..., n, d, d)."""
        z = self.preactivation(delta)
        weight = self.a.unsqueeze(-2) * torch.sigmoid(z) * torch.sigmoid(-z)
        return (self.W.mT.unsqueeze(-3) * weight.unsqueeze(-2)) @ self.W.unsqueeze(-3)

    # -- the objective

    def _target(self) -> Tensor:
        return self.y.unsqueeze(-1)

    def objective(self, delta: Tensor) -> Tensor:
        """L(delta), the quantity that is minimised, shape (..., n)."""
        return self.sign * self.scalar.value(self.f(delta), self._target())

    def slope(self, delta: Tensor) -> Tensor:
        """dL/df, shape (..., n); its absolute value is what section 5.2 bounds by L and U."""
        return self.sign * self.scalar.slope(self.f(delta), self._target())

    def value_and_gradient(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """L (..., n) and dL/ddelta = dL/df df/ddelta (section 5.2) (..., n, d), from one pass over the units."""
        z = self.preactivation(delta)
        f = (F.softplus(z, threshold=40.0) @ self.a.unsqueeze(-1)).squeeze(-1)
        grad = (self.a.unsqueeze(-2) * torch.sigmoid(z)) @ self.W
        slope = self.sign * self.scalar.slope(f, self._target())
        return self.sign * self.scalar.value(f, self._target()), slope.unsqueeze(-1) * grad

    def gradient(self, delta: Tensor) -> Tensor:
        """dL/ddelta, shape (..., n, d)."""
        return self.value_and_gradient(delta)[1]

    def hessian(self, delta: Tensor) -> Tensor:
        """d2L/ddelta2 = dL/df d2f/ddelta2 + d2L/df2 df df^T (section 5.2), shape (..., n, d, d)."""
        f, grad = self.f(delta), self.f_gradient(delta)
        slope = self.sign * self.scalar.slope(f, self._target())
        curvature = self.sign * self.scalar.curvature(f, self._target())
        outer = grad.unsqueeze(-1) * grad.unsqueeze(-2)
        return slope[..., None, None] * self.f_hessian(delta) + curvature[..., None, None] * outer

    # -- the constrained problem (section 4)

    def multiplier(self, delta: Tensor) -> Tensor:
        """lambda*(delta) = argmin over lambda of ||dL - lambda dc|| = delta . dL / (2 ||delta||^2), shape (..., n)."""
        return (delta * self.gradient(delta)).sum(-1) / (2 * (delta * delta).sum(-1))

    def gamma(self, delta: Tensor) -> Tensor:
        """Gamma = dL - lambda* dc: on the sphere, the part of dL tangent to it, shape (..., n, d)."""
        return tangent_part(delta, self.gradient(delta))

    def xi(self, delta: Tensor) -> Tensor:
        """Xi = d2L - lambda* d2c = d2L - 2 lambda* I, shape (..., n, d, d)."""
        eye = torch.eye(self.d, dtype=delta.dtype, device=delta.device)
        return self.hessian(delta) - 2 * self.multiplier(delta)[..., None, None] * eye

    def xi_tangent(self, delta: Tensor) -> Tensor:
        """Xi restricted to the tangent space, in an orthonormal basis of it, shape (..., n, d - 1, d - 1)."""
        basis = tangent_basis(delta)
        return basis.mT @ self.xi(delta) @ basis

    def angle_cosine(self, delta: Tensor) -> Tensor:
        """The paper's angle [df, delta]: the cosine between df and the radius, shape (..., n)."""
        return cosine(self.f_gradient(delta), delta)


def cosine(u: Tensor, v: Tensor) -> Tensor:
    """Cosine of the angle between u and v along the last dimension; 0 where either vanishes."""
    scale = u.norm(dim=-1) * v.norm(dim=-1)
    return (u * v).sum(-1) / scale.clamp_min(torch.finfo(scale.dtype).tiny)


def tangent_part(delta: Tensor, v: Tensor) -> Tensor:
    """P_T(delta) v: v less its component along delta, shape of ``v``."""
    normal = delta / delta.norm(dim=-1, keepdim=True)
    return v - (normal * v).sum(-1, keepdim=True) * normal


def normal_part(delta: Tensor, v: Tensor) -> Tensor:
    """P_{T^c}(delta) v: the component of v along delta, shape of ``v``."""
    return v - tangent_part(delta, v)


def tangent_basis(delta: Tensor) -> Tensor:
    """Orthonormal basis of the tangent space at delta as columns, shape (..., d, d - 1).

    The last d - 1 columns of the Householder reflection that takes e_1 to plus or minus delta / ||delta||.
    """
    normal = delta / delta.norm(dim=-1, keepdim=True)
    u = normal.clone()
    u[..., 0] += torch.where(normal[..., 0] >= 0, 1.0, -1.0)
    u = u / u.norm(dim=-1, keepdim=True)
    eye = torch.eye(delta.shape[-1], dtype=delta.dtype, device=delta.device)
    return (eye - 2 * u.unsqueeze(-1) * u.unsqueeze(-2))[..., 1:]


def from_net(
    net: TwoLayer, x: Tensor, y: float, eps: float, *, loss: str = "squared", convention: str = "minus"
) -> Problem:
    """Return the adversary's problem for a two-layer softplus net at the example ``x`` (d,) with target ``y``.

    Raises ValueError if the net's activation is not the paper's softplus, or if it has biases.
    """
    if net.activation != "softplus":
        raise ValueError(f"net must use the softplus activation of section 2; got {net.activation!r}")
    if net.hidden_bias is not None:
        raise ValueError("net must have no biases: the closed forms of the paper have none")
    W = net.weight.detach().double()
    a = net.signs.detach().double() / len(W) ** 0.5
    return Problem(W, a, x.double(), torch.tensor(float(y), dtype=torch.float64), eps, loss, convention)


def draw(
    d: int,
    m: int,
    eps: float,
    *,
    seed: int,
    scale: float = 1.0,
    inside: bool = False,
    y: float | None = None,
    gap: float = 1.0,
    loss: str = "squared",
    convention: str = "minus",
) -> Problem:
    """Draw a net from Xavier initialisation (section 2) and an example x, both from ``seed``.

    x is a random direction with ||x|| = ``scale``, or uniform in the ball of that radius when ``inside`` (the
    paper's appendix B.1 asks for "a norm smaller than the input scale"). The target is ``y``, or, for None,
    f(x) + ``gap``: at a stated distance from the output, so that the paper's assumption 3 can hold.
    The same seed gives the same net and direction at every scale, eps, target, loss and convention.
    """
    checks.count("d", d, minimum=2)
    checks.count("m", m)
    checks.positive("scale", scale)
    generator = torch.Generator().manual_seed(seed)
    net = TwoLayer(d, m, activation="softplus", init="xavier", generator=generator, dtype=torch.float64)
    direction = torch.randn(d, generator=generator, dtype=torch.float64)
    radius = scale * (float(torch.rand((), generator=generator, dtype=torch.float64)) ** (1 / d) if inside else 1.0)
    x = direction / direction.norm() * radius
    problem = from_net(net, x, 0.0 if y is None else y, eps, loss=loss, convention=convention)
    if y is None:
        problem = problem.having(y=problem.f(torch.zeros(1, d, dtype=torch.float64))[0] + gap)
    return problem


def stack(problems: list[Problem]) -> Problem:
    """Return one problem with a leading dimension over ``problems``; raised if they do not share eps and loss."""
    first = problems[0]
    for other in problems[1:]:
        if (other.eps, other.loss, other.convention) != (first.eps, first.loss, first.convention):
            raise ValueError("problems must share eps, loss and convention to be stacked")
    W, a, x, y = (torch.stack([getattr(p, name) for p in problems]) for name in ("W", "a", "x", "y"))
    return first.having(W=W, a=a, x=x, y=y)


def on_sphere(problem: Problem, n: int, *, seed: int = 0) -> Tensor:
    """``n`` uniform points on the sphere of radius eps, shape (n, d)."""
    normal = torch.randn(n, problem.d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return problem.eps * normal / normal.norm(dim=-1, keepdim=True)


def in_ball(problem: Problem, n: int, *, seed: int = 0) -> Tensor:
    """``n`` uniform points in the ball of radius eps (the starts of section 2), shape (n, d)."""
    centre = torch.zeros(n, problem.d, dtype=torch.float64)
    return problem.ball.sample(centre, generator=torch.Generator().manual_seed(seed))
