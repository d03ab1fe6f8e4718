"""A ReLU network with units of one scale, which is the same for all networks that differ in scales alone.

A hidden unit of a ReLU network can be rescaled, ingoing weights and bias by c > 0 and outgoing weights by 1/c, and the
network computes the same. Of all such networks the *balanced* one has ingoing and outgoing weights of equal norms at
every unit, which is where Σ θ² over weights and hidden biases is smallest. In the logarithms of the factors that sum is
convex, strictly where every unit has ingoing weights, so that there is one balanced network (Stock et al. 2019, arXiv
1902.10416; Du, Hu & Lee 2018, arXiv 1806.00900).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .units import CONVOLUTIONS, inputs_a_unit

_HOMOGENEOUS = nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d
"""Layers that give c times as much for c times as much, unit by unit, where c > 0; as do those of `_POOLING`."""
_POOLING = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
_SWEEPS, _BALANCED = 10_000, 1e-14


def balanced(model: nn.Module) -> nn.Module:
    """A copy of a ReLU network that computes the same, each hidden unit's ingoing and outgoing weights of equal norms.

    Ingoing weights include the bias. Every network that differs from this one in the scales of its units has the same
    balanced copy, up to rounding.

    Args:
        model: an `nn.Sequential`, perhaps of others, of linear layers and convolutions with nothing between them but
            ReLU, leaky ReLU, pooling, flattening and dropout. What follows the last of them may be anything.

    Raises:
        UserError: it is another network, or a unit has no ingoing or no outgoing weights.
    """
    copied = copy.deepcopy(model)
    layers = _chain(copied)
    widths = [inputs_a_unit(one, two, f"layer {n + 2} does not read layer {n + 1}") for n, (one, two) in _pairs(layers)]
    sizes = [_squares(two, width) for (_, (_, two)), width in zip(_pairs(layers), widths, strict=True)]
    factors = _factors(_squares_from_inputs(layers[0]), [_squares_of_bias(one) for one in layers[:-1]], sizes)
    with torch.no_grad():
        for number, layer in enumerate(layers):
            if number < len(factors):
                _scale(layer.weight, factors[number].view(-1, *[1] * (layer.weight.ndim - 1)))
                if layer.bias is not None:
                    _scale(layer.bias, factors[number])
            if number:
                columns = factors[number - 1].repeat_interleave(widths[number - 1])
                _scale(layer.weight, 1 / columns.view(1, -1, *[1] * (layer.weight.ndim - 2)))
    return copied


def _factors(first: Tensor, biases: list[Tensor], sizes: list[Tensor]) -> list[Tensor]:
    """By what to multiply the ingoing weights of each unit, layer by layer.

    Args:
        first: squared norms of the first layer's weights, unit by unit.
        biases: squares of the biases of each hidden layer.
        sizes: of the weights from each unit (columns) to each of the next layer (rows), squared norms.
    """
    logs = [torch.zeros_like(bias) for bias in biases]
    for _ in range(_SWEEPS):
        largest = 0.0
        for n, log in enumerate(logs):
            scale = (2 * log).exp()
            ingoing = first * scale if n == 0 else (sizes[n - 1] * (-2 * logs[n - 1]).exp()).sum(1) * scale
            above = (2 * logs[n + 1]).exp()[:, None] if n + 1 < len(logs) else 1.0
            ingoing, outgoing = ingoing + biases[n] * scale, (sizes[n] * above).sum(0) / scale
            if not bool(((ingoing > 0) & (outgoing > 0) & ingoing.isfinite() & outgoing.isfinite()).all()):
                raise UserError(
                    f"a unit of hidden layer {n + 1} has no ingoing or no outgoing weights, so that its two norms "
                    "cannot be made equal; leave it out of the network"
                )
            step = (outgoing / ingoing).log() / 4
            logs[n] = log + step
            largest = max(largest, float(step.abs().max()))
        if largest <= _BALANCED or len(logs) == 1:
            return [log.exp() for log in logs]
    raise UserError(f"the units were not balanced after {_SWEEPS:,} sweeps; factors still change by {largest:.1g}")


def _chain(model: nn.Module) -> list[Any]:
    """The layers with weights, in order."""
    modules = list(_in_order(model))
    places = [n for n, one in enumerate(modules) if type(one) in (nn.Linear, *CONVOLUTIONS)]
    if len(places) < 2:
        raise UserError(f"balancing needs an nn.Sequential with a hidden layer, got {type(model).__name__}")
    for start, stop in pairwise(places):
        _confirm_between(modules[start], modules[start + 1 : stop], modules[stop])
    layers: list[Any] = [modules[n] for n in places]
    if len({id(one.weight) for one in layers}) < len(layers):
        raise UserError("layers that share their weights cannot be balanced by themselves")
    return layers


def _confirm_between(layer: nn.Module, between: list[nn.Module], reader: nn.Module) -> None:
    """Refuse what mixes units on their way from a layer to its reader, or does not pass their scale on."""
    is_flat, is_convolution = not isinstance(layer, CONVOLUTIONS), isinstance(layer, CONVOLUTIONS)
    for one in between:
        name = type(one).__name__
        passes = type(one) in _HOMOGENEOUS
        if type(one) in _POOLING:  # of other axes than those of the layer, it would pool over units
            passes = not is_flat and name[-2:] == type(layer).__name__[-2:]
        if type(one) is nn.Flatten:
            passes = is_flat = (one.start_dim, one.end_dim) == (1, -1)
        if not passes:
            raise UserError(
                f"units of a {type(layer).__name__} cannot be rescaled across a {name}; it takes ReLU layers"
            )
    if is_flat == isinstance(reader, CONVOLUTIONS):
        raise UserError(
            "a linear layer that reads a convolution needs an nn.Flatten between them, and no convolution reads "
            "what is flat"
            if is_convolution
            else "a convolution cannot be balanced that reads a linear layer"
        )


def _in_order(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of a chain of chains."""
    if type(module) is nn.Sequential:
        for child in module:
            yield from _in_order(child)
    else:
        yield module


def _pairs(layers: list[Any]) -> list[tuple[int, tuple[Any, Any]]]:
    return list(enumerate(pairwise(layers)))


def _squares_from_inputs(layer: Any) -> Tensor:
    return layer.weight.detach().double().square().flatten(1).sum(1)  # type: ignore[no-any-return]


def _squares_of_bias(layer: Any) -> Tensor:
    rows = torch.zeros(len(layer.weight), dtype=torch.float64, device=layer.weight.device)
    return rows if layer.bias is None else layer.bias.detach().double().square()


def _squares(layer: Any, width: int) -> Tensor:
    """Squared norms of the weights from each unit before: shape (units, units before)."""
    squares = layer.weight.detach().double().square().flatten(2).sum(2) if layer.weight.ndim > 2 else None
    squares = layer.weight.detach().double().square() if squares is None else squares
    return squares.view(len(squares), -1, width).sum(2)  # type: ignore[no-any-return]


def _scale(tensor: Tensor, factors: Tensor) -> None:
    tensor.copy_((tensor.double() * factors).to(tensor.dtype))
