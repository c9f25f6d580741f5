"""f along the ray that one step takes: a piecewise linear curve, its kinks, and where it first is zero."""

from __future__ import annotations

import math

import torch
from matplotlib.axes import Axes
from torch import Tensor

from advnb.book import figures
from advnb.flip import minimal_flip
from advnb.models import TwoLayer


def along(net: TwoLayer, x: Tensor, lengths: Tensor) -> Tensor:
    """Return f at the ``lengths`` (k,) downhill from x (1, d), times the sign of f(x)."""
    f, gradient = net.value_and_gradient(x)
    downhill = -f.sign() * gradient / torch.linalg.vector_norm(gradient)
    with torch.no_grad():
        return f.sign() * net(x + lengths[:, None] * downhill)


def draw_ray(ax: Axes, net: TwoLayer, x: Tensor, end: float | None = None) -> None:
    """Draw f along the ray downhill from x (1, d), its kinks, the tangent at x, and the exact flip.

    The ray ends at ``end``, or at two and a half times the flip (the first-order answer if there is none).
    """
    f, gradient = net.value_and_gradient(x)
    slope = torch.linalg.vector_norm(gradient)
    first = float(f.abs() / slope)
    norm = float(minimal_flip(net, x, direction="descent").norm)
    end = end or 2.5 * (norm if math.isfinite(norm) else first)
    t = torch.linspace(0, end, 400)
    ax.plot(t, along(net, x, t), color=figures.COLOURS["measured"])
    ax.plot(t, float(f.abs()) * (1 - t / first), **(figures.line("paper") | {"marker": ""}))
    ax.axhline(0, color=figures.INK, linewidth=0.8)
    kinks = (net.preactivation(x)[0] / (net.weight @ gradient[0] / slope * f.sign())).detach()
    kinks = kinks[(kinks > 0) & (kinks < end)]
    ax.plot(kinks, torch.full_like(kinks, ax.get_ylim()[0]), "|", color=figures.FAINT, markersize=7)
    if math.isfinite(norm):
        ax.plot(norm, 0, "o", color=figures.COLOURS["adversarial"], zorder=4)
    ax.set(title=f"m = {net.m}: flip at {norm:.3g}", xlabel="length of the step")
