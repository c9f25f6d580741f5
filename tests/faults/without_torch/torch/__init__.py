"""Stands in for torch where interpreters are started by the hundred: importing it is most of what a start costs.

The experiments' rooms need its types and whether there is a GPU; a trial that computes with it would fail.
"""

from types import SimpleNamespace

__version__ = "none"
Tensor = type("Tensor", (), {})
float32, float64 = "float32", "float64"
cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)


def get_num_threads():
    return 1


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})
