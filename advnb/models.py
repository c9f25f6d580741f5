"""The papers' networks: the two-layer net with its derivatives in closed form, and the image classifiers.

All of them take images or rows in the units of the data and normalise inside, if at all. With a ``generator``
each is reproducible and leaves torch's global random state alone.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from advnb import checks

Activation = Literal["relu", "softplus"]
Init = Literal["lazy", "xavier"]

SOFTPLUS_LINEAR_ABOVE = 50.0
"""Where softplus(h) may be replaced by h: their difference exp(-50) is far below float64 rounding."""


class TwoLayer(nn.Module):
    """The two-layer network f(x) = m^{-1/2} sum_s a_s sigma(<w_s, x> + b_s) + c with a fixed top layer.

    With ReLU this is the network of Wang et al. (2022), section 2; with softplus log(1 + e^h) and Xavier
    weights that of Deng et al. (2020), section 2. The signs a_s are uniform on {-1, +1} and are not trained.

    Parameters
    ----------
    d, m
        Dimension of the input and width.
    activation
        ``"relu"`` (derivative 0 at 0, as in torch) or ``"softplus"``.
    init
        ``"lazy"``: w_s ~ N(0, I); ``"xavier"``: w_s ~ N(0, I / d).
    generator
        Draws the weights, then the signs; torch's global one if None.
    bias
        Adds b (m,) as ``hidden_bias`` and c () as ``top_bias``, both trained and 0 at the start. The papers have
        neither; the released code of Wang et al. (2022) does.

    Attributes
    ----------
    weight
        W (m, d), the trained parameter. ``signs`` (m,) is a buffer. Both are in the ``state_dict``.
    """

    signs: Tensor

    def __init__(
        self,
        d: int,
        m: int,
        activation: Activation = "relu",
        init: Init = "lazy",
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.d, self.m = checks.count("d", d), checks.count("m", m)
        self.activation = checks.choice("activation", activation, ("relu", "softplus"))
        self.init = checks.choice("init", init, ("lazy", "xavier"))
        target = torch.empty(0, device=device, dtype=dtype)
        drawn_on = generator.device if generator is not None else target.device
        weight = torch.randn(m, d, generator=generator, device=drawn_on, dtype=target.dtype)
        signs = torch.randint(2, (m,), generator=generator, device=drawn_on) * 2 - 1
        scale = 1.0 if init == "lazy" else d**-0.5
        self.weight = nn.Parameter(weight.mul_(scale).to(target))
        self.register_buffer("signs", signs.to(target))
        self.hidden_bias = nn.Parameter(target.new_zeros(m)) if bias else None
        self.top_bias = nn.Parameter(target.new_zeros(())) if bias else None

    def extra_repr(self) -> str:
        """Return the arguments that made this network."""
        return f"{self.d}, {self.m}, activation={self.activation!r}, init={self.init!r}"

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (n,), for ``x`` of shape (n, d) or (n, ...) with d entries a row."""
        h = self.preactivation(x)
        hidden = h.relu() if self.activation == "relu" else F.softplus(h, threshold=SOFTPLUS_LINEAR_ABOVE)
        return self._top(hidden @ self.signs)

    def preactivation(self, x: Tensor) -> Tensor:
        """Return h = x W^T + b, shape (n, m); raises if a row of ``x`` does not hold d numbers."""
        return F.linear(_rows(x, self.d), self.weight, self.hidden_bias)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(x) (n,) and its gradient in x (n, d) for two matrix products; no autograd graph."""
        h = self.preactivation(x)
        if self.activation == "relu":
            slopes = (h > 0) * self.signs
            top = torch.linalg.vecdot(h, slopes)
        else:
            slopes = h.sigmoid() * self.signs
            top = F.softplus(h, threshold=SOFTPLUS_LINEAR_ABOVE) @ self.signs
        return self._top(top), (slopes @ self.weight) / self.m**0.5

    @torch.no_grad()
    def input_gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of f in x: m^{-1/2} sum_s a_s sigma'(h_s) w_s, shape (n, d)."""
        h = self.preactivation(x)
        slopes = (h > 0) * self.signs if self.activation == "relu" else h.sigmoid() * self.signs
        return (slopes @ self.weight) / self.m**0.5

    @torch.no_grad()
    def hvp(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the Hessian of f in x times v: m^{-1/2} sum_s a_s sigma''(h_s) <w_s, v> w_s, shape (n, d).

        ``v`` has the shape of ``x``. With ReLU the Hessian is zero almost everywhere, and so is the result.
        """
        curvature = self._curvature(x)
        return (curvature * F.linear(_rows(v, self.d), self.weight)) @ self.weight

    @torch.no_grad()
    def hessian(self, x: Tensor) -> Tensor:
        """Return the Hessian of f in x, m^{-1/2} sum_s a_s sigma''(h_s) w_s w_s^T, shape (n, d, d).

        Zero with ReLU, whose Hessian is zero almost everywhere (and undefined where some h_s is 0).
        """
        return torch.stack([(self.weight.T * row) @ self.weight for row in self._curvature(x)])

    def _curvature(self, x: Tensor) -> Tensor:
        """Return m^{-1/2} a_s sigma''(h_s), shape (n, m)."""
        h = self.preactivation(x)
        if self.activation == "relu":
            return torch.zeros_like(h)
        return h.sigmoid() * (-h).sigmoid() * self.signs / self.m**0.5

    def _top(self, total: Tensor) -> Tensor:
        output = total / self.m**0.5
        return output if self.top_bias is None else output + self.top_bias


def _rows(x: Tensor, d: int) -> Tensor:
    rows = x.flatten(1)
    if rows.shape[1] != d:
        raise ValueError(f"x must hold {d} numbers an example; got shape {tuple(x.shape)}")
    return rows


fx.wrap("_rows")  # traced as one call, so that its check is no obstacle to torch.fx
