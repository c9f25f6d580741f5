"""What a module says is public is there, and what is there without an underscore is said to be public."""

import importlib
import inspect
import pkgutil

import pytest

import advnb

UNLISTED = ("advnb.papers", "advnb.book")
"""Rooms whose modules need no list of their public names; where one has a list, its names are there."""


def modules():
    return [info.name for info in pkgutil.walk_packages(advnb.__path__, "advnb.")]


@pytest.mark.parametrize("name", modules())
def test_the_public_names_are_those_listed(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed), "a name is listed twice"
    assert [one for one in listed if not hasattr(module, one)] == []
    if not name.startswith(UNLISTED):
        own = {one for one, value in vars(module).items() if getattr(value, "__module__", "") == name}
        public = {one for one in own if inspect.isroutine(vars(module)[one]) or inspect.isclass(vars(module)[one])}
        assert {one for one in public if not one.startswith("_")} <= set(listed)
