"""Finds the chain of layers in a module, as a list of rules; or says why there is none.

The module is traced symbolically with torch.fx. Its forward must be a plain chain: every operation takes the output
of the one before and nothing else that depends on the input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ...layout import Layout
from .accumulator import Accumulator
from .columns import Columns, Site
from .convolution import ConvolutionRule
from .linear import LinearRule
from .normalisation import BatchNormRule
from .output import output_hessian
from .pointwise import IdentityRule, PointwiseRule
from .pooling import AveragePoolRule, MaxPoolRule

Rule = LinearRule | ConvolutionRule | BatchNormRule | PointwiseRule | IdentityRule | MaxPoolRule | AveragePoolRule

_SMOOTH = (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus)
_PIECEWISE_LINEAR = (nn.ReLU, nn.LeakyReLU)
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d)  # in eval mode
_FUNCTIONS: dict[Any, Any] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    torch.tanh: nn.Tanh,
    F.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    torch.sigmoid: nn.Sigmoid,
    F.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    F.gelu: nn.GELU,
    F.silu: nn.SiLU,
    F.leaky_relu: nn.LeakyReLU,
    F.softplus: nn.Softplus,
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
}


class NotAChainError(Exception):
    """The module is no chain of layers with rules; the message says where it departs from one."""


@dataclass(frozen=True)
class Link:
    """One layer of the chain: what computes its output, and its rule."""

    forward: Callable[[Tensor], Tensor]
    rule: Rule


@dataclass(frozen=True)
class Chain:
    """The links in order, and for each column its place in the layout."""

    links: list[Link]
    indices: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of the last layer."""
        for link in self.links:
            inputs = link.forward(inputs)
        return inputs

    def propagate(
        self, inputs: Tensor, loss: Callable[[Tensor], Tensor], accumulator: Accumulator, *, with_output: bool = True
    ) -> None:
        """Add the Hessian of `loss(output)`, a sum over independent samples, to the accumulator.

        Args:
            inputs: of the samples.
            loss: of their outputs.
            accumulator: takes the terms.
            with_output: add the term at the output, which is the Gauss-Newton part.
        """
        with torch.enable_grad():
            activations = [inputs.detach().requires_grad_(inputs.is_floating_point())]
            for link in self.links:
                activations.append(link.forward(activations[-1]))
            value = loss(activations[-1])
            if not value.requires_grad:  # whatever the outputs are
                return
            cotangents = torch.autograd.grad(value, activations[1:], create_graph=True, materialize_grads=True)
            A = output_hessian(cotangents[-1], activations[-1]) if with_output else None
        columns: list[Columns] = []
        with torch.no_grad():
            for link, z, output, cotangent in zip(
                self.links, activations[:-1], activations[1:], cotangents, strict=True
            ):
                site = Site(z.detach(), output.detach(), cotangent.detach())
                columns = link.rule.step(site, columns, accumulator)
            if A is not None:
                accumulator.add_output(columns, A)

    def pull_back(self, inputs: Tensor, metric: Callable[[Tensor], Tensor], accumulator: Accumulator) -> None:
        """Add Σ Dᵀ M D over samples, with D the Jacobian of their outputs, to the accumulator.

        Args:
            inputs: of the samples.
            metric: gives M for outputs (B, ...), as a matrix of each sample: shape (B, F, F).
            accumulator: takes the terms.
        """
        columns: list[Columns] = []
        z = inputs.detach()
        with torch.no_grad():
            for link in self.links:
                before, z = z, link.forward(z)
                columns = link.rule.step(Site(before, z, None), columns, accumulator)
        M = metric(z)
        with torch.no_grad():
            accumulator.add_output(columns, M)


def find_chain(model: nn.Module, layout: Layout) -> Chain:
    """The chain of a module whose parameters are those of the layout.

    Raises:
        NotAChainError: the forward is no plain chain, or a layer has no rule.
    """
    layers = _swap_pools(_layers(model))
    taken = {id(parameter): name for name, parameter in model.named_parameters() if name in layout.names}
    places = {name: torch.arange(layout.slice(name).start, layout.slice(name).stop) for name in layout.names}
    links, indices, seen = [], [torch.empty(0, dtype=torch.int64)], set()
    for layer in layers:
        for parameter in layer.parameters():
            if id(parameter) in seen:
                raise NotAChainError("a parameter is used by two layers")
            seen.add(id(parameter))
        weight, bias = (
            places[taken[id(parameter)]] if id(parameter) in taken else None
            for parameter in (getattr(layer, "weight", None), getattr(layer, "bias", None))
        )
        rule = _rule(layer, weight, bias, sum(map(len, indices)))
        links.append(Link(layer, rule))
        indices.append(rule.indices)
    covered = torch.cat(indices)
    if len(covered) != layout.size:
        raise NotAChainError(f"{layout.size - len(covered)} parameters belong to no layer of the chain")
    return Chain(links, covered)


def _rule(layer: nn.Module, weight: Tensor | None, bias: Tensor | None, start: int) -> Rule:
    if type(layer) is nn.Linear:
        return LinearRule(layer, weight, bias, start)
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return ConvolutionRule(layer, weight, bias, start)
    if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d) and layer.running_mean is not None:
        return BatchNormRule(layer, weight, bias, start)  # type: ignore[arg-type]
    if type(layer) in _SMOOTH + _PIECEWISE_LINEAR:
        return PointwiseRule(layer.forward, is_piecewise_linear=type(layer) in _PIECEWISE_LINEAR)
    if type(layer) is nn.MaxPool2d and not layer.return_indices:
        return MaxPoolRule(layer)
    if type(layer) in (nn.AvgPool2d, nn.AdaptiveAvgPool2d):
        return AveragePoolRule(layer)
    if type(layer) in _NOTHING or (type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)):
        return IdentityRule()
    raise NotAChainError(f"{type(layer).__name__} has no rule")


def _without_own_ways(modules: dict[str, nn.Module]) -> None:
    """Hooks and forwards of an instance change what a layer computes, and no rule knows them."""
    if nn.modules.module._has_any_global_hook():
        raise NotAChainError("hooks are registered for all modules")
    for name, module in modules.items():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        if any(hooks):
            raise NotAChainError(f"{name or 'the model'} has hooks")
        if "forward" in vars(module):
            raise NotAChainError(f"{name or 'the model'} has a forward of its own")


def _layers(model: nn.Module) -> list[nn.Module]:
    """The modules that the forward calls one after another; functions as the modules that do the same."""
    _without_own_ways(dict(model.named_modules()))
    root = model if list(model.children()) else nn.Sequential(model)
    try:
        graph = fx.symbolic_trace(root).graph
    except Exception as error:
        raise NotAChainError(f"its forward cannot be traced: {str(error).splitlines()[0]}") from None
    layers: list[nn.Module] = []
    last: fx.Node | None = None
    modules = dict(root.named_modules())
    sizes: set[fx.Node] = set()  # x.size(0), as in x.view(x.size(0), -1)
    for node in graph.nodes:
        if node.op == "placeholder":
            if last is not None:
                raise NotAChainError("it takes several inputs")
            last = node
        elif node.op == "call_method" and node.target == "size" and node.args[0] is last:
            sizes.add(node)
        elif node.op == "output":
            if node.args[0] is not last:
                raise NotAChainError("its output is not that of its last layer")
        elif node.op == "get_attr" or set(node.all_input_nodes) - sizes != {last}:
            raise NotAChainError(f"its forward is no plain chain at {node.name!r}")
        else:
            layers.append(_out_of_place(modules[node.target]) if node.op == "call_module" else _as_module(node))
            last = node
    return layers


def _as_module(node: fx.Node) -> nn.Module:
    """The module that does what a function or method call does."""
    arguments, keywords = node.args[1:], dict(node.kwargs)
    keywords.pop("inplace", None)
    if node.target in (torch.flatten, "flatten") and (*arguments, *keywords.values()) == (1,):
        return nn.Flatten()
    if node.target in ("view", "reshape") and len(arguments) == 2 and -1 in arguments:
        return nn.Flatten()  # that it is one, and no other shape, shows when the chain is compared with the module
    if node.target is F.dropout and not keywords.get("training", True):
        return nn.Identity()
    if node.target in _FUNCTIONS:
        module: nn.Module = _FUNCTIONS[node.target](*arguments, **keywords)
        return module
    raise NotAChainError(f"{getattr(node.target, '__name__', node.target)} has no rule")


def _out_of_place(layer: nn.Module) -> nn.Module:
    """The layer; one that would overwrite its input as one that does not."""
    if not getattr(layer, "inplace", False) or next(layer.parameters(), None) is not None:
        return layer
    layer = copy.copy(layer)
    layer.inplace = False  # type: ignore[assignment]
    return layer


def _swap_pools(layers: list[nn.Module]) -> list[nn.Module]:
    """Max-pooling before a ReLU instead of after it: the same function and derivatives, on fewer entries."""
    layers = list(layers)
    for i in range(len(layers) - 1):
        if type(layers[i]) is nn.ReLU and type(layers[i + 1]) is nn.MaxPool2d:
            layers[i], layers[i + 1] = layers[i + 1], layers[i]
    return layers
