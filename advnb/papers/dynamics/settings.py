"""What the chapter's experiments share: float64 on a CPU, sizes, tolerances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from advnb.experiments import Experiment, Tolerance
from advnb.experiments.cost import Count
from advnb.experiments.declare import Grid

Numbers = dict[str, float | int | bool | str | list[float] | list[int] | None]
"""What a trial returns."""

LOOSE = Tolerance(rtol=1e-4, atol=1e-9)
"""For numbers at the end of thousands of steps, which another BLAS changes in their last digits."""

ROUNDING = ("afterwards", "newton_residual", "constant", "final", "residual", "l43_identity", "swept_32")
"""Fields that are rounding error themselves."""


def float64(
    name: str,
    trial: Callable[..., Mapping[str, Any]],
    grids: Mapping[str, Grid],
    seeds: Mapping[str, int],
    *,
    tolerances: Mapping[str, Tolerance] | None = None,
    cost: Count | None = None,
) -> Experiment:
    """Declare ``dynamics.NAME`` in float64, with the chapter's tolerances: closed forms, on a CPU alone.

    ``tolerances`` are those of single fields, ``cost`` is what a trial takes.
    """
    return Experiment(f"dynamics.{name}", trial, grids, seeds, dtype="float64", devices=("cpu",),
                      tolerance=LOOSE, tolerances=tolerances or {}, unchecked=ROUNDING, cost=cost)  # fmt: skip


SIZES = [(2, 64), (8, 256), (16, 1024)]
"""(d, m) with m at least d^2.5, as Theorem 3.1 asks."""
