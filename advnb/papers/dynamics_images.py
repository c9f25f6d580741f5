"""Question 2 on images: escape from local maxima against input scale (Deng et al., section 5.1, Figures 2 and 3).

A binary classifier has two logits and one signed margin m(x') = y (z_1 - z_0), with y = +1 for odd digits and -1
for even ones. The objective that projected gradient descent minimises over ||x' - x|| <= eps is L = sign * l(m):
``"minus"`` is section 3 (L = -l, so a local maximum of L is the *weakest* adversary, with a loss near zero), and
``"plus"`` is L = +l (a local maximum is the *strongest* adversary, as in appendix A). A trajectory starts at a
local maximum of L and runs downhill; how long it takes to leave is the question.

What the paper leaves open is a named parameter here: the sign (``convention``), the loss, what an input scale is
(``units``), the version of the CNN (``version``), how the start is found (``climb``) and the step (``step``).
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from advnb import checks
from advnb.attacks import StepSize, ZeroGradientWarning, ascend, pgd
from advnb.balls import L2
from advnb.data import Dataset, Split, load, unit_norm
from advnb.experiments import Experiment, Tolerance
from advnb.losses import frozen, loss_and_gradient
from advnb.models import example_cnn, initialise
from advnb.papers.dynamics.losses import ScalarLoss, scalar_loss
from advnb.papers.dynamics.problem import CONVENTIONS
from advnb.results import unroll
from advnb.training import Standard, fit

UNITS = ("norm", "pixels")
RULES = ("constant", "relative")
LEARNING_RATE = 1.0
"""The paper's step for both phases (appendix B.1): lr times the raw gradient."""
RELATIVE_STEP = 0.02
"""Step of the eps-relative rule, as a share of eps, along the unit gradient."""
STEPS = {"constant": 1000, "relative": 400}
"""Steps of a trajectory: the paper's 1000, and eight times across the ball."""
SETTLE = 200
"""Shrinking relative steps that settle at a local maximum or minimum."""
SHARES = (0.5, 0.9)
"""Shares of the loss range at which a trajectory counts as escaped."""
SHOWN_IMAGES = 3
TEST_IMAGES = 500

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """One classifier, a batch of images with labels -1/+1, their ball and the objective L = sign * l(m).

    ``net`` returns two logits an image; ``x`` (n, ...) is in the units of the input scale; ``loss`` names a
    scalar loss of the margin and ``convention`` its sign.
    """

    net: nn.Module
    x: Tensor
    y: Tensor
    ball: L2
    loss: str = "cross_entropy"
    convention: str = "minus"

    def __post_init__(self) -> None:
        scalar_loss(self.loss)
        checks.choice("convention", self.convention, CONVENTIONS)
        checks.images("x", self.x)
        checks.real_targets(self.y, len(self.x), signs=True)
        checks.eval_mode(self.net)

    @property
    def sign(self) -> float:
        """+1 or -1: the sign of the loss in L."""
        return CONVENTIONS[self.convention]

    @property
    def scalar(self) -> ScalarLoss:
        """The loss as a function of the margin (the target of the margin is 1)."""
        return scalar_loss(self.loss)

    def objective(self, margin: Tensor) -> Tensor:
        """L at the given margins, like ``margin``."""
        return self.sign * self.scalar.value(margin, torch.ones_like(margin))

    def height(self, margin: Tensor) -> Tensor:
        """A stand-in for L that does not saturate: for the cross entropy the margin, signed to rise with L; else L."""
        return -self.sign * margin if self.loss == "cross_entropy" else self.objective(margin)

    def margin(self, points: Tensor) -> Tensor:
        """m at points (n, ...) around the n images, shape (n,)."""
        with torch.no_grad():
            return signed_margin(self.net(points), self.y)

    def margin_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """m (n,) and its gradient, like ``points``."""
        with frozen(self.net):
            margin, grad, _ = loss_and_gradient(self.net, points, self.y, signed_margin)
        return margin, grad


def signed_margin(output: Tensor, y: Tensor) -> Tensor:
    """m = y (z_1 - z_0) for logits (n, 2) and labels y in {-1, +1}, shape (n,)."""
    return y * (output[:, 1] - output[:, 0])


def travel(
    scene: Scene, start: Tensor, *, uphill: bool, rule: str, steps: int, size: StepSize
) -> tuple[Tensor, Tensor]:
    """Projected gradient ascent (``uphill``) or descent on L; returns the end and the margins (steps + 1, n).

    ``rule="constant"`` moves by ``size`` times the raw gradient of L, as the paper does. ``"relative"`` moves by
    ``size * eps`` along its direction, which is that of the margin's gradient up to sign, whatever the loss: so
    it is taken from there, where it cannot underflow.
    """
    checks.choice("rule", rule, RULES)
    sign = scene.sign if uphill else -scene.sign
    slope = scene.scalar.slope if rule == "constant" else scene.scalar.sign

    def force(points: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        labels = scene.y if rows is None else scene.y[rows]
        margin, grad, _ = loss_and_gradient(scene.net, points, labels, signed_margin)
        weight = sign * slope(margin, torch.ones_like(margin))
        return margin, _per_row(weight, grad) * grad

    eps = scene.ball.eps
    relative = (lambda k: eps * size(k)) if callable(size) else eps * size
    with frozen(scene.net):
        end, trace = ascend(
            force,
            scene.x,
            scene.ball,
            start=start,
            steps=checks.count("steps", steps),
            step_size=size if rule == "constant" else relative,
            direction="gradient" if rule == "constant" else "steepest",
            trace=True,
        )
    return end, trace.loss


def shrinking(first: float = 0.2, last: float = 1e-3, steps: int = 200) -> StepSize:
    """Relative steps that fall geometrically from ``first`` to ``last``: travels across the ball, then settles."""
    ratio = (last / first) ** (1 / max(1, steps - 1))
    return lambda k: first * ratio**k


def escape_steps(path: Tensor, goal: Tensor, share: float) -> Tensor:
    """First step at which ``share`` of the way from ``path[0]`` down to ``goal`` is covered, shape (n,).

    ``path`` (steps + 1, n) holds a quantity that falls, such as L; ``goal`` (n,) its value at the local minimum.
    Infinite where the path never gets there, NaN where there was nothing to cover.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1]; got {share!r}")
    depth = path[0] - goal
    covered = path[0] - path >= share * depth
    first = covered.to(torch.int8).argmax(0).to(path.dtype)
    first = torch.where(covered.any(0), first, torch.inf)
    return torch.where(depth > 0, first, torch.nan)


def linear_steps(share: float, eps: float, gradient: Tensor, size: float, rule: str) -> Tensor:
    """Steps that cover ``share`` of the range of a linear L, straight across the ball from its maximum.

    The diameter is 2 eps: ``2 share eps / (lr ||dL||)`` steps for the constant rule with lr = ``size``, and
    ``2 share / size`` for the relative one, whatever eps and the gradient.
    """
    if checks.choice("rule", rule, RULES) == "relative":
        return torch.full_like(gradient, 2 * share / size)
    return 2 * share * eps / (size * gradient)


def cross_entropy_steps(begin: Tensor, end: Tensor, gradient: Tensor, lr: float) -> tuple[Tensor, Tensor]:
    """Steps from margin ``begin`` to ``end`` by raw gradient steps on the cross entropy of a linear margin.

    The margin moves by lr ||dm||^2 sigmoid(-m) a step, and 1 / sigmoid(-m) = 1 + e^m, so the time has two parts:
    *travel*, |m_end - m_begin| / (lr ||dm||^2), what a loss of slope one would take, and *saturation*,
    |e^m_end - e^m_begin| / (lr ||dm||^2), what the vanishing slope of the loss adds. Both (n,), small steps assumed.
    """
    pace = lr * gradient**2
    return (end - begin).abs() / pace, (end.exp() - begin.exp()).abs() / pace


def predicted_steps(
    start: Tensor, floor: Tensor, gradient: Tensor, share: float, lr: float = LEARNING_RATE
) -> tuple[Tensor, Tensor]:
    """Travel and saturation steps (see :func:`cross_entropy_steps`) to ``share`` of the cross entropy's range.

    ``start`` and ``floor`` are the margins at the two ends and ``gradient`` the norm ||dm||, all (n,): what is needed
    to foresee an escape time without running a step, if the margin is linear on the ball.
    """
    begin, end = (nn.functional.softplus(-margin, threshold=40.0) for margin in (start, floor))
    target = begin + share * (end - begin)
    return cross_entropy_steps(start, -target - torch.log(-torch.expm1(-target)), gradient, lr)


class Maximum(NamedTuple):
    """How far a point is from being a local maximum of L in the ball; all of shape (n,).

    All three look at the margin, signed so that L rises with it: a maximum of one is a maximum of the other, and the
    margin does not saturate. ``slack`` is max over the ball of <x' - point, g> / (eps ||g||) with g its gradient: 0
    exactly at a first-order maximum, 1 at a point of the sphere whose gradient is tangent, 2 at the opposite point.
    ``curvature`` is the largest second difference along sampled great circles, over an arc, in units of
    eps ||g||: -1 for a linear margin at its maximum, negative at a strict maximum. ``beaten`` is the share of the
    sampled points that lie above the point.
    """

    slack: Tensor
    curvature: Tensor
    beaten: Tensor


def local_maximum(
    scene: Scene, point: Tensor, *, circles: int = 8, arc: float = 0.05, generator: torch.Generator
) -> Maximum:
    """Check the first- and second-order conditions of a local maximum of L at ``point`` (n, ...), kinks included.

    The first great circle follows the tangent gradient, where there is one; the others are random. A second difference
    over a finite ``arc`` (radians) sees the kinks of a ReLU net, which a Hessian does not. Points inside the ball are
    moved along circles of their own radius.
    """
    margin, grad = scene.margin_gradient(point)
    rises = scene.sign * scene.scalar.sign(margin, torch.ones_like(margin))
    grad = _per_row(rises, grad) * grad
    scale = scene.ball.eps * grad.flatten(1).norm(dim=1)
    slack = (scene.ball.gap(grad, point, scene.x) / scale).nan_to_num(0.0)
    delta = (point - scene.x).flatten(1)
    arm = delta.norm(dim=1, keepdim=True)
    normal = delta / arm
    steep = _tangent(grad.flatten(1), normal)
    worst, beaten = torch.full_like(margin, -torch.inf), torch.zeros_like(margin)
    for k in range(circles):
        noise = torch.randn(delta.shape, generator=generator, dtype=delta.dtype).to(delta.device)
        use_noise = (k > 0) | (
            steep.norm(dim=1, keepdim=True) <= 1e-9 * grad.flatten(1).norm(dim=1, keepdim=True)
        )
        tangent = _tangent(torch.where(use_noise, noise, steep), normal)
        tangent = tangent / tangent.norm(dim=1, keepdim=True)
        ends = [arm * (math.cos(arc) * normal + s * math.sin(arc) * tangent) for s in (1, -1)]
        change = [rises * (scene.margin(scene.x + end.view_as(point)) - margin) for end in ends]
        worst = torch.maximum(worst, (change[0] + change[1]) / (arc**2 * scale))
        beaten += (change[0] > 0).to(margin.dtype) + (change[1] > 0).to(margin.dtype)
    return Maximum(slack, worst.nan_to_num(0.0), beaten / (2 * circles))


def _tangent(direction: Tensor, normal: Tensor) -> Tensor:
    """Rows (n, d) without their part along the unit rows ``normal``."""
    return direction - (direction * normal).sum(1, keepdim=True) * normal


def classifier(version: str, *, seed: int) -> nn.Module:
    """The MNIST network of the PyTorch examples with two outputs, without dropout and without normalisation.

    ``"2017"``: convolutions 5x5 with 10 and 20 filters, each with 2x2 max-pool and ReLU; dense 50. ``"2019"``: 3x3 with
    32 and 64 filters, one pool; dense 128. Both had dropout to take out; the paper does not say which it used.
    """
    generator = torch.Generator().manual_seed(seed)
    if checks.choice("version", version, ("2017", "2019")) == "2019":
        net = example_cnn(classes=2, normalisation=None, generator=generator)
        return nn.Sequential(*(layer for layer in net.children() if not isinstance(layer, nn.Dropout))).eval()
    with torch.device("meta"):
        net = nn.Sequential(
            *(
                nn.Conv2d(1, 10, 5),
                nn.MaxPool2d(2),
                nn.ReLU(),
                nn.Conv2d(10, 20, 5),
                nn.MaxPool2d(2),
                nn.ReLU(),
            ),
            *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 2)),
        )
    return initialise(net.to_empty(device="cpu"), generator).eval()


# -- Figure 2 --------------------------------------------------------------------------------------------------


def draw_scene(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    loss: str,
    convention: str,
    images: int,
    seed: int,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Scene:
    """A freshly initialised network and ``images`` test images, half of them odd, with eps = ratio * mean ||x||.

    ``units="norm"`` gives every image the Euclidean norm ``scale``; ``"pixels"`` multiplies pixels in [0, 1] by it,
    which makes eps about 9 times larger on MNIST.
    """
    net = classifier(version, seed=seed).to(device, dtype).eval()
    split = parity(data).test.subset(images, seed=seed).to(device, dtype)
    x = at_scale(split.x, scale, units)
    eps = ratio * float(x.flatten(1).norm(dim=1).mean())
    return Scene(net, x, split.y, L2(eps), loss, convention)


def at_scale(x: Tensor, scale: float, units: str) -> Tensor:
    """Images in [0, 1] at an input scale: see :func:`draw_scene`."""
    checks.positive("scale", scale)
    if checks.choice("units", units, UNITS) == "pixels":
        return scale * x
    return scale * unit_norm(x).view_as(x)


@lru_cache(maxsize=2)
def parity(data: str) -> Dataset:
    """Digits or MNIST as odd (+1) against even (-1), at 28 x 28 pixels."""
    return load(data, progress=False).resize(28).odd_even()


def escape(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    loss: str,
    convention: str,
    climb: str,
    step: str,
    images: int,
    lr: float = LEARNING_RATE,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Figure 2: climb to a local maximum of L from a random start, then run downhill (section 5.1, B.1).

    ``climb="constant"`` is the paper's way up, 1000 steps at learning rate ``lr``; ``"relative"`` takes shrinking
    steps of a share of eps, which settle. ``step`` is the rule of the way down. The fields are those of
    :func:`run_escape`.
    """
    scene = draw_scene(data=data, version=version, scale=scale, ratio=ratio, units=units, loss=loss,
                       convention=convention, images=images, seed=seed, device=device, dtype=dtype)  # fmt: skip
    return run_escape(scene, climb=climb, step=step, lr=lr, seed=seed)


def run_escape(scene: Scene, *, climb: str, step: str, seed: int, lr: float = LEARNING_RATE) -> Numbers:
    """Climb, check the maximum, run down; plain numbers, one entry an image.

    ``margin_*``: at the clean image, where the climb ended (start), at the end of the way down, at the best
    maximum (peak) and minimum (floor) that shrinking relative steps reach. ``gain``: what the peak adds to the
    start, as a share of the range from floor to peak. ``travelled``: the way from random start to start, over eps.
    ``loss_half`` ... ``height_ninety``: :func:`escape_steps` of L and of the margin. ``path``: margins at
    :func:`shown_steps` for the first images.
    """
    generator = torch.Generator().manual_seed(seed)
    start = scene.ball.sample(scene.x, generator=generator)
    size = {"constant": lr, "relative": RELATIVE_STEP}
    top = start_from(scene, start, climb=climb, lr=lr)
    _, up = travel(scene, top, uphill=True, rule="relative", steps=SETTLE, size=shrinking())
    _, down = travel(scene, top, uphill=False, rule="relative", steps=SETTLE, size=shrinking())
    _, path = travel(scene, top, uphill=False, rule=step, steps=STEPS[step], size=size[step])
    margin, grad = scene.margin_gradient(scene.x)
    _, grad_start = scene.margin_gradient(top)
    check = local_maximum(scene, top, generator=generator)
    height = scene.height(path)
    floor = torch.minimum(scene.height(down[-1]), height.amin(0))
    peak = torch.maximum(scene.height(up[-1]), height[0])
    goal = torch.minimum(scene.objective(down[-1]), scene.objective(path).amin(0))
    first = {
        f"{yardstick}_{name}": escape_steps(values, end_value, share)
        for yardstick, values, end_value in (("loss", scene.objective(path), goal), ("height", height, floor))
        for name, share in zip(("half", "ninety"), SHARES, strict=True)
    }
    fields = {
        "margin_clean": margin,
        "margin_start": path[0],
        "margin_end": path[-1],
        "margin_peak": up[-1],
        "margin_floor": down[-1],
        "gradient_clean": grad.flatten(1).norm(dim=1),
        "gradient_start": grad_start.flatten(1).norm(dim=1),
        "slack": check.slack,
        "curvature": check.curvature,
        "beaten": check.beaten,
        "gain": (peak - height[0]) / (peak - floor),
        "travelled": scene.ball.norm(top - start) / scene.ball.eps,
        "radius": scene.ball.norm(top - scene.x) / scene.ball.eps,
        **first,
        "path": path[shown_steps(step), :SHOWN_IMAGES].T,
    }
    return {"eps": scene.ball.eps, **{name: rounded(value) for name, value in fields.items()}}


def start_from(scene: Scene, start: Tensor, *, climb: str, lr: float = LEARNING_RATE) -> Tensor:
    """The local maximum of L where a climb from ``start`` ends, by the paper's steps or by shrinking relative ones."""
    if checks.choice("climb", climb, RULES) == "relative":
        return travel(scene, start, uphill=True, rule=climb, steps=SETTLE, size=shrinking())[0]
    return travel(scene, start, uphill=True, rule=climb, steps=STEPS[climb], size=lr)[0]


PER_IMAGE = (
    *(
        "margin_clean",
        "margin_start",
        "margin_end",
        "margin_peak",
        "margin_floor",
        "gradient_clean",
        "gradient_start",
    ),
    *("slack", "curvature", "beaten", "gain", "travelled", "radius"),
    *("loss_half", "loss_ninety", "height_half", "height_ninety"),
)
"""Fields of :func:`run_escape` that hold one number an image."""


def per_image(table: pd.DataFrame) -> pd.DataFrame:
    """Trials of :func:`escape` with one row an image, and what :func:`predicted_steps` foresees from the clean image.

    ``travel`` and ``saturation`` are steps to half of the range of the cross entropy at the trial's learning rate, with
    the gradient at the clean image; NaN for another loss.
    """
    rows = unroll(table.drop(columns="path"), list(PER_IMAGE), index="image")
    lr = rows["lr"].fillna(LEARNING_RATE) if "lr" in rows else pd.Series(LEARNING_RATE, rows.index)
    start, floor, gradient = (
        torch.tensor(rows[name].to_numpy(dtype=float))
        for name in ("margin_start", "margin_floor", "gradient_clean")
    )
    parts = pd.DataFrame(torch.stack(predicted_steps(start, floor, gradient, SHARES[0], 1.0), dim=1).numpy())
    parts = parts.div(lr, axis=0).where(rows["loss"] == "cross_entropy")
    eps = rows["eps"].map("{:.5g}".format).astype(float)  # equal radii are to be equal numbers
    return rows.assign(eps=eps, travel=parts[0], saturation=parts[1])


def shown_steps(rule: str) -> list[int]:
    """Steps at which a stored trajectory is kept: all of the first eight, then geometrically to the last."""
    last = STEPS[checks.choice("rule", rule, RULES)]
    return sorted({*range(8), *(round(8 * (last / 8) ** (k / 25)) for k in range(26))})


def rounded(values: Tensor, digits: int = 6) -> list[float]:
    """``values`` as nested lists of floats with so many significant digits, which keeps stored runs small."""
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]  # type: ignore[misc]
    return [float(f"{value:.{digits - 1}e}") for value in values.tolist()]


# -- what float32 does ------------------------------------------------------------------------------------------


def precision(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    images: int,
    seed: int,
    device: str,
) -> Numbers:
    """Trial: the cross entropy of two logits as a script would write it, in float32 and float64, convention "minus".

    From one local maximum in float64. For each dtype (suffix 32 or 64), an entry an image: ``zero``, whether the
    gradient of the loss is exactly zero there; ``cosine`` with the exact direction; and the share of the margin's
    range that 400 steps cover, ``constant`` with raw steps at lr 1 and ``relative`` with steps of 0.02 eps along the
    gradient that this dtype returns.
    """
    scene = draw_scene(data=data, version=version, scale=scale, ratio=ratio, units=units, loss="cross_entropy",
                       convention="minus", images=images, seed=seed, device=device)  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    top = start_from(scene, scene.ball.sample(scene.x, generator=generator), climb="relative")
    _, down = travel(scene, top, uphill=False, rule="relative", steps=SETTLE, size=shrinking())
    fields = {"margin_start": down[0], "margin_floor": down[-1]}
    for suffix, dtype in (("32", torch.float32), ("64", torch.float64)):
        shares = _plain_script(scene, top, dtype)
        covered = {name: (down[0] - m) / (down[0] - down[-1]) for name, m in shares.items() if name in RULES}
        fields |= {f"{name}{suffix}": value for name, value in (shares | covered).items()}
    return {"eps": scene.ball.eps, **{name: rounded(value) for name, value in fields.items()}}


def _plain_script(scene: Scene, top: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """Gradient at ``top`` and margins after raw and relative steps on ``cross_entropy`` in ``dtype``; all (n,)."""
    net, x, start = copy.deepcopy(scene.net).to(dtype), scene.x.to(dtype), top.to(dtype)
    start, labels = scene.ball.project(start, x), class_index(scene.y)
    _, exact = scene.margin_gradient(top)
    with frozen(net), warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)
        _, grad, _ = loss_and_gradient(net, start, labels, "cross_entropy")
        sizes = {"constant": LEARNING_RATE, "relative": RELATIVE_STEP * scene.ball.eps}
        ends = {
            rule: pgd(net, x, labels, scene.ball, steps=STEPS["relative"], step_size=size, start=start,
                      direction="gradient" if rule == "constant" else "steepest")
            for rule, size in sizes.items()
        }  # fmt: skip
    size = grad.flatten(1).abs().amax(1)
    unit = grad.flatten(1).to(exact.dtype) / size[:, None]  # so that no square underflows; NaN where zero
    cosine = nn.functional.cosine_similarity(-exact.flatten(1), unit)
    margins = {rule: scene.margin(end.to(top.dtype)) for rule, end in ends.items()}
    return {"zero": (size == 0).to(top.dtype), "cosine": cosine, **margins}


def class_index(y: Tensor) -> Tensor:
    """Labels -1 and +1 as the classes 0 and 1."""
    return (y > 0).long()


# -- Figure 3 --------------------------------------------------------------------------------------------------


def along_training(
    *,
    data: str,
    version: str,
    scale: float,
    ratio: float,
    units: str,
    lr: float,
    optimizer: str,
    epochs: list[int],
    examples: int,
    images: int,
    seed: int,
    device: str,
    dtype: torch.dtype,
) -> Numbers:
    """Trial of Figure 3: escapes of networks along adversarial training, at the given ``epochs`` (0 comes first).

    SGD without momentum (or Adam) at ``lr``, batches of 64, on ``examples`` training images (half odd), against 5
    PGD steps of eps / 2 along the unit gradient; the paper gives the learning rate, 0.01 r, and the number of images.
    One list an epoch: the accuracies, ``moved`` (distance of the weights from the initial ones over their norm),
    ``spread`` (standard deviation over the training images of z_1 - z_0: 0 for a constant classifier), and the
    fields of :func:`run_escape` that Figure 3 needs, with the step rule in front.
    """
    scene = draw_scene(data=data, version=version, scale=scale, ratio=ratio, units=units, loss="cross_entropy",
                       convention="minus", images=images, seed=seed, device=device, dtype=dtype)  # fmt: skip
    train = parity(data).train.subset(examples, seed=seed).to(device, dtype)
    train = Split(at_scale(train.x, scale, units), class_index(train.y))
    test = parity(data).test.subset(TEST_IMAGES, seed=seed + 1).to(device, dtype)
    test = Split(at_scale(test.x, scale, units), class_index(test.y))
    initial = nn.utils.parameters_to_vector(scene.net.parameters()).detach().clone()
    rows: list[Numbers] = []

    def look(net: nn.Module, row: Mapping[str, Any]) -> None:
        if row["epoch"] in epochs:
            rows.append({**_accuracies(net, train, test, initial, scene.ball, seed), **_escapes(scene, seed)})

    look(scene.net, {"epoch": 0})
    defence = Standard(scene.ball, steps=5, step_size=scene.ball.eps / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroGradientWarning)  # a network that has become constant
        fit(scene.net, train, defence, epochs=max(epochs), batch=64, lr=lr, momentum=0.0, weight_decay=0.0,
            optimizer=optimizer, seed=seed, callback=look, progress=False)  # fmt: skip
    return {"eps": scene.ball.eps, **{name: [row[name] for row in rows] for name in rows[0]}}


@torch.no_grad()
def _accuracies(
    net: nn.Module, train: Split, test: Split, initial: Tensor, ball: L2, seed: int
) -> dict[str, float]:
    logits = net(train.x)
    weights = nn.utils.parameters_to_vector(net.parameters())
    generator = torch.Generator().manual_seed(seed)
    crafted = pgd(net, train.x, train.y, ball, steps=10, loss="margin", generator=generator)
    values = {
        "train_accuracy": (logits.argmax(1) == train.y).double().mean(),
        "test_accuracy": (net(test.x).argmax(1) == test.y).double().mean(),
        "adversarial_accuracy": (net(crafted).argmax(1) == train.y).double().mean(),
        "moved": (weights - initial).norm() / initial.norm(),
        "spread": (logits[:, 1] - logits[:, 0]).std(),
    }
    return {name: rounded(value[None])[0] for name, value in values.items()}


FIG3_FIELDS = (
    "margin_start",
    "margin_peak",
    "margin_floor",
    "gradient_clean",
    "gain",
    "loss_half",
    "loss_ninety",
    "path",
)


def _escapes(scene: Scene, seed: int) -> Numbers:
    """The trajectories of Figure 3 on the network as it is now, under both step rules."""
    runs = {rule: run_escape(scene, climb=rule, step=rule, seed=seed) for rule in RULES}
    return {f"{rule}_{name}": run[name] for rule, run in runs.items() for name in FIG3_FIELDS}


def _per_row(weight: Tensor, like: Tensor) -> Tensor:
    return weight.view(-1, *[1] * (like.ndim - 1))


# -- the experiments -------------------------------------------------------------------------------------------

SCALES = [0.1, 10.0, 1000.0]
RATIOS = [10.0, 1.0, 0.1, 0.01, 0.001]
RUNS = (("constant", "constant"), ("relative", "constant"), ("relative", "relative"))
"""(climb, step): the paper's trajectory; the same from a settled maximum; all in shares of eps."""

_PLAIN = {"units": "norm", "loss": "cross_entropy"}
_DIGITS = {"data": "digits", "version": "2017", "images": 2, "scale": SCALES, "ratio": [10.0, 0.001]} | _PLAIN
_MNIST = {"data": "mnist", "version": "2017", "images": 6, "scale": SCALES, "ratio": RATIOS} | _PLAIN
_FULL = _MNIST | {"version": "2019", "images": 20}


def _runs(grid: Mapping[str, Any], runs: Iterable[tuple[str, str]] = RUNS) -> list[dict[str, Any]]:
    return [{**grid, "climb": climb, "step": step} for climb, step in runs]


_ENDS = (RUNS[0], RUNS[2])
_SAME_RADIUS = [{"scale": a, "ratio": b} for a, b in ((0.1, 10.0), (1000.0, 0.001))]
_THREE = _MNIST | {"ratio": [10.0, 0.1, 0.001]}
_FEW = _MNIST | {"ratio": [10.0, 0.001], "convention": "minus", "images": 3}

FIG2 = Experiment(
    "dynamics.fig2",
    escape,
    grids={
        "live": _runs(_DIGITS | {"convention": "minus"}, _ENDS),
        "laptop": [
            *_runs(_MNIST | {"convention": "minus"}, _ENDS),
            *_runs(_THREE | {"convention": "minus"}, RUNS[1:2]),
            *_runs(_THREE | {"convention": "plus"}, _ENDS),
        ],
        "full": _runs(_FULL | {"convention": ["minus", "plus"]}),
    },
    seeds={"live": 1, "laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
)
"""Figure 2: scales x ratios, both conventions, the paper's steps and eps-relative ones."""

FIG2_CHOICES = Experiment(
    "dynamics.fig2_choices",
    escape,
    grids={
        scale: [
            *_runs(grid | {"units": "pixels"}, _ENDS),
            *_runs(grid | {"loss": "squared"}, _ENDS),
            *_runs(
                grid | {"scale": [10.0, 1000.0], "ratio": 10.0, "lr": [1e2, 1e4]}, [("relative", "constant")]
            ),
            *(
                run
                for cell in _SAME_RADIUS
                for run in _runs(grid | cell | {"version": "2019", "images": images}, _ENDS)
            ),
        ]
        for scale, grid, images in (("laptop", _FEW, 2), ("full", _FULL | {"convention": "minus"}, 20))
    },
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-3, atol=1e-6),
)
"""What the paper leaves open, one choice changed at a time: units, loss, learning rate, version of the CNN."""

FIG2_PRECISION = Experiment(
    "dynamics.fig2_precision",
    precision,
    grids={
        "laptop": {"data": "mnist", "version": "2017", "scale": SCALES, "ratio": [10.0, 0.1, 0.001], "units": "norm",
                   "images": 6},
        "full": {"data": "mnist", "version": "2019", "scale": SCALES, "ratio": RATIOS, "units": "norm", "images": 20},
    },
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-3),
)  # fmt: skip
"""The same start in float32 and float64."""


def _training(version: str, images: int, ratios: Iterable[float]) -> list[dict[str, Any]]:
    grid = {"data": "mnist", "version": version, "units": "norm", "epochs": [[0, 10, 100]], "examples": 200,
            "images": images}  # fmt: skip
    paper = [{**grid, "scale": 0.1, "ratio": r, "lr": 0.01 * r, "optimizer": "sgd"} for r in ratios]
    return [*paper, {**grid, "units": "pixels", "scale": 1.0, "ratio": 0.1, "lr": 1e-3, "optimizer": "adam"}]


FIG3 = Experiment(
    "dynamics.fig3",
    along_training,
    grids={"laptop": _training("2017", 3, [10.0, 0.1, 0.001]), "full": _training("2019", 20, RATIOS)},
    seeds={"laptop": 3, "full": 10},
    dtype="float64",
    tolerance=Tolerance(rtol=1e-2, atol=1e-5),
)
"""Figure 3 at the paper's learning rates, and one setting in which the network learns."""
