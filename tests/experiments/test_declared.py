"""The experiments that the papers declare: what a stored line says of them is so."""

import ast
import inspect
import textwrap

import pytest

from advnb.experiments import find
from advnb.experiments.read import stored_scales, succeeded

EXPERIMENTS = find()


def looks_at(function, name):
    """Whether the function reads its argument ``name``, or passes it on among all the others that it takes."""
    parameters = inspect.signature(function).parameters
    if name not in parameters:
        (name,) = (one for one, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return any(node.id == name and isinstance(node.ctx, ast.Load) for node in names)


def test_there_are_experiments():
    assert len(EXPERIMENTS) > 30


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_trial_that_ignores_its_device_is_declared_for_the_cpu_alone(name):
    """Or its stored line would name a GPU that has done nothing."""
    experiment = EXPERIMENTS[name]
    assert looks_at(experiment.trial, "device") or tuple(experiment.devices) == ("cpu",)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if EXPERIMENTS[name].like_processor])
def test_what_only_a_like_processor_repeats_is_what_is_stored_and_not_all_of_it(name):
    declared = set(EXPERIMENTS[name].like_processor)
    for scale in stored_scales(name):
        fields = succeeded(name, scale)[0]["values"].keys()
        assert declared < fields
