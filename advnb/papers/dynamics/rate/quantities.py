"""How fast projected gradient descent contracts at a point where it rests: the theorem of the page *rate*.

At a point delta* of the sphere with Gamma = 0 and -dL pointing outwards, g = ||dL||, let c_i = eps h_i / g for the
eigenvalues h_i of d2L on the tangent space (``bends``), and s = eta g / eps the step in radii. The derivative of
delta -> P_B(delta - eta dL(delta)) there has the eigenvalues (1 - s c_i) / (1 + s), and 0. With Xi = d2L - 2 lambda* I,
1 + c_i = eps xi_i / g: the point is a strict minimum where all c_i > -1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from advnb import checks
from advnb.papers.dynamics.problem import Problem, tangent_basis, tangent_part


def outward_pull(problem: Problem, delta: Tensor) -> Tensor:
    """g = -dL . delta / ||delta||, shape (n,): how hard a step pulls out of the ball. At a point of rest, ||dL||."""
    return -(delta * problem.gradient(delta)).sum(-1) / delta.norm(dim=-1)


def bends(problem: Problem, delta: Tensor) -> Tensor:
    """c_i = eps h_i / g at points of rest ``delta`` (n, d) on the sphere, ascending, shape (n, d - 1).

    h_i are the eigenvalues of d2L on the tangent space. Where df/ddelta is radial they are dL/df times those of d2f,
    so that the c_i belong to the network alone: no loss and no target is in them but the sign of dL/df. Raises
    ValueError where -dL does not point outwards: projected descent does not rest there.
    """
    pull = outward_pull(problem, delta)
    if bool((pull <= 0).any()):
        raise ValueError(
            f"-dL must point outwards at every delta, or descent does not rest there; got g = {pull.min()}"
        )
    basis = tangent_basis(delta)
    along = torch.linalg.eigvalsh(basis.mT @ problem.hessian(delta) @ basis)
    return problem.eps * along / pull.unsqueeze(-1)


def slowest_direction(problem: Problem, delta: Tensor, s: float) -> Tensor:
    """Unit tangent vectors (n, d) along which a step of ``s`` radii contracts least."""
    basis = tangent_basis(delta)
    values, vectors = torch.linalg.eigh(basis.mT @ problem.hessian(delta) @ basis)
    c = problem.eps * values / outward_pull(problem, delta).unsqueeze(-1)
    least = ((1 - s * c) / (1 + s)).abs().argmax(-1)
    chosen = vectors.gather(-1, least[:, None, None].expand(-1, vectors.shape[-2], 1))
    return (basis @ chosen).squeeze(-1)


def step_jacobian(problem: Problem, delta: Tensor, eta: float) -> Tensor:
    """Derivative of delta -> P_B(delta - eta dL(delta)) at points of rest, eps / (eps + eta g) P_T (I - eta d2L).

    Shape (n, d, d). It maps into the tangent space.
    """
    shrink = problem.eps / (problem.eps + eta * outward_pull(problem, delta))
    eye = torch.eye(problem.d, dtype=delta.dtype)
    moved = (eye - eta * problem.hessian(delta)).mT  # tangent_part acts on rows: on columns of the transpose
    return shrink[:, None, None] * tangent_part(delta.unsqueeze(-2), moved).mT


@dataclass(frozen=True)
class Rate:
    """What the theorem says of one point of rest with the dimensionless curvatures from ``least`` to ``most``.

    Steps s are in radii: s = eta g / eps for raw gradients, the step length over eps for normalised ones.
    """

    least: float
    most: float

    def __post_init__(self) -> None:
        if not self.least <= self.most:
            raise ValueError(f"least must be at most most; got {self.least!r} and {self.most!r}")

    @classmethod
    def of(cls, c: Tensor) -> Rate:
        """The rate at one point with the curvatures ``c`` (d - 1,) of :func:`bends`."""
        return cls(float(c.min()), float(c.max()))

    def factor(self, s: float) -> float:
        """max_i |1 - s c_i| / (1 + s), by which the distance falls in a step; at infinity max_i |c_i|."""
        if math.isinf(s):
            return max(abs(self.least), abs(self.most))
        checks.positive("s", s)
        return max(abs(1 - s * self.least), abs(1 - s * self.most)) / (1 + s)

    @property
    def repels_beyond(self) -> float:
        """The step beyond which the point repels: 2 / (c_max - 1), infinite for c_max <= 1; 0 where c_min < -1."""
        if self.least < -1:
            return 0.0
        return 2 / (self.most - 1) if self.most > 1 else math.inf

    @property
    def best_step(self) -> float:
        """The step of the least factor: 2 / (c_min + c_max), infinite where that sum is not positive."""
        total = self.least + self.most
        return 2 / total if total > 0 else math.inf

    @property
    def best_factor(self) -> float:
        """The factor at the best step: (c_max - c_min) / (2 + c_max + c_min), or -c_min where it is infinite."""
        return self.factor(self.best_step)
