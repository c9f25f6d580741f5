"""A two-layer ReLU network and its input gradient along a path, by what changed since the last point.

The gradient m^{-1/2} sum_s a_s 1[h_s > 0] w_s is a sum over the units that are on. An attack's step is small, so few
units switch between its points: two in a thousand at m = 10,000 in the ball of Wang et al. (2022). Adding and
subtracting those makes the second of the two matrix products of a step nearly free. In an L-infinity ball most
coordinates come to rest at a bound, and the preactivations change by the few that still move: the first product.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["AlongPath"]

FEW = {torch.float32: 1 / 4, torch.float64: 1 / 12}
"""A row is updated if the units that switch in a step are at most this share of those that are on, else summed afresh.

Measured: from about there on the updates cost more, in float64 sooner. Other dtypes are always summed afresh.
"""

UPDATES = 2.0
"""A row is also summed afresh after so many updates for each unit that is on.

So rounding errors of the updates stay as small as those of the sum, and a row where no unit is on is exactly 0.
"""

WORTHWHILE, WIDE = 6_000_000, 128
"""Multiplications in a product, and the d, from which on it pays to look for the units that switched."""

MOVED, AGAIN = 1 / 5, 40
"""Preactivations are updated if at most this share of the coordinates moved, in float32, once so many rows could be.

In an L-infinity ball or a box most coordinates come to rest at a bound. Those rows pay for the transpose of W.
"""

FRESH = 25
"""Preactivations are computed afresh after so many updates, so that their rounding does not add up."""

WORD = 8
"""Switched units are looked for by so many at a time: their flags are one byte each, read as one integer."""


@dataclass
class _State:
    """Where the path is: what is known of each row's last point."""

    on: Tensor
    """Which units are on, (n, m) filled up to whole words."""
    gradient: Tensor
    offset: Tensor
    """What the biases add to <x, grad f(x)>, (n,)."""
    count: Tensor
    """How many units are on, (n,)."""
    switched: Tensor
    """How many switched since the row was last summed afresh, (n,)."""

    def at(self, place: Tensor) -> _State:
        """Return the rows at these places."""
        return _State(*(getattr(self, part.name)[place] for part in fields(self)))


class AlongPath:
    """Call it with one batch of points after another to get f (n,) and its gradient (n, d) at each.

    ``weight`` (m, d), ``top`` (m,), ``hidden_bias`` (m,) and ``top_bias`` () are those of f(x) = sum_s top_s
    relu(<w_s, x> + b_s) + c, and must stay as they are. Values are those of the dense products up to rounding. Any
    points will do, but only those near the last ones are cheap. With ReLU the value follows from the gradient:
    f(x) = <x, grad f(x)>, and what biases add.

    Points come in rows, (n, d) or (n, ...). ``rows`` tells which of the batch of the first call they are, None for all
    of them; once left out, a row does not come back. With ``tile`` the rows of a product are filled up to a multiple of
    that, so that on a CPU no row's rounding depends on how many others there are. On an accelerator every product is
    dense: to look for the units that switched, the host would have to wait at each step.
    """

    def __init__(
        self,
        weight: Tensor,
        top: Tensor,
        hidden_bias: Tensor | None = None,
        top_bias: Tensor | None = None,
        *,
        tile: int = 1,
    ) -> None:
        self._weight, self._top, self._bias, self._constant = weight, top, hidden_bias, top_bias
        self._tile, self._few = tile, FEW.get(weight.dtype, 0.0) if weight.device.type == "cpu" else 0.0
        self._memory = weight.new_empty(0)
        self._columns: Tensor | None = None
        self._last: Tensor | None = None
        self._could, self._updates = 0, 0
        self._rows: Tensor | None = None
        self._state: _State | None = None

    @torch.no_grad()
    def __call__(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return f (n,) and its gradient, shaped like ``x``."""
        points = x.flatten(1)
        state, self._state = self._kept(rows, len(points)), None  # forgotten, should anything below raise
        last, self._last = self._last, None
        moved = None if state is None or last is None else self._moved(points, last)
        h = self._preactivation(points) if moved is None else self._moved_on(moved)
        if state is not None:
            self._switch(state, h)
        elif self._few and h.numel() * points.shape[1] >= WORTHWHILE and points.shape[1] >= WIDE:
            state = self._first(h)
        gradient, offset = self._summed(h.gt_(0)) if state is None else (state.gradient, state.offset)
        self._state = state
        if state is not None and self._tile == 1 and h.dtype == torch.float32:
            self._last = points.clone()
        f = torch.linalg.vecdot(gradient, points)
        if self._bias is not None:
            f = f + offset
        if self._constant is not None:
            f = f + self._constant
        return f, gradient.view(x.shape)

    def _kept(self, rows: Tensor | None, n: int) -> _State | None:
        """Return what is known of these rows, None where that is nothing."""
        state, last, self._rows = self._state, self._rows, rows
        if state is None:
            return None
        if rows is None:
            return state if last is None and n == len(state.on) else None
        if last is None:
            place = rows
        elif len(last) == len(rows):
            return state if torch.equal(last, rows) else None
        else:
            place = torch.searchsorted(last, rows).clamp_max(len(last) - 1)
            if not torch.equal(last[place], rows):
                return None
        return state.at(place)

    def _preactivation(self, points: Tensor) -> Tensor:
        """Return h (n, m), in memory that the next call uses again."""
        n, m = len(points), len(self._weight)
        self._updates = 0
        filled = self._filled(points)
        if len(self._memory) < len(filled) or self._memory.dtype != points.dtype:
            self._memory = points.new_empty((len(filled), m))
        out = self._memory[: len(filled)]
        if self._bias is None:
            torch.mm(filled, self._weight.T, out=out)
        else:
            torch.addmm(self._bias, filled, self._weight.T, out=out)
        return out[:n]

    def _moved(self, points: Tensor, last: Tensor) -> Tensor | None:
        """Return how far ``points`` are from the last ones, (n, d), if that is 0 for most of their coordinates."""
        if len(points) != len(last) or self._updates >= FRESH:
            return None
        few = points[:: -(-len(points) // 8)] != last[:: -(-len(points) // 8)]
        if len(few.nonzero()) > MOVED * few.numel():
            return None
        self._could += len(points)
        if self._columns is None and self._could > AGAIN:
            self._columns = self._weight.T.contiguous()
        return points - last if self._columns is not None else None

    def _moved_on(self, moved: Tensor) -> Tensor:
        """Return the preactivations (n, m) after these moves of a few coordinates."""
        assert self._columns is not None
        row, coordinate = moved.nonzero(as_tuple=True)
        h = self._memory[: len(moved)]
        if len(row):
            starts = torch.searchsorted(row, torch.arange(len(moved)))
            h += F.embedding_bag(coordinate, self._columns, starts, mode="sum",
                                 per_sample_weights=moved[row, coordinate])  # fmt: skip
        self._updates += 1
        return h

    def _filled(self, matrix: Tensor) -> Tensor:
        n = len(matrix)
        return matrix[torch.arange(n + -n % self._tile, device=matrix.device) % n] if n % self._tile else matrix

    def _summed(self, on: Tensor) -> tuple[Tensor, Tensor]:
        """Return gradient and offset for the units that are ``on``, 1 or 0 in (n, m), which is overwritten."""
        slopes = self._filled(on.mul_(self._top))
        gradient = (slopes @ self._weight)[: len(on)]
        offset = gradient.new_zeros(len(on)) if self._bias is None else (slopes @ self._bias)[: len(on)]
        return gradient, offset

    def _first(self, h: Tensor) -> _State:
        m = h.shape[1]
        on = torch.zeros((len(h), -(-m // WORD) * WORD), dtype=torch.bool, device=h.device)
        torch.gt(h, 0, out=on[:, :m])
        return _State(on, *self._summed(on[:, :m].to(h.dtype)), on.sum(1), torch.zeros_like(on[:, 0], dtype=torch.long))

    def _switch(self, state: _State, h: Tensor) -> None:
        """Bring ``state`` to the preactivations ``h``."""
        n, m = h.shape
        on = torch.empty_like(state.on)
        torch.gt(h, 0, out=on[:, :m])
        on[:, m:] = False
        changed, state.on = state.on.logical_xor_(on), on
        words = changed.view(torch.int64).flatten().nonzero().squeeze(1)
        row = words // (on.shape[1] // WORD)
        few = torch.bincount(row, minlength=n) <= self._few * state.count
        words = words[few[row]]
        which, place = changed.view(-1, WORD)[words].nonzero(as_tuple=True)
        flat = words[which] * WORD + place
        row, unit = flat // on.shape[1], flat % on.shape[1]
        signs = on.view(-1)[flat].to(h.dtype).mul_(2).sub_(1)
        self._add(state, row, unit, signs * self._top[unit])
        state.count += torch.bincount(row, signs, n).long()
        state.switched += torch.bincount(row, minlength=n)
        self._renew(state, (~few | (state.switched > UPDATES * state.count)).nonzero().squeeze(1))

    def _add(self, state: _State, row: Tensor, unit: Tensor, gains: Tensor) -> None:
        """Add ``gains`` times the weights of the units, whose rows ascend."""
        if len(unit) == 0:
            return
        starts = torch.searchsorted(row, torch.arange(len(state.on), device=row.device))
        bags = F.embedding_bag(unit, self._weight, starts, mode="sum", per_sample_weights=gains)
        state.gradient = state.gradient + bags
        if self._bias is not None:
            state.offset = state.offset.index_add(0, row, gains * self._bias[unit])

    def _renew(self, state: _State, rows: Tensor) -> None:
        """Sum these rows afresh."""
        if len(rows) == 0:
            return
        on = state.on[:, : len(self._top)]
        if len(rows) == len(on):
            state.gradient, state.offset = self._summed(on.to(self._top.dtype))
        else:
            gradient, offset = self._summed(on[rows].to(self._top.dtype))
            state.gradient, state.offset = state.gradient.clone(), state.offset.clone()
            state.gradient[rows], state.offset[rows] = gradient, offset
        state.count[rows] = on[rows].sum(1)
        state.switched[rows] = 0
