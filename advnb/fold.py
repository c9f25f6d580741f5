"""A faster copy of a frozen network: the same function, arranged for the speed of its input gradient.

While a network is attacked its weights stand still, so its BatchNorm layers are affine maps that can be folded
into the convolutions before them. A max-pool commutes with a ReLU, exactly, and is cheaper in front of it.
Channels-last is the layout that a CPU's convolution kernels like best.
"""

from __future__ import annotations

import copy
import operator
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import fusion, parametrize

from advnb import checks, kernels

__all__ = ["Folding", "arranged", "fold", "is_folded"]

RELUS: tuple[object, ...] = (nn.ReLU, F.relu, torch.relu, "relu")
POOLS: tuple[object, ...] = (nn.MaxPool2d, F.max_pool2d, torch.max_pool2d)
NORMS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d, nn.Linear: nn.BatchNorm1d}
"""The BatchNorm that can be folded into each layer."""

OVERWRITTEN = (nn.Conv2d, kernels.FewChannels, nn.Linear, nn.MaxPool2d)
"""Layers whose output is no view and not needed for their gradient, so that a ReLU may work in place there."""

OUTPUTS, GRADIENTS = {torch.float32: 1e-3, torch.float64: 1e-9}, {torch.float32: 2e-2, torch.float64: 1e-7}
"""How far, in proportion, a copy may be from its model at two examples. One ReLU that rounding flips is within that."""


def fold(model: nn.Module) -> nn.Module:
    """Return a copy of ``model``, in eval mode, whose forward and input gradient cost less.

    The copy computes the same function up to rounding: in float32 a pixel in 1e3 to 1e5 may take the other sign in
    an attack, so compare accuracies and losses, not pixels. It shares no weights with ``model``: fold again after
    training it further, or keep a :class:`Folding`. ``model`` itself comes back where there is nothing to gain (no
    Conv2d and no BatchNorm, folded already) or something to lose (hooks, parametrizations, compiled, half precision,
    what ``torch.fx`` cannot trace). Raises if the model is in train mode, where BatchNorm is not an affine map.
    """
    checks.eval_mode(model)
    return _folded(model) or model


def is_folded(model: nn.Module) -> bool:
    """Return whether ``model`` is a copy that :func:`fold` or a :class:`Folding` made."""
    return isinstance(model, _Folded)


def arranged(x: Tensor) -> Tensor:
    """Return images (n, c, h, w) on a CPU in channels-last layout, the same values; small and other ones as they are.

    Small are those of :data:`advnb.kernels.SMALL`, on which there is nothing to gain.
    """
    large = x.ndim == 4 and x.device.type == "cpu" and min(x.shape[-2:]) >= kernels.SMALL
    return _channels_last(x) if large else x


class Folding:
    """The folded copy of a model, made anew only when the model has changed.

    ``folding(model)`` returns what :func:`fold` does, for the weights of this moment. A change is seen by the identity
    and the version of each parameter and buffer, and on a CPU by their values too. On an accelerator, where reading
    them would cost a wait, writing into the memory of ``parameter.data`` goes unnoticed (an optimiser, BatchNorm,
    ``load_state_dict`` and ``parameter.data = ...`` do not): call :meth:`forget` after that. One copy is kept, with the
    model it is of.
    """

    def __init__(self) -> None:
        self.forget()

    def __reduce__(self) -> tuple[type[Folding], tuple[()]]:
        return Folding, ()  # nothing of it need be stored

    def forget(self) -> None:
        """Drop the copy."""
        self._model: nn.Module | None = None
        self._copy: _Folded | None = None
        self._parts: list[Any] = []
        self._versions: list[tuple[int, int, int]] = []
        self._values: list[Tensor] = []
        self._compared = False

    def __call__(self, model: nn.Module, x: Tensor | None = None) -> nn.Module:
        """Return a folded copy of ``model`` with its present weights, or ``model`` where folding has no place.

        With ``x``, two examples or more, a new copy is first compared with the model there, outputs and input
        gradient: ``model`` comes back where they differ, or where the model draws random numbers or changes itself.
        Nothing is raised: a model in train mode, too, comes back as it is.
        """
        if is_folded(model) or not _plain(model):
            return model
        parts = [*model.modules(), *((part.shape, part.dtype, part.device) for part in _tensors(model))]
        if model is not self._model or parts != self._parts:
            self.forget()
            self._model, self._parts = model, parts
            with _random_state_kept(x):
                self._copy = _folded(model)
            self._remember(model)
        elif self._copy is not None and self._changed(model):
            self._copy.renew(model)
            self._remember(model)
        if self._copy is not None and x is not None and not self._compared:
            with _random_state_kept(x):
                self._copy, self._compared = (self._copy if _same(model, self._copy, x) else None), True
        return self._copy or model

    def _remember(self, model: nn.Module) -> None:
        tensors = _tensors(model)
        self._versions = _versions(tensors)
        on_cpu = self._copy is not None and all(tensor.device.type == "cpu" for tensor in tensors)
        self._values = [tensor.detach().clone() for tensor in tensors] if on_cpu else []

    def _changed(self, model: nn.Module) -> bool:
        tensors = _tensors(model)
        if _versions(tensors) != self._versions:
            return True
        return any(not torch.equal(now, then) for now, then in zip(tensors, self._values, strict=False))


class _Folded(nn.Module):
    """A traced and folded network; ``pairs`` names the layers that hold a BatchNorm, and that."""

    def __init__(self, network: fx.GraphModule, pairs: dict[str, str]) -> None:
        super().__init__()
        self.network, self.pairs = network, pairs
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.weight.device.type == "cpu":
                module.weight.data = _channels_last(module.weight.data)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Put images into channels-last layout on their way in."""
        return self.network(_channels_last(x) if x.ndim == 4 and x.device.type == "cpu" else x)

    @torch.no_grad()
    def renew(self, model: nn.Module) -> None:
        """Take over the weights and the buffers that ``model`` has now."""
        now = {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        for layer, norm in self.pairs.items():
            weight, bias = _fused(model.get_submodule(layer), model.get_submodule(norm))
            now |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
        for name, tensor in (*self.network.named_parameters(), *self.network.named_buffers()):
            if name in now:
                tensor.copy_(now[name])


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # what is computed from a buffer is computed again when the buffer has changed


def _folded(model: nn.Module) -> _Folded | None:
    """Return a folded copy, or None where there is nothing to fold or that may not keep the function."""
    if isinstance(model, _Folded):
        return model
    gain = any(isinstance(part, nn.Conv2d | nn.modules.batchnorm._BatchNorm) for part in model.modules())
    if not gain or not _plain(model):
        return None
    try:
        twin, tracer = copy.deepcopy(model), _Tracer()
        traced = fx.GraphModule(twin, tracer.trace(twin))
        pairs = _fuse(traced)
        _pool_before_relu(traced)
        if _on_cpu_in_float32(traced):
            _kernels(traced)
        for node in traced.graph.nodes:
            if node.op == "call_method" and node.target == "view":
                node.target = "reshape"  # for the other layout; the values are the same
        traced.graph.lint()
        traced.recompile()
        return _Folded(traced, pairs)
    except Exception:  # tracing runs the code of any model there is: whatever it raises, the model stays as it is
        return None


def _plain(model: nn.Module) -> bool:
    """Return whether a copy may stand in: eval mode, in float32 or float64, nothing attached, compiled or scripted."""
    if (
        torch.is_autocast_enabled("cpu")
        or torch.is_autocast_enabled("cuda")
        or nn.modules.module._has_any_global_hook()
    ):
        return False
    for part in model.modules():
        if part.training or isinstance(part, torch.jit.ScriptModule) or hasattr(part, "_orig_mod"):
            return False
        if part._compiled_call_impl is not None or parametrize.is_parametrized(part):
            return False
        if part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks:
            return False
    return all(tensor.dtype in OUTPUTS for tensor in model.parameters())


def _fuse(traced: fx.GraphModule) -> dict[str, str]:
    """Fold each BatchNorm into the layer that it alone reads; return which into which, by name."""
    modules, pairs = dict(traced.named_modules()), {}
    calls = Counter(str(node.target) for node in traced.graph.nodes)
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.op == "call_module" and len(node.args) == 1 else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = modules[str(before.target)], modules[str(node.target)]
        once = calls[str(before.target)] == calls[str(node.target)] == 1
        if not once or NORMS.get(type(layer)) is not type(norm) or norm.running_mean is None:
            continue
        weight, bias = _fused(layer, norm)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
        pairs[str(before.target)] = str(node.target)
    traced.delete_all_unused_submodules()
    return pairs


def _fused(layer: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a layer that holds the BatchNorm behind it."""
    fuse: Any = fusion.fuse_linear_bn_weights if isinstance(layer, nn.Linear) else fusion.fuse_conv_bn_weights
    weight, bias = fuse(layer.weight, layer.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    return weight.detach(), bias.detach()


def _pool_before_relu(traced: fx.GraphModule) -> None:
    """Swap every ReLU whose only reader is a max-pool with that pool."""
    modules = dict(traced.named_modules())

    def kind(node: Any) -> object:
        found = node.target if isinstance(node, fx.Node) else None
        return type(modules[str(found)]) if isinstance(node, fx.Node) and node.op == "call_module" else found

    for pool in list(traced.graph.nodes):
        if kind(pool) not in POOLS or _with_indices(pool, modules):
            continue
        relu: Any = pool.args[0] if pool.args else None
        source = relu.args[0] if isinstance(relu, fx.Node) and relu.args else None
        if not isinstance(source, fx.Node) or kind(relu) not in RELUS or len(relu.users) != 1:
            continue
        pool.replace_input_with(relu, source)
        pool.replace_all_uses_with(relu)
        relu.replace_input_with(source, pool)
        pool.append(relu)


def _on_cpu_in_float32(model: nn.Module) -> bool:
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in model.parameters())


def _kernels(traced: fx.GraphModule) -> None:
    """Put in the layers of :mod:`advnb.kernels`; let a ReLU overwrite what nobody else reads."""
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes)
    for node in list(traced.graph.nodes):
        name = str(node.target)
        layer = modules.get(name) if node.op == "call_module" else None
        if type(layer) is nn.Conv2d:
            traced.set_submodule(name, kernels.FewChannels.of(layer))
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or len(before.users) != 1 or calls[name] != 1:
            continue
        if type(layer) is nn.Linear and _flattens(before, modules):
            traced.set_submodule(name, kernels.Flattened.of(layer))
            node.args = before.args[:1]
            traced.graph.erase_node(before)
        elif type(layer) is nn.ReLU and before.op == "call_module":
            layer.inplace = type(traced.get_submodule(str(before.target))) in OVERWRITTEN
    traced.delete_all_unused_submodules()


def _flattens(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Return whether the node flattens all but the first axis."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
    return node.target in (torch.flatten, "flatten") and node.args[1:] in ((1,), (1, -1)) and not node.kwargs


def _with_indices(pool: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Return whether a max-pool returns indices too, which tell a ReLU before it from one behind."""
    if pool.op == "call_module":
        return bool(getattr(modules[str(pool.target)], "return_indices", False))
    return bool(pool.kwargs.get("return_indices", False)) or len(pool.args) > 6


def _same(model: nn.Module, twin: nn.Module, x: Tensor) -> bool:
    """Return whether the two agree at ``x``, and ``model`` neither changes itself nor draws random numbers there."""
    (before, sizes), random = _insides(model), torch.get_rng_state()
    try:
        output, grad = _probe(model, x)
        after, new_sizes = _insides(model)
        still = len(after) == len(before) and all(map(operator.is_, after, before)) and new_sizes == sizes
        still = still and torch.equal(torch.get_rng_state(), random)
        other, other_grad = _probe(twin, x)
        return still and _close(other, output, OUTPUTS) and _close(other_grad, grad, GRADIENTS)
    except Exception:  # the attack will meet it, in the words of the model
        return False


def _probe(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs and the input gradient of a sum of them whose weights are all different."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = model(x)
        weights = torch.arange(1.0, output.numel() + 1, dtype=output.dtype, device=output.device).cos()
        (grad,) = torch.autograd.grad((output * weights.view_as(output)).sum(), x)
    return output.detach(), grad


def _close(a: Tensor, b: Tensor, allowed: dict[torch.dtype, float]) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype not in allowed:
        return False
    return bool((a - b).norm() <= allowed[a.dtype] * b.norm())  # false if anything is NaN


def _insides(model: nn.Module) -> tuple[list[Any], list[Any]]:
    """Return what of a model its own forward might change: the attributes, and their lengths and versions."""
    values = [value for part in model.modules() for value in vars(part).values()]
    sizes = [len(value) for value in values if isinstance(value, list | dict | set)]
    return values, [*sizes, *_versions(_tensors(model))]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _versions(tensors: list[Tensor]) -> list[tuple[int, int, int]]:
    return [(id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors]


def _random_state_kept(x: Tensor | None) -> AbstractContextManager[None]:
    """Leave torch's global random state as it was, on the CPU and where ``x`` is."""
    on_gpu = x is not None and x.device.type == "cuda"
    return torch.random.fork_rng(devices=[x.device] if x is not None and on_gpu else [])


def _channels_last(tensor: Tensor) -> Tensor:
    """Return the tensor in channels-last strides, also with one channel, where ``contiguous`` changes nothing."""
    n, c, h, w = tensor.shape
    if c > 1:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.reshape(n, h, w, 1).permute(0, 3, 1, 2)
