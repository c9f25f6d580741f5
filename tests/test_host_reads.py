"""How often the host reads from the device: an accelerator stands still meanwhile, so it must not be once a step.

Tensors on the ``meta`` device have no values: whatever needs one raises, and so does an operation that mixes devices.
What runs there waits for no accelerator and makes no tensor on the host.
"""

from __future__ import annotations

import re
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from advnb import attacks, checks, gradients
from advnb.attacks import ZeroGradientWarning, cw, fgsm, pgd
from advnb.balls import L2, Linf
from advnb.data import load
from advnb.models import digits_cnn
from advnb.training import Curriculum, Dynamic, FGSMThenPGD, Standard, Unsecured, fit, loop
from advnb.training.loop import Run

BALL = Linf(0.2)


class Elsewhere(TorchDispatchMode):
    """Notes the operations whose result is not on the ``meta`` device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.seen += [str(func)] if isinstance(result, Tensor) and result.device.type != "meta" else []
        return result


@pytest.fixture
def nowhere() -> tuple[nn.Module, Tensor, Tensor]:
    """A model with images and labels that have shapes only."""
    return (
        digits_cnn().to("meta").eval(),
        torch.empty(20, 1, 8, 8, device="meta"),
        torch.empty(20, dtype=torch.int64, device="meta"),
    )


# --- attacks and defences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ball", [BALL, L2(0.5)], ids=str)
@pytest.mark.parametrize("options", [{}, {"trace": "x"}, {"fosc_below": 0.1}, {"fosc_below": 0.1, "trace": True}])
def test_an_attack_waits_for_no_device(nowhere, ball, options):
    model, x, y = nowhere
    with checks.Later(), Elsewhere() as elsewhere:
        for attack in (partial(pgd, steps=3), fgsm, partial(cw, steps=3)):
            result = attack(model, x, y, ball, **options)
            x_adv = result[0] if isinstance(result, tuple) else result
            assert x_adv.shape == x.shape
    assert elsewhere.seen == []


def test_the_numbers_that_wait_do_not_grow_with_the_steps(nowhere):
    counts = []
    for steps in (2, 9):
        with checks.Later() as later:
            pgd(*nowhere, BALL, steps=steps, fosc_below=0.1, trace=True)
        counts.append(len(later))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "make",
    [
        Standard,
        partial(Standard, random_start=False, loss="margin"),
        partial(Curriculum, until=1),
        partial(FGSMThenPGD, until=1),
        partial(Dynamic, until=3, c_max=0.1),
        partial(Dynamic, until=3, c_max=0.1, box_aware=False),
    ],
)
@pytest.mark.parametrize("train_mode", [False, True])
def test_a_defence_waits_for_no_device(nowhere, make, train_mode):
    model, x, y = nowhere
    defence, sizes = make(BALL, steps=3, train_mode=train_mode), []
    model.train(train_mode)
    for epoch in (1, 2):
        with checks.Later() as later, Elsewhere() as elsewhere:
            start = x if not defence.random_start else BALL.project(torch.rand_like(x), x)
            x_adv = defence.craft(model, x, y, epoch=epoch, generator=None, start=start)
        assert x_adv.shape == x.shape and elsewhere.seen == []
        sizes.append(len(later))
    assert max(sizes) < 20


class Reads(TorchFunctionMode):
    """Counts what would make the host wait for an accelerator: values that become Python numbers or numpy's."""

    NAMES = ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "nonzero", "cpu")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.ops = Scalars(self.seen)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in self.NAMES and isinstance(args[0], Tensor):
            self.seen.append(name)
            with torch._C.DisableTorchFunction():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class Scalars(TorchDispatchMode):
    """The same for operations that read inside torch, and copies from one device to another.

    ``equal`` is left out: it is what a ``Folding`` compares weights with, on a CPU alone.
    """

    READS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        devices = {arg.device for arg in args if isinstance(arg, Tensor)}
        across = name in ("_to_copy", "copy_") and len(devices) > 1
        self.seen += [name] if name in self.READS or across else []
        return func(*args, **(kwargs or {}))


def reads_of_an_epoch(make, monkeypatch, *, n: int, steps: int) -> list[str]:
    """What is read in the third epoch, in which nothing is new, where examples at rest are carried along."""
    monkeypatch.setattr(attacks, "_Batch", attacks._Carried)
    model, reads = digits_cnn(generator=torch.Generator().manual_seed(0)), Reads()
    data = load("digits").train[:n]

    class Watched(Run):
        def epoch(self, epoch, bar):
            if epoch < 3:
                return super().epoch(epoch, bar)
            with reads, reads.ops:
                return super().epoch(epoch, bar)

    monkeypatch.setattr(loop, "Run", Watched)
    fit(model, data, make(BALL, steps=steps), epochs=3, batch=32, progress=False)
    return reads.seen


@pytest.mark.parametrize(
    "make",
    [
        Standard,
        partial(Standard, fold=False),
        partial(Standard, train_mode=True),
        partial(Curriculum, until=1),
        partial(FGSMThenPGD, until=1),
        partial(Dynamic, until=3, c_max=0.1),
        partial(Dynamic, until=3, c_max="estimated", box_aware=False),
    ],
)
def test_an_epoch_reads_once(make, monkeypatch):
    for n, steps in ((64, 2), (160, 5)):
        assert reads_of_an_epoch(make, monkeypatch, n=n, steps=steps) == ["tolist"]


def test_clean_training_reads_once_an_epoch(monkeypatch):
    assert reads_of_an_epoch(lambda ball, steps: Unsecured(), monkeypatch, n=160, steps=0) == ["tolist"]


# --- who rests where the host must not look ---------------------------------------------------------------------


@pytest.mark.parametrize("ball", [BALL, L2(1.0), L2(1.0, box=(0.0, 1.0))], ids=str)
def test_carrying_examples_along_is_dropping_them_bit_for_bit(trained, digits, monkeypatch, ball):
    x, y = digits.test.x[:80], digits.test.y[:80]
    start = ball.sample(x, torch.Generator().manual_seed(0))
    _, free = pgd(trained, x, y, ball, start=start, trace=True)
    options = {"start": start, "fosc_below": free.fosc[3].median().item(), "trace": "x"}
    dropped = pgd(trained, x, y, ball, **options)
    monkeypatch.setattr(attacks, "_Batch", attacks._Carried)
    carried = pgd(trained, x, y, ball, **options)
    assert len(dropped[1].steps.unique()) > 3
    for one, other in zip((dropped[0], *dropped[1]), (carried[0], *carried[1]), strict=True):
        assert torch.equal(one, other)


def test_what_is_left_of_several_chunks_is_taken_together(trained, digits):
    x, y = digits.test.x[:120], digits.test.y[:120]
    start, sizes = BALL.sample(x, torch.Generator().manual_seed(0)), []
    _, free = pgd(trained, x, y, BALL, start=start, trace=True)
    c_t = free.fosc[1].quantile(0.7).item()
    options = {"start": start, "fosc_below": c_t, "trace": "x"}
    alone = [pgd(trained, x[i : i + 8], y[i : i + 8], BALL, **options | {"start": start[i : i + 8]})
             for i in range(0, 120, 8)]  # fmt: skip
    hook = trained.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    try:
        x_adv, trace = pgd(trained, x, y, BALL, **options)
    finally:
        hook.remove()
    assert torch.equal(x_adv, torch.cat([part[0] for part in alone]))
    assert torch.equal(trace.steps, torch.cat([part[1].steps for part in alone]))
    looked, *sizes = sizes
    assert looked == 2 and sizes[:4] == [60, 60, 60, 60] and all(size % 4 == 0 for size in sizes)
    left = [int((trace.steps >= k).sum()) for k in range(2, 11)]  # x^10 is looked at for the trace
    assert sizes[4:] == [left_k + -left_k % 4 for left_k in left if left_k]


# --- checks that wait -------------------------------------------------------------------------------------------

BAD = {
    "box": lambda: checks.images("x", torch.full((2, 3), 1.5), (0.0, 1.0)),
    "finite": lambda: checks.images("x", torch.tensor([[0.5, torch.nan]])),
    "labels": lambda: checks.class_labels(torch.tensor([0, 7]), 2, 5),
    "negative": lambda: checks.class_labels(torch.tensor([0, -2]), 2),
    "targets": lambda: checks.real_targets(torch.tensor([1.0, torch.inf]), 2),
    "signs": lambda: checks.real_targets(torch.tensor([1.0, 2.0]), 2, signs=True),
    "ball": lambda: gradients.check_inside("start", torch.full((2, 3), 0.9), torch.full((2, 3), 0.5), BALL),
    "gradient": lambda: gradients.check_finite(torch.tensor([0.0, torch.nan])),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_check_says_later_is_what_it_says_at_once(name):
    with pytest.raises(ValueError) as now:
        BAD[name]()
    with checks.Later() as later:
        BAD[name]()
    with pytest.raises(type(now.value), match=re.escape(str(now.value))):
        later.read()
    assert len(later) == 0
    later.read()


def test_a_warning_waits_too(linear):
    with torch.no_grad():
        linear[1].weight.mul_(1e4)
    x = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    with checks.Later() as later:
        pgd(linear, x, torch.tensor([0]), Linf(0.1), random_start=False)
    with pytest.warns(ZeroGradientWarning, match="exactly zero at the start for 1 of 1"):
        later.read()


def test_what_came_first_is_judged_first_whatever_its_type():
    heard, later = [], checks.Later()
    kinds = [torch.float32, torch.int64, torch.float64, torch.float32, torch.bool]
    for i, dtype in enumerate(kinds):
        later.add(torch.tensor([i, 1]).to(dtype), lambda *numbers: heard.append(numbers))
    later.read()
    assert heard == [(0, 1), (1, 1), (2, 1), (3, 1), (1, 1)]


def test_blocks_nest_and_end():
    with checks.Later() as outer:
        with checks.Later() as inner:
            BAD["labels"]()
        BAD["box"]()
    assert len(inner) == len(outer) == 1
    with pytest.raises(ValueError, match="labels"):
        BAD["labels"]()
