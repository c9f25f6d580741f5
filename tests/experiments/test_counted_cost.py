"""What a trial costs is counted from its model: against the operations that the formulas of a network say."""

import pytest
import torch
from torch import nn

from advnb.experiments import Experiment, Trial, find
from advnb.experiments.cost import Cost, Pass, counted, passes

FULL = {name: one for name, one in find().items() if "full" in one.scales}


def linear(*, n, seed, device, more=3):
    return {"end": 0.0}


def linear_cost(given, values):
    rounds = given["more"] if values is None else values["rounds"]
    return Cost(flops=given["n"] * rounds)


def test_costs_add_up_and_scale():
    total = 2 * Cost(1, 2, 3, 4) + Cost(10, 20, 30, 40)
    assert total.parts == (12, 24, 36, 48)
    assert Pass(2, 3, 4, 1).over(10, 5) == Cost(20, 30, 20, 10)


def test_a_matrix_product_is_two_operations_a_multiplication_and_nothing_is_computed():
    x, y = torch.empty(64, 1000, device="meta"), torch.empty(1000, 30, device="meta")
    cost = counted(lambda: x @ y, gradients=5)
    assert cost == Cost(2 * 64 * 1000 * 30, 64 * 30, 1, 5)


def test_views_are_no_kernels():
    x = torch.empty(64, 1000, device="meta")
    assert counted(lambda: x.t().reshape(10, -1)[0]).calls == 1
    assert counted(lambda: x.t()).calls == 0


def test_the_passes_of_a_network_are_forward_and_about_twice_and_three_times_that():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).to("meta")
    before = [weight.requires_grad for weight in net.parameters()], net.training
    forward, to_input, to_weights = passes(net, (3, 6, 6))
    convolution, dense = 2 * 36 * 8 * 27, 2 * 8 * 36 * 10
    assert forward.flops == convolution + dense
    assert to_input.flops == 2 * (convolution + dense)
    assert to_weights.flops == 2 * convolution + 3 * dense  # the gradient in the image is not asked for
    assert (forward.gradients, to_input.gradients, to_weights.gradients) == (0, 1, 1)
    assert ([weight.requires_grad for weight in net.parameters()], net.training) == before


def test_the_cost_sees_defaults_and_what_a_trial_returned():
    one = Experiment("toy.linear", linear, {"live": {"n": 5}}, {"live": 1}, cost=linear_cost)
    trial = one.trials("live")[0]
    assert one.cost_of(trial).flops == 15
    assert one.cost_of(trial, {"rounds": 2}).flops == 10


def test_an_experiment_without_a_cost_says_so():
    one = Experiment("toy.linear", linear, {"live": {"n": 5}}, {"live": 1})
    with pytest.raises(ValueError, match=r"toy\.linear declares no cost"):
        one.cost_of(one.trials("live")[0])


@pytest.mark.parametrize("name", FULL)
def test_every_experiment_with_a_full_grid_has_a_cost(name):
    """Its trials count something, and count without a device, a data set or a run."""
    one = FULL[name]
    assert one.cost is not None, f"{name} declares a full grid and no cost"
    settings = {trial.key: trial for trial in one.trials("full", seeds=[0])}
    for trial in list(settings.values())[:: max(1, len(settings) // 5)]:
        cost = one.cost_of(trial)
        assert min(cost.parts) >= 0
        assert cost.flops + cost.numbers > 1e4
        assert cost.calls >= 1


def test_the_two_layer_network_costs_two_products_a_gradient():
    from advnb.papers.lazy import costs

    assert costs.gradient(784, 1000).flops == 4 * 784 * 1000
    assert costs.flip(784, 1000).flops == 6 * 784 * 1000
    assert costs.sgd_step(784, 1000, 64).flops == 4 * 64 * 784 * 1000


def test_an_epoch_of_pgd_10_is_ten_gradients_a_look_and_an_update_an_image():
    from advnb.papers.convergence import costs

    given = {"data": "mnist", "examples": 1000, "epochs": 3, "batch": 100, "defence": "standard"}
    one = costs.training(given)
    forward, gradient, update = costs.network("mnist", "cnn", None)
    assert one.gradients == 3 * 1000 * 11
    assert one.flops == 3 * 1000 * (10 * gradient.flops + forward.flops + update.flops)
    rested = costs.training({**given, "defence": "dynamic"}, {"epoch_gradients": [4.0, 5.0, 6.0]})
    assert rested.gradients == 1000 * (15 + 3)


def test_curriculum_counts_as_many_gradients_as_it_takes():
    from advnb.papers.convergence import costs
    from advnb.papers.convergence.recipes import RECIPES, make_defence

    defence = make_defence("curriculum", RECIPES["mnist"], 20)
    assert costs.steps_taken("curriculum", 20, 10, None) == sum(defence.steps_in(epoch) for epoch in range(1, 21))


def test_a_trial_is_counted_to_its_limit_or_as_far_as_it_went():
    at_most, spent = (
        FULL["lazy.figure_4_left"].cost_of(FULL["lazy.figure_4_left"].trials("laptop")[0], values)
        for values in (None, {"epochs_run": 3})
    )
    assert spent.flops < 0.3 * at_most.flops
    assert isinstance(Trial({}, 0).key, str)
