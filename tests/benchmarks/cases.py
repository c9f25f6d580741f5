"""What is compared, case by case; `make bench` measures all of them and the page on speed shows them."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import libraries
import torch
from test_flip_cost import bisection
from test_flip_cost import problem as two_layers
from timing import Case, fresh
from torch import Tensor, nn
from torch.nn import functional

from advnb import memory
from advnb.attacks import minimal_flip, pgd
from advnb.balls import L2, Linf
from advnb.book.explore import explore
from advnb.data import Split, load, present
from advnb.fold import fold
from advnb.gradients import frozen, loss_and_gradient
from advnb.losses import cross_entropy
from advnb.models import TwoLayer, cifar_cnn, mnist_cnn
from advnb.papers.dynamics import landscape
from advnb.training import Dynamic, Standard, fit

CHUNK, BATCH = 64, 128
TRAINED = {"mnist": 3000, "cifar10": 1000}
"""Images that the networks are trained on, for a minute in all."""

EXAMPLES = 500  # on which strength is compared
LIMIT = "plain limit"
MINIMAL = "minimal loop"
OURS, AS_WRITTEN = "advnb", "advnb, fold=False"


# ---------------------------------------------------------------------------------------------- networks and data


@cache
def data(name: str, n: int) -> tuple[Split, Split]:
    """Training and test images of a data set; enlarged digits in its place where it is not on this machine."""
    channels, side = {"mnist": (1, 28), "cifar10": (3, 32)}[name]
    if any(one.name == name and not one.missing and one.state == "present" for one in present()):
        found = load(name)
        return found.train.subset(n), found.test.subset(EXAMPLES)
    digits = load("digits")
    halves = []
    for half in (digits.train, digits.test):
        rows = torch.arange(n if half is digits.train else EXAMPLES) % len(half)
        x = functional.interpolate(half.x[rows], size=(side, side), mode="bilinear").clamp(0, 1)
        halves.append(Split(x.expand(-1, channels, -1, -1).contiguous(), half.y[rows]))
    return halves[0], halves[1]


def source(name: str) -> str:
    """The data set that :func:`data` takes for this one."""
    return name if any(one.name == name and one.state == "present" for one in present()) else "digits, enlarged"


@cache
def network(name: str, eps: float) -> nn.Module:
    """A network that was trained for a minute on one-step attacks, so that its accuracy under attack says something."""
    train, _ = data(name, TRAINED[name])
    build = {"mnist": mnist_cnn, "cifar10": cifar_cnn}[name]
    model = build(generator=torch.Generator().manual_seed(0))
    defence = Standard(Linf(eps), steps=1, step_size=eps)
    fit(model, train, defence, epochs={"mnist": 2, "cifar10": 4}[name], lr=0.05, seed=0, progress=False)
    return model.eval()


# ---------------------------------------------------------------------------------------------- attacks on networks


def native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and fast_in_bfloat16()


@cache
def fast_in_bfloat16() -> bool:
    """Whether a product of matrices in bfloat16 is faster than in float32: some that offer it only emulate it."""
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(512, 512, dtype=dtype)
        a @ a
        start = time.perf_counter()
        for _ in range(20):
            a @ a
        seconds.append(time.perf_counter() - start)
    return seconds[1] < seconds[0]


def ours(model: nn.Module, x: Tensor, y: Tensor, ball: Linf, *, folded: bool = True, **options: Any) -> Any:
    """Our attack from x, on the network folded or as written."""
    return pgd(model, x, y, ball, random_start=False, fold=folded, **options)


def gradients_alone(model: nn.Module, points: Tensor, y: Tensor) -> None:
    """The plain limit: forward and input gradient at K points an example, of the network as written, 64 at a time.

    ``points`` is (K, n, ...). Where they lie matters: on clean images of digits a max-pool mostly compares equal
    numbers, which a processor foresees.
    """
    with frozen(model):
        for part, labels in zip(points.split(CHUNK, dim=1), y.split(CHUNK), strict=True):
            for rows in part:
                loss_and_gradient(model, rows, labels)


def passed(model: nn.Module, x: Tensor, y: Tensor, ball: Linf, steps: int) -> Tensor:
    """The points (K, n, ...) at which PGD takes its gradients."""
    return ours(model, x, y, ball, steps=steps, folded=False, trace="x")[1].x[:-1]


def strength(model: nn.Module, x_adv: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy and mean loss on the examples that an attack made."""
    with torch.no_grad():
        logits = torch.cat([model(part) for part in x_adv.split(CHUNK)])
    loss = cross_entropy(logits, y).double().mean().item()
    return {"accuracy": (logits.argmax(1) == y).double().mean().item(), "loss": round(loss, 6)}


def attacks(
    name: str, eps: float, steps: int, batch: int, *, extras: bool
) -> dict[str, Callable[[Tensor, Tensor], Any]]:
    """Every attack to be compared on a network, as functions of x and y."""
    model, ball = network(name, eps), Linf(eps)
    _, test = data(name, TRAINED[name])
    points = passed(model, test.x[:batch], test.y[:batch], ball, steps)
    found: dict[str, Callable[[Tensor, Tensor], Any]] = {
        LIMIT: lambda x, y: gradients_alone(model, points[:, : len(x)], y),
        AS_WRITTEN: lambda x, y: ours(model, x, y, ball, steps=steps, folded=False),
        OURS: lambda x, y: ours(model, x, y, ball, steps=steps),
        "advnb, trace": lambda x, y: ours(model, x, y, ball, steps=steps, trace=True),
        "advnb, trace before each step": lambda x, y: ours(model, x, y, ball, steps=steps, trace="before"),
    }
    if extras:
        rest = lambda x, y: ours(model, x, y, ball, steps=steps, fosc_below=resting(name, eps), trace="steps")  # noqa: E731
        found["advnb, rests at half of the median FOSC"] = rest
    if native_bfloat16():
        found["advnb, bfloat16"] = lambda x, y: ours(model, x, y, ball, steps=steps, autocast=torch.bfloat16)
    return found | libraries.crafts(model, eps, steps)


@cache
def resting(name: str, eps: float) -> float:
    """Half of the median FOSC after five steps, below which an example rests."""
    _, test = data(name, TRAINED[name])
    _, trace = ours(network(name, eps), test.x[:CHUNK], test.y[:CHUNK], Linf(eps), steps=5, trace=True)
    return float(trace.fosc[-1].median() / 2)


def attack_case(
    name: str, title: str, eps: float, steps: int, batch: int, rounds: int, compared: int = 0, extras: bool = False
) -> Case:
    """PGD on a batch: what each way of it takes, and how strong it is on the batch, or on as many as are compared."""
    found, model = attacks(name, eps, steps, batch, extras=extras), network(name, eps)
    _, test = data(name, TRAINED[name])
    x, y = test.x[:batch], test.y[:batch]

    def seen(variant: str, result: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"examples": batch, "steps": steps, "data": source(name), "eps": eps}
        if variant == LIMIT:
            return said
        points = result[0] if isinstance(result, tuple) else result
        if isinstance(result, tuple) and result[1].steps.min() < steps:
            said["gradients"] = float((result[1].steps + 1).clamp_max(steps).double().mean() / steps)
        if compared > batch:
            rest = found[variant](test.x[batch:compared], test.y[batch:compared])
            points = torch.cat([points, rest[0] if isinstance(rest, tuple) else rest])
        return said | strength(model, points, test.y[: len(points)]) | {"compared": len(points)}

    return Case(
        f"{name}.pgd{steps}", title, LIMIT,
        {variant: libraries.quietly(partial(craft, x, y)) for variant, craft in found.items()}, rounds, seen,
        {variant: libraries.quietly(partial(craft, x[:CHUNK], y[:CHUNK])) for variant, craft in found.items()},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- training


def minimal_loop(model: nn.Module, split: Split, craft: Callable[[Tensor, Tensor], Tensor]) -> None:
    """An epoch of adversarial training in its shortest form."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    for rows in order.split(BATCH):
        x, y = split.x[rows], split.y[rows]
        model.eval()
        x_adv = craft(x, y)
        model.train()
        optimizer.zero_grad()
        functional.cross_entropy(model(x_adv), y).backward()
        optimizer.step()
    model.eval()


def plain_pgd(model: nn.Module, eps: float, steps: int, x: Tensor, y: Tensor) -> Tensor:
    """PGD as most scripts have it."""
    x_adv = x
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        (grad,) = torch.autograd.grad(functional.cross_entropy(model(x_adv), y), x_adv)
        x_adv = torch.min(torch.max(x_adv + eps / 4 * grad.sign(), x - eps), x + eps).clamp(0, 1)
    return x_adv.detach()


def training_case(eps: float, rounds: int, size: int) -> Case:
    """An epoch on MNIST with PGD-10, from the same weights each time."""
    split = data("mnist", TRAINED["mnist"])[0].subset(size)
    source_model, ball, kept = network("mnist", eps), Linf(eps), {}

    def epoch(defence: Standard, few: Split = split) -> Any:
        model = copy.deepcopy(source_model)
        return fit(model, few, defence, epochs=1, batch=BATCH, lr=0.01, seed=0, progress=False)

    def looped(make: Callable[[nn.Module], Callable[[Tensor, Tensor], Tensor]], few: Split = split) -> None:
        model = copy.deepcopy(source_model)
        minimal_loop(model, few, make(model))

    ways: dict[str, Callable[[Split], Any]] = {
        MINIMAL: lambda few: looped(lambda model: partial(plain_pgd, model, eps, 10), few),
        "Standard, fold=False": lambda few: epoch(Standard(ball, random_start=False, fold=False), few),
        "Standard": lambda few: epoch(Standard(ball, random_start=False), few),
        "Dynamic": lambda few: epoch(Dynamic(ball, random_start=False, until=1, c_max=kept["c"]), few),
    }
    if native_bfloat16():
        ways["Standard, bfloat16"] = lambda few: epoch(Standard(ball, random_start=False, autocast=torch.bfloat16), few)
    for library, make in libraries.there().items():
        ways[library] = lambda few, make=make: looped(lambda model: make(model, eps, 10), few)
    kept["c"] = 2 * resting("mnist", eps)

    def seen(variant: str, result: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"examples": size, "batch": BATCH, "steps": 10, "data": source("mnist"), "eps": eps}
        return said if result is None else said | {"gradients": float(result["gradients"].iloc[0]) / 10}

    few = split[slice(0, BATCH)]
    return Case(
        "mnist.training", "An epoch of PGD-10 training, MNIST CNN", MINIMAL,
        {name: libraries.quietly(partial(way, split)) for name, way in ways.items()}, rounds, seen,
        {name: libraries.quietly(partial(way, few)) for name, way in ways.items()},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- two layers


def two_layer_case(rounds: int, n: int) -> Case:
    """PGD-100 on a two-layer network against the two products of matrices that its steps are made of."""
    steps, ball = 100, L2(1.0)
    net, x = two_layers(d=784, m=10_000, n=n)
    net.eval()
    y = net(x).detach().sign()
    second = (net.weight * net.signs[:, None]).detach()

    @torch.no_grad()
    def products(rows: Tensor, times: int) -> None:
        for _ in range(times):
            on = (rows @ net.weight.mT).gt_(0)
            on @ second

    def attack(rows: Tensor, times: int) -> Tensor:
        return pgd(net, rows, y[: len(rows)], ball, steps=times, step_size=STEP, random_start=False, loss="logistic")

    ways = {
        "two dense products": products,
        "advnb": attack,
        "autograd": lambda rows, times: autograd_pgd(net, rows, y[: len(rows)], ball, times),
    }

    def seen(variant: str, result: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"examples": n, "steps": steps, "d": 784, "m": 10_000}
        if result is None:
            return said
        with torch.no_grad():
            return said | {"loss": round(float(functional.softplus(-y * net(result)).double().mean()), 6)}

    return Case(
        "two_layer.pgd100", "PGD-100, two layers, d = 784, m = 10,000", "two dense products",
        {name: partial(way, x, steps) for name, way in ways.items()}, rounds, seen,
        {name: partial(way, x[:CHUNK], 3) for name, way in ways.items()},
    )  # fmt: skip


STEP = 0.025
"""The step of PGD-100 in a ball of radius 1: 2.5 of the radius over the number of steps."""


def autograd_pgd(net: TwoLayer, x: Tensor, y: Tensor, ball: L2, steps: int) -> Tensor:
    """The same attack by autograd."""
    x_adv = x
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        (grad,) = torch.autograd.grad(functional.softplus(-y * net(x_adv)).sum(), x_adv)
        x_adv = ball.project(x_adv.detach() + STEP * functional.normalize(grad), x)
    return x_adv.detach()


def flip_case(rounds: int) -> Case:
    """The exact flip against the bisection that it replaces."""
    net, x = two_layers(d=784, m=10_000, n=20)
    variants = {
        "exact flip": lambda: minimal_flip(net, x, direction="descent").eta,
        "bisection": lambda: bisection(net, x),
    }
    return Case(
        "flip", "The exact flip, d = 784, m = 10,000", "exact flip", variants, rounds,
        lambda name, result: {"examples": len(result)},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- what else one feels


def folding_case(eps: float, rounds: int) -> Case:
    """Folding a network against one gradient of 256 images."""
    model = network("mnist", eps)
    _, test = data("mnist", TRAINED["mnist"])
    variants = {
        "a gradient of 256 images": lambda: gradients_alone(model, test.x[None, :256], test.y[:256]),
        "folding": lambda: fold(model),
    }
    return Case("fold", "Folding the MNIST CNN", "a gradient of 256 images", variants, rounds)


def frame_case(rounds: int) -> Case:
    """A frame of the landscape's explorer: what a kernel does when a slider has been moved."""
    choices = {"eps": [1.0], "convention": ["minus"]}
    box = explore(landscape.draw_circle, choices, alt=landscape.say_circle, live={"eps": (0.05, 100.0)}, size="wide")
    slider, places = box.children[-1].children[1], iter(range(1, 1000))

    def move() -> None:
        slider.value = 0.5 * next(places)

    return Case(
        "frame", "A frame of the landscape's explorer", "frame", {"frame": move}, rounds, clock=time.perf_counter
    )


IMPORT = "import torch, time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
ROOMS = ("advnb.attacks", "advnb.training", "advnb.book.explore")


def import_rows(rounds: int) -> Iterator[dict[str, Any]]:
    """What three rooms add to importing torch, in fresh interpreters."""
    seconds: dict[str, list[float]] = {room: [] for room in ROOMS}
    for _ in range(rounds):
        for room in ROOMS:
            seconds[room].append(round(fresh(IMPORT.format(room)), 6))
    common = {"case": "imports", "title": "Imports, beyond torch", "baseline": ROOMS[0]}
    yield from ({**common, "variant": room, "seconds": found} for room, found in seconds.items())


LOOP = """
import time
import torch
from advnb.balls import Linf
from advnb.data import load
from advnb.models import digits_cnn
from advnb.training import Standard, fit
data = load("digits").train.subset(512)
model = digits_cnn(generator=torch.Generator().manual_seed(0))
fit(model, data[slice(0, 128)], Standard(Linf(0.15), steps=2), epochs=1, progress=False)
start = time.perf_counter()
fit(model, data, Standard(Linf(0.15), steps=10), epochs=1, progress=False)
print(time.perf_counter() - start)
"""
SETTINGS = {
    "as it comes": {},
    "threads that sleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
BUSY = "while True: pass"


def neighbour_rows(rounds: int) -> Iterator[dict[str, Any]]:
    """Training on digits alone on the machine and beside a process that is busy, by settings."""
    for crowd, beside in {"quiet": 0, "beside a busy process": 1}.items():
        seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(beside)]
        try:
            for _ in range(rounds):
                for name, variables in SETTINGS.items():
                    seconds[name].append(round(fresh(LOOP, **variables), 6))
        finally:
            for process in busy:
                process.kill()
        common = {"case": f"neighbours.{crowd}", "title": f"Training on digits, {crowd}", "baseline": "as it comes"}
        yield from ({**common, "variant": name, "seconds": found} for name, found in seconds.items())


PGD = """
import time
import torch
from advnb.attacks import pgd
from advnb.balls import Linf
from advnb.gradients import frozen, loss_and_gradient
from advnb.models import mnist_cnn
torch.set_num_threads(1)
x, y = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(256) % 10
model = mnist_cnn(generator=torch.Generator().manual_seed(0)).eval()
for steps in (2, 10):
    start = time.process_time()
    {}
print(time.process_time() - start)
"""
WORK = {
    LIMIT: """
    with frozen(model):
        for rows, labels in zip(x.split(64), y.split(64)):
            for _ in range(steps):
                loss_and_gradient(model, rows, labels)""",
    OURS: "pgd(model, x, y, Linf(0.1), steps=steps)",
}
MEMORY = {"given back": {}, "kept": {name: str(size) for name, size in memory.VARIABLES.items()}}


def memory_rows(rounds: int) -> Iterator[dict[str, Any]]:
    """PGD-10 in fresh interpreters, whose C library gives freed memory back or keeps it."""
    ways = [(work, setting) for work in WORK for setting in MEMORY]
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for work, setting in ways:
            seconds[work, setting].append(round(fresh(PGD.format(WORK[work]), **MEMORY[setting]), 6))
    for (work, setting), found in seconds.items():
        yield {"case": "memory", "title": "PGD-10, MNIST CNN, freed memory", "baseline": f"{LIMIT}, given back",
               "variant": f"{work}, {setting}", "seconds": found}  # fmt: skip


# ---------------------------------------------------------------------------------------------- where the time goes

KINDS = {
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("mkldnn_convolution", "convolution"),
    "dense layers": ("addmm", "mm", "linear", "bmm"),
    "pooling": ("max_pool2d", "max_pool2d_with_indices", "max_pool2d_with_indices_backward"),
    "BatchNorm": ("native_batch_norm", "native_batch_norm_backward", "batch_norm"),
    "ReLU": ("relu", "relu_", "clamp_min", "clamp_min_", "threshold_backward"),
}
"""Operators of torch, by what they do in a network; whatever is in none of these is the attack's own and the rest."""


def profile_rows(eps: float) -> Iterator[dict[str, Any]]:
    """Where the time of an attack goes, operator by operator, on the network as written and as it is by default."""
    model, (_, test) = network("mnist", eps), data("mnist", TRAINED["mnist"])
    kind_of = {operator: kind for kind, operators in KINDS.items() for operator in operators}
    for variant, folded in {AS_WRITTEN: False, OURS: True}.items():
        attack = partial(ours, model, test.x[:256], test.y[:256], Linf(eps), steps=5, folded=folded)
        attack()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            attack()
        seconds: dict[str, float] = {}
        for event in profiler.key_averages():
            kind = kind_of.get(event.key.rpartition("::")[2], "steps, loss and the rest")
            seconds[kind] = seconds.get(kind, 0) + event.self_cpu_time_total / 1e6
        yield {"case": "profile", "title": "Where a step's time goes", "variant": variant,
               "parts": {kind: round(value, 6) for kind, value in seconds.items()}}  # fmt: skip


# ---------------------------------------------------------------------------------------------- all of it

MNIST_EPS, CIFAR_EPS = 0.1, 4 / 255


def all_cases(few: bool) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """The cases by name, each a function that measures it; with ``few`` only enough to see that all of it runs."""
    rounds, part = ((lambda n: 1), 4) if few else ((lambda n: n), 1)
    mnist = partial(attack_case, "mnist", eps=MNIST_EPS, batch=256 // part)
    ten = partial(mnist, "PGD-10, MNIST CNN", steps=10, compared=EXAMPLES // part, extras=True)
    forty = partial(mnist, "PGD-40, MNIST CNN", steps=40)
    cifar = partial(attack_case, "cifar10", "PGD-10, CIFAR-10 CNN", CIFAR_EPS, 10, 64 // part)
    return {
        "mnist.pgd10": lambda: ten(rounds=rounds(7)).measure(),
        "mnist.pgd40": lambda: forty(rounds=rounds(3)).measure(),
        "cifar10.pgd10": lambda: cifar(rounds(3)).measure(),
        "mnist.training": lambda: training_case(MNIST_EPS, rounds(3), 768 // part).measure(),
        "two_layer.pgd100": lambda: two_layer_case(rounds(3), 128 // part).measure(),
        "flip": lambda: flip_case(rounds(9)).measure(),
        "fold": lambda: folding_case(MNIST_EPS, rounds(15)).measure(),
        "frame": lambda: frame_case(rounds(21)).measure(),
        "profile": lambda: list(profile_rows(MNIST_EPS)),
        "imports": lambda: list(import_rows(rounds(5))),
        "memory": lambda: list(memory_rows(rounds(5))),
        "neighbours": lambda: list(neighbour_rows(rounds(2))),
    }
