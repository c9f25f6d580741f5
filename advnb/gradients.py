"""Loss and input gradient of a frozen network, with the checks and the chunks that attacks and criteria share.

No gradient of a parameter is ever computed here: a backward through the weights costs about a third of the input's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from advnb import checks, losses
from advnb.balls import Ball, check_ball
from advnb.losses import AnyLoss, Loss

__all__ = [
    "check_finite",
    "check_inside",
    "check_model",
    "check_problem",
    "checksum",
    "chunks",
    "few_outputs",
    "frozen",
    "loss_and_gradient",
    "outputs",
]  # fmt: skip

CPU_CHUNK = 64
"""Images a forward pass on a CPU: larger batches cost more a row there (page faults in the allocator)."""


def check_problem(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, loss: Loss, allow_train_mode: bool) -> None:
    """Raise unless model, examples, targets and ball fit together, as attacks and criteria need them to."""
    check_ball(ball)
    checks.eval_mode(model, allow_train_mode=allow_train_mode)
    ball.check_examples(x)
    loss.check_targets(y, len(x))
    checks.alike("y", y, "x", x, ("device",))


def check_model(model: nn.Module, x: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """Return a few outputs of ``model``; raised if a label of ``y`` has no logit, before anything else is computed."""
    output = few_outputs(model, x)
    loss.check_output(output, len(x[:2]), y)
    return output


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of ``model`` for ``x``; raises if it cannot take ``x``, or returns anything but a tensor."""
    try:
        output = model(x)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError) as error:
        what = f"x of shape {tuple(x.shape)} in {x.dtype} on {x.device}"
        raise ValueError(f"the model cannot take {what}: {error}") from error
    if not isinstance(output, Tensor):
        raise TypeError(f"the model must return its logits as a torch.Tensor; got {type(output).__name__}")
    return output


def few_outputs(model: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs for the first examples; raises as :func:`outputs`, and if the model writes into its input.

    Raises too if ``x`` was made in inference mode, where nothing has a gradient.
    """
    if x.is_inference():
        raise ValueError("x must be able to have a gradient, and was made in torch.inference_mode(): give x.clone()")
    few = x.detach()[:2].clone()  # two: BatchNorm in train mode refuses a batch of one
    with torch.no_grad():
        output = outputs(model, few)

    def judge(changed: float) -> None:
        if changed:
            raise ValueError("the model changes its input x in place: it must make a tensor of its own")

    checks.look((few != x.detach()[:2]).any(), judge)
    return output


def check_inside(name: str, x_adv: Tensor, x: Tensor, ball: Ball) -> None:
    """Raise unless ``x_adv`` is a batch like ``x`` inside the ball around it."""
    checks.alike(name, checks.images(name, x_adv), "x", x)
    n = len(x)

    def judge(outside: float, by: float) -> None:
        if outside:
            raise ValueError(
                f"{name} must lie in the ball of radius {ball.eps:g} around x, and in its box; {int(outside)} of "
                f"{n} examples do not, by up to {by:.3g}"
            )

    outside, by = ~ball.contains(x_adv, x), ball.violation(x_adv, x)
    checks.look(torch.stack([outside.sum().to(by.dtype), by.max()]), judge)


def chunks(x: Tensor, size: int | None) -> list[slice]:
    """Return the rows of ``x`` that go through the network at a time, :data:`CPU_CHUNK` images on a CPU by default."""
    if size is None:
        size = CPU_CHUNK if x.device.type == "cpu" and x.ndim == 4 else len(x)
    size = checks.count("chunk", size)
    return [slice(first, first + size) for first in range(0, len(x), size)]


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Switch off the gradients of ``model``'s parameters inside the block, and leave the model as it was.

    The parameters' ``requires_grad`` flags come back also after an error. A model in train mode gets its
    buffers back too: BatchNorm would otherwise learn its statistics from the attack.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    training = any(part.training for part in model.modules())
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()] if training else []
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield model
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
        with torch.no_grad():
            for buffer, saved in buffers:
                buffer.copy_(saved)


def loss_and_gradient(
    model: nn.Module, x: Tensor, y: Tensor, loss: AnyLoss = "cross_entropy"
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss (n,), its gradient with respect to ``x`` (shaped like ``x``) and the model's output.

    One forward and one backward pass; no gradient of any parameter is computed when the caller holds
    :func:`frozen`. Raises if the loss is reduced or does not depend on ``x``.
    """
    loss = losses.resolve(loss)
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = model(x)
        per_example = losses.values(loss, output if output.dtype == torch.float64 else output.float(), y)
        grad = None
        if per_example.requires_grad:
            (grad,) = torch.autograd.grad(per_example.sum(), x, allow_unused=True)
        if grad is None:
            raise ValueError("the loss does not depend on x: does the model detach its input or run without gradients?")
    return per_example.detach(), grad, output.detach()


def checksum(grad: Tensor) -> Tensor:
    """Return 0 for each row of ``grad`` (n, ...) and NaN for one that holds NaN or infinity, shape (n,).

    A plain sum would also be infinite where it overflows, and every entry is finite.
    """
    return (grad.flatten(1) * 0).sum(1)


def check_finite(checksums: Tensor) -> None:
    """Raise if the :func:`checksum` of some gradients (n,) is not 0, with how many there are."""
    n = len(checksums)

    def judge(bad: float) -> None:
        if bad:
            raise checks.NotFinite(
                f"the gradient of the loss is NaN or infinite for {int(bad)} of {n} examples: "
                "check the model's weights and the size of its logits"
            )

    checks.look(checksums.isnan().sum(), judge)
