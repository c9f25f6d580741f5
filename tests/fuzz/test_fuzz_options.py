"""Options that are odd: an attack takes them and gives a right answer, or names the option."""

from __future__ import annotations

import inspect
import math
from functools import partial

import numpy as np
import pytest
import torch

from advnb.attacks import cw, fgsm, pgd
from advnb.balls import L2, Linf
from fuzz.outcomes import attempt
from fuzz.problems import CLASSES, Problem, network
from fuzz.test_fuzz_calls import check_crafted

NUMBERS = (
    0, 1, -1, 2.0, 0.5, 1e-30, 1e30, math.nan, math.inf, -math.inf, True, None, 10**400, 1j, np.float32(0.25),
    np.int64(2), np.array([1, 2]), torch.tensor(0.5), torch.tensor([1.0, 2.0]), torch.tensor(2),
)  # fmt: skip
OBJECTS = (
    "1", "", b"1", [], [1], {}, (), object(), lambda *a: 0.1, lambda *a: "much", lambda *a: math.nan,
)  # fmt: skip
NAMES = ("x", "before", "steps", "steepest", "gradient", "cross_entropy", "margin", "Margin ", "sum", "cpu")
TORCHES = (
    torch.float16, torch.float32, torch.bfloat16, torch.int64, torch.device("cpu"), torch.Generator(),
)  # fmt: skip
ODD = (*NUMBERS, *OBJECTS, *NAMES, *TORCHES)
"""What somebody may hand over in place of what is meant, by mistake or through another library's habits."""

OWN = [name for name, one in inspect.signature(pgd).parameters.items() if one.kind is one.KEYWORD_ONLY]
ATTACKS = {pgd: OWN, cw: ["steps", "kappa", "step_size", "fosc_below"], fgsm: ["loss", "trace", "chunk"]}
CALLED = {"generator": "generator|start|device", "gap": "gap", "loss": "loss"}
"""Words of which an error may have one, where it need not be the option's name."""


@pytest.mark.parametrize(
    ("attack", "option"), [pytest.param(a, o, id=f"{a.__name__}-{o}") for a, names in ATTACKS.items() for o in names]
)
def test_an_odd_option_is_taken_or_named(attack, option: str, tally):
    generator = torch.Generator().manual_seed(0)
    model = network("convolution", (1, 4, 4), torch.float32, seed=0)
    x, y = torch.rand((3, 1, 4, 4), generator=generator), torch.arange(3) % CLASSES
    problem = Problem(model, x, y, Linf, 0.1, (0.0, 1.0), "convolution")
    for odd in ODD:
        if option == "steps" and isinstance(odd, int | float) and odd > 50:
            continue  # it is meant
        options = {option: odd} if attack is fgsm else {"steps": 2} | {option: odd}
        call = partial(attack, model, x, y, problem.ball(), **options)
        found, error = attempt(call, CALLED.get(option, option).split("|"))
        if error is None:
            check_crafted(found[0] if isinstance(found, tuple) else found, problem)
        tally.add(attack.__name__, "an odd option", error)


@pytest.mark.parametrize("norm", [Linf, L2])
@pytest.mark.parametrize("argument", ["eps", "box"])
def test_an_odd_ball_is_taken_or_named(norm, argument: str, tally):
    pairs = [(a, b) for a in NUMBERS[:9] for b in NUMBERS[:9]] if argument == "box" else []
    for odd in (*ODD, *pairs):
        ball, error = attempt(partial(norm, **{"eps": 0.1, argument: odd}), [argument])
        if error is None:
            x = torch.full((2, 3), 0.5 if ball.box is None else float(ball.box[0]))
            assert ball.contains(x, x).all() and ball.eps > 0
        tally.add("balls", "an odd option", error)


def test_labels_of_every_kind_are_taken_or_named(tally):
    """Labels come as one-hot rows, floats, NumPy arrays, lists and columns in other libraries."""
    y = torch.arange(3) % CLASSES
    kinds = {
        "one-hot": torch.eye(CLASSES)[y], "a column": y[:, None], "floats": y.float(), "int32": y.int(), "bool": y > 0,
        "numpy": y.numpy(), "a list": y.tolist(), "from one on": y + 1, "one too few": y[:2], "negative": y - 1,
        "uint8": y.to(torch.uint8), "complex": y.to(torch.complex64), "an empty list": [], "None": None,
    }  # fmt: skip
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, CLASSES)).eval()
    x = torch.rand((3, 1, 2, 2), generator=torch.Generator().manual_seed(0))
    for labels in kinds.values():
        found, error = attempt(lambda labels=labels: pgd(model, x, labels, Linf(0.1, box=(0, 1)), steps=1), ["y"])
        assert error is not None or (torch.equal(torch.as_tensor(labels).long(), y) and found.shape == x.shape)
        tally.add("pgd", "labels of another kind", error)
