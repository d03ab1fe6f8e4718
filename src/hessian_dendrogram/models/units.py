r"""The units of a network as groups of its parameters: neurons, channels, rows of an embedding.

    Experiment(..., groups=lambda model: units_as_groups(model, "mlp.0", "mlp.2"))

A unit is an output of a layer: a neuron of a linear one, a channel of a convolution. It owns its ingoing weights, its
bias, and, where the layer that reads it is named, its outgoing weights.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import UserError

Groups = dict[str, list[tuple[str, Any]]]

CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d


def units_as_groups(model: nn.Module, layer: str, reader: str | None = None) -> Groups:
    """The units of a layer as groups of its parameters, as `Task.groups` and `Layout.group` take them.

    Frozen parameters are in no group. Groups of two layers that follow each other share weights where both have
    outgoing ones; leave these out of one.

    Args:
        model: with these layers.
        layer: name of an `nn.Linear`, of a convolution, or of the transposed linear layer of GPT-2.
        reader: name of the layer that reads the units, whose weights from a unit are its outgoing ones. A linear layer
            that reads a convolution reads it flattened, channel after channel.

    Returns:
        `"neuron LAYER.0"`, ... or `"channel LAYER.0"`, ..., each with what belongs to it.

    Raises:
        UserError: there is no such layer, it is of another kind, the two do not fit, or all of it is frozen.
    """
    first = _layer(model, layer)
    names = {id(tensor): name for name, tensor in model.named_parameters() if tensor.requires_grad}
    count = _outputs(first)
    second = None if reader is None else _layer(model, reader)
    width = 0 if second is None else inputs_a_unit(first, second, f"{reader!r} does not read {layer!r}")
    kind = "channel" if isinstance(first, CONVOLUTIONS) else "neuron"
    groups: Groups = {}
    for unit in range(count):
        parts: list[tuple[Any, Any]] = [
            (first.weight, (slice(None), unit) if _is_transposed(first) else unit),
            (first.bias, unit),
        ]
        if second is not None:
            columns = slice(unit * width, (unit + 1) * width)
            parts.append((second.weight, columns if _is_transposed(second) else (slice(None), columns)))
        members = [(names[id(tensor)], place) for tensor, place in parts if id(tensor) in names]
        if not members:
            raise UserError(f"all parameters of layer {layer!r} are frozen, so its units have none")
        groups[f"{kind} {layer}.{unit}"] = members
    return groups


def embedding_rows_as_groups(model: nn.Module, layer: str) -> Groups:
    """The rows of an embedding as groups, one a token: `"row LAYER.0"`, ...

    Args:
        model: with this layer.
        layer: name of an `nn.Embedding`; its weight may be shared with another layer.

    Raises:
        UserError: there is no such layer, it is of another kind, or it is frozen.
    """
    module = _named(model, layer)
    if not isinstance(module, nn.Embedding):
        raise UserError(f"layer {layer!r} must be an nn.Embedding, got {type(module).__name__}")
    name = next((name for name, tensor in model.named_parameters() if tensor is module.weight), None)
    if name is None or not module.weight.requires_grad:
        raise UserError(f"the embedding {layer!r} is frozen, so its rows have no parameters")
    return {f"row {layer}.{row}": [(name, row)] for row in range(len(module.weight))}


def _named(model: nn.Module, layer: str) -> nn.Module:
    try:
        return model.get_submodule(layer)
    except AttributeError:
        there = ", ".join(name for name, _ in model.named_modules() if name)
        raise UserError(f"there is no layer {layer!r}; there are {there:.300}") from None


def _layer(model: nn.Module, layer: str) -> Any:
    """A layer whose outputs are units."""
    module = _named(model, layer)
    is_known = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or _is_transposed(module)
    if not is_known or module._parameters.get("weight") is None:
        raise UserError(f"layer {layer!r} must be linear or a convolution with a weight, got {type(module).__name__}")
    return module


def _is_transposed(module: nn.Module) -> bool:
    """Whether a layer is the linear one of GPT-2, whose weight is (inputs, outputs)."""
    return type(module).__name__ == "Conv1D"


def _outputs(layer: Any) -> int:
    return int(layer.weight.shape[1 if _is_transposed(layer) else 0])


def inputs_a_unit(layer: Any, reader: Any, what: str) -> int:
    """How many inputs of a reader each unit of a layer is.

    Raises:
        UserError: they do not fit.
    """
    count, inputs = _outputs(layer), int(reader.weight.shape[0 if _is_transposed(reader) else 1])
    is_flattened = isinstance(layer, CONVOLUTIONS) and isinstance(reader, nn.Linear)
    if getattr(reader, "groups", 1) != 1:
        raise UserError(f"{what}: it is a convolution in {reader.groups} groups, and one group is needed")
    if inputs % count if is_flattened else inputs != count:
        raise UserError(f"{what}: it has {inputs} inputs, of {count} units")
    return inputs // count
