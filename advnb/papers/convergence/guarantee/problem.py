"""A family of min-max problems in which every constant of Theorem 1 of Wang et al. (2019) is known in closed form.

Each example i has the loss

    f_i(theta, x) = theta' A theta / 2 + b_i' theta + (x - x_i)' B theta - mu ||x - x_i||^2 / 2

on the box ||x - x_i||_inf <= eps. It is mu-strongly concave in x (Assumption 2, exactly), its gradients are Lipschitz
with L_tt = ||A||, L_tx = L_xt = ||B|| (Assumption 1, exactly), and the stochastic gradient of one example drawn at
random has the variance sigma^2 = mean ||b_i - mean b||^2 at every theta (Assumption 3, exactly). The maximiser is
x_i + clip(B theta / mu, -eps, eps), so that L_S(theta) = theta' A theta / 2 + mean(b)' theta + h(B theta) with h a
sum of Huber functions: smooth with L = ||A|| + ||B||^2 / mu, as Lemma 1 says, and convex where A is.

The centres x_i drop out: the loss depends on u = x - x_i alone, and all examples share one maximiser u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from advnb import checks

__all__ = ["MinMax", "draw_minmax"]

Array = NDArray[np.float64]

BISECTIONS = 60
"""Halvings of the way to the corner: the length of a step is then known to float64 precision."""


@dataclass(frozen=True)
class MinMax:
    """One problem of the family: ``A`` (p, p) symmetric, ``B`` (d, p), ``b`` (n, p), and the numbers mu and eps."""

    A: Array
    B: Array
    b: Array
    mu: float
    eps: float

    def __post_init__(self) -> None:
        checks.positive("mu", self.mu)
        checks.positive("eps", self.eps)
        p = self.A.shape[0]
        if self.A.shape != (p, p) or not np.allclose(self.A, self.A.T):
            raise ValueError(f"A must be a symmetric matrix; got shape {self.A.shape}")
        if self.B.ndim != 2 or self.B.shape[1] != p or self.b.ndim != 2 or self.b.shape[1] != p:
            raise ValueError(f"B and b must have {p} columns, as A has; got {self.B.shape} and {self.b.shape}")

    @property
    def coupling(self) -> float:
        """L_tx = L_xt, the Lipschitz constants of the mixed gradients: ||B||."""
        return float(np.linalg.norm(self.B, 2))

    @property
    def smoothness(self) -> float:
        """L = L_tx L_xt / mu + L_tt of Lemma 1."""
        return self.coupling**2 / self.mu + float(np.linalg.norm(self.A, 2))

    @property
    def sigma(self) -> float:
        """The standard deviation of the gradient of one random example (Assumption 3)."""
        spread = self.b - self.b.mean(0)
        return float(np.sqrt((spread**2).sum(1).mean()))

    def maximiser(self, theta: Array) -> Array:
        """Return u* = x* - x_i at ``theta`` (..., p), shape (..., d)."""
        return np.clip(theta @ self.B.T / self.mu, -self.eps, self.eps)

    def fosc(self, theta: Array, u: Array) -> Array:
        """Return c(x_i + u) = eps ||g||_1 - u'g, equation (4), with g the gradient in x; shape (...)."""
        g = theta @ self.B.T - self.mu * u
        return self.eps * np.abs(g).sum(-1) - (u * g).sum(-1)

    def value(self, theta: Array) -> float:
        """Return L_S(theta) at ``theta`` (p,): the mean over examples of the maximum over x."""
        u = self.maximiser(theta)
        inner = u @ self.B @ theta - self.mu * (u @ u) / 2
        return float(theta @ self.A @ theta / 2 + self.b.mean(0) @ theta + inner)

    def gradient(self, theta: Array, u: Array | None = None, examples: NDArray[np.int64] | None = None) -> Array:
        """Return the gradient in theta (..., p) at ``u`` (the maximiser unless given), of ``examples`` or the mean."""
        u = self.maximiser(theta) if u is None else u
        b = self.b.mean(0) if examples is None else self.b[examples]
        return theta @ self.A + b + u @ self.B

    def least(self) -> float:
        """Return the minimum of L_S, for a positive semidefinite A (L_S is then convex)."""
        if np.linalg.eigvalsh(self.A).min() < -1e-12:
            raise ValueError("A must be positive semidefinite: otherwise L_S is not convex and its minimum unknown")
        start = np.zeros(self.A.shape[0])
        found = minimize(self.value, start, jac=self.gradient, method="BFGS", options={"gtol": 1e-10})
        return float(found.fun)

    def approximate(self, theta: Array, delta: float, direction: Array) -> Array:
        """Return delta-approximate maximisers u (..., d) at ``theta`` (..., p): FOSC = ``delta``, if it can be had.

        The points leave u* along ``direction`` (..., d) and stay in the box; FOSC grows on the way, so its root is
        bisected. Where the box ends before FOSC reaches ``delta`` the corner is returned.
        """
        u = self.maximiser(theta)
        if delta == 0:
            return u
        size = np.abs(direction)
        unit = direction / np.where((longest := size.max(-1, keepdims=True)) > 0, longest, 1.0)
        shortest = np.where(size > 0, np.abs(unit), 1.0).min(-1, keepdims=True)
        low, high = np.zeros_like(longest), 2 * self.eps / shortest  # there every coordinate is at an end of the box
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            point = np.clip(u + middle * unit, -self.eps, self.eps)
            inside = self.fosc(theta, point)[..., None] <= delta
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return np.clip(u + low * unit, -self.eps, self.eps)

    def step_size(self, T: int, gap: float) -> float:
        """Return the theorem's eta = min(1 / L, sqrt(gap / (L sigma^2 T))), with gap = L_S(theta_0) - min L_S."""
        quiet = 1 / self.smoothness
        if self.sigma == 0:
            return quiet
        return min(quiet, float(np.sqrt(gap / (self.smoothness * self.sigma**2 * T))))

    def printed_bound(self, T: int, gap: float, delta: float) -> float:
        """Return the right side of Theorem 1 as printed: 4 sigma sqrt(L gap / T) + 5 L_tx^2 delta / mu."""
        return self._noise_term(T, gap) + 5 * self.coupling**2 * delta / self.mu

    def mended_bound(self, T: int, gap: float, delta: float) -> float:
        """Return 2 L gap / T + 4 sigma sqrt(L gap / T) + 2 L_tx^2 delta / mu, which holds for every T.

        With g_hat = grad L_S + e and eta <= 1 / L, L-smoothness gives L_S(new) <= L_S
        - eta (1 - L eta / 2) ||grad||^2 - eta (1 - L eta) <grad, e> + L eta^2 ||e||^2 / 2. The noise in e has mean 0
        and variance sigma^2, the rest is at most L_tx sqrt(delta / mu) (Lemma 2). With -<grad, e> at most half of the
        sum of both squares for the rest, and ||e||^2 at most twice the sum of the squares of its parts,
        eta ||grad||^2 / 2 <= L_S - E L_S(new) + eta (1 + L eta) L_tx^2 delta / (2 mu) + L eta^2 sigma^2.
        Sum over T steps, divide by T eta / 2, and use 1 / eta <= L + sqrt(L sigma^2 T / gap).
        """
        floor = 2 * self.coupling**2 * delta / self.mu
        return 2 * self.smoothness * gap / T + self._noise_term(T, gap) + floor

    def _noise_term(self, T: int, gap: float) -> float:
        return 4 * self.sigma * float(np.sqrt(self.smoothness * gap / T))


def draw_minmax(
    *, p: int, d: int, n: int, mu: float, eps: float, noise: float, seed: int, curvature: float = 0.1
) -> MinMax:
    """Draw a problem: A positive definite of size ``curvature``, B Gaussian with ||B|| near 1, b of spread ``noise``.

    Without noise there is one example, so that sigma is exactly 0.
    """
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(p, p)) / np.sqrt(p)
    B = rng.normal(size=(d, p)) / (np.sqrt(d) + np.sqrt(p))
    b = rng.normal(size=p) + noise * rng.normal(size=(n if noise else 1, p)) / np.sqrt(p)
    return MinMax(curvature * (half @ half.T + np.eye(p)), B, b, mu, eps)
