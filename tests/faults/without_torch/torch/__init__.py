"""Stands in for torch where interpreters are started by the hundred: importing it is most of what a start costs.

The experiments' rooms need its types and whether there is a GPU; a trial that computes with it would fail.
"""

import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

__version__ = "none"


class Anything(type):
    """A class that has any attribute, each again such a class."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


class Parts:
    """Finds any part of torch, all of whose names are such classes."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.startswith("torch.") else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__getattr__ = __getattr__


def __getattr__(name):
    return Anything.__getattr__(Tensor, name)


def get_num_threads():
    return 1


Tensor = Anything("Tensor", (), {})
float32, float64 = "float32", "float64"
cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
sys.meta_path.append(Parts())
