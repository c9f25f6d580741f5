"""Sound networks of each chapter, under sound attacks, raise no flag."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from advnb.attacks import pgd
from advnb.audit import audit
from advnb.balls import L2, Linf
from advnb.models import TwoLayer, digits_cnn
from advnb.papers.trust import BALL, examples
from advnb.training import Dynamic, Standard, fit


@pytest.mark.parametrize("eps", [0.05, 0.1, 0.15])
def test_a_network_trained_on_clean_digits_passes(trained, eps):
    report = audit(trained, *examples(), Linf(eps), progress=False)
    assert report.passed, repr(report)


@pytest.mark.parametrize("attack", [partial(pgd, steps=20), partial(pgd, steps=40, step_size=0.01)])
def test_a_sound_attack_passes(trained, attack):
    report = audit(trained, *examples(), BALL, attack=partial(attack, ball=BALL), progress=False)
    assert report.passed, repr(report)


@pytest.mark.slow
@pytest.mark.parametrize(
    "defence", [Standard(Linf(0.1)), Dynamic(Linf(0.1), c_max=0.1, until=9)], ids=["Standard", "Dynamic"]
)
def test_a_defended_network_of_chapter_convergence_passes(digits, defence):
    model = digits_cnn(generator=torch.Generator().manual_seed(0))
    fit(model, digits, defence, epochs=12, lr=0.05, seed=0, progress=False)
    for ball, steps in ((Linf(0.1), 10), (L2(0.8, box=(0.0, 1.0)), 30)):  # in L2 ten steps are not enough
        report = audit(model.eval(), *examples(), ball, steps=steps, restarts=2, progress=False)
        assert report.passed, repr(report)


@pytest.mark.parametrize(("activation", "init"), [("softplus", "xavier"), ("relu", "lazy")], ids=["dynamics", "lazy"])
@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_a_two_layer_network_of_the_other_chapters_passes(activation, init, eps, generator):
    """One output, labels that are its signs, on the unit sphere: as in Deng et al. and Wang et al. (2022)."""
    net = TwoLayer(64, 200, activation, init, generator=generator).eval()
    x = torch.nn.functional.normalize(torch.randn(100, 64, generator=generator), dim=1)
    report = audit(net, x, net(x).sign().detach(), L2(eps), progress=False)
    assert report.passed, repr(report)


def test_a_trained_two_layer_network_passes(digits):
    both = digits.two_classes(0, 1).unit_norm()
    net = TwoLayer(64, 500, generator=torch.Generator().manual_seed(0)).eval()
    weight = torch.linalg.pinv(both.train.x.flatten(1), rtol=1e-3) @ both.train.y
    with torch.no_grad():  # trained at once: a unit of sign a gets a times the direction that separates
        net.weight.add_(net.signs[:, None] * 10 * weight / 500**0.5)
    report = audit(net, both.test.x[:100], both.test.y[:100], L2(0.1), progress=False)
    assert report.passed, repr(report)
