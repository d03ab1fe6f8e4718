"""The heads of a model's attention as groups of its parameters, without writing indices.

    Experiment(..., groups=heads_as_groups)

A head owns what makes its queries, keys and values, and what takes its output to the stream: `head 0.3` is the fourth
of the first attention module, in the model's order. Where several heads share keys and values, these are groups of
their own, `keys and values 0.1`. A bias that is added after the heads belongs to none. Models are known by the names
of their tensors, and no library is imported: those of TransformerLens (`W_Q`, ...), of transformers with projections
of their own (`q_proj`, `query`, ...) or in one tensor (GPT-2, GPT-NeoX, BLOOM), and `nn.MultiheadAttention`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from ..errors import UserError

Part = tuple[Tensor | None, Any]
"""A tensor, and the index of a head's share of it."""
Heads = dict[str, list[Part]]

_SEPARATE = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("q", "k", "v"), ("q_lin", "k_lin", "v_lin"))
_OUTPUTS = ("o_proj", "out_proj", "dense", "o", "out_lin", "c_proj")
_BY_KIND, _BY_HEAD = ("c_attn",), ("query_key_value",)  # one tensor: all queries first, or head after head
_KNOWN_BY_HEAD = ("GPTNeoX", "Bloom")
_WIDTH_OF_HEAD = ("head_dim", "head_size", "attention_head_size", "d_head", "key_value_proj_dim")
_NUMBER_OF_HEADS = ("num_heads", "num_attention_heads", "n_head", "n_heads")


def heads_as_groups(model: nn.Module) -> dict[str, list[tuple[str, Any]]]:
    """The parameters of each head that are not frozen, as `Task.groups` and `Layout.group` take them.

    Raises:
        UserError: the model has no attention whose heads are known, or an attention that is not as its names say.
    """
    names = {id(tensor): name for name, tensor in model.named_parameters() if tensor.requires_grad}
    groups: dict[str, list[tuple[str, Any]]] = {}
    layer, seen = 0, set[int]()
    for module, parent in _with_parents(model):
        heads = _of_transformer_lens(module) or _of_torch(module) or _of_projections(module, parent)
        tensors = {id(tensor) for parts in heads.values() for tensor, _ in parts}
        if tensors & seen:  # of a wrapper around this module
            continue
        seen |= tensors - {id(None)}
        for label, parts in heads.items():
            members = [(names[id(tensor)], place) for tensor, place in parts if id(tensor) in names]
            if members:
                kind, _, number = label.rpartition(" ")
                groups[f"{kind} {layer}.{number}"] = members
        layer += bool(heads)
    if not groups:
        raise UserError(
            f"no attention with heads that can be told apart was found in a {type(model).__name__}; give the groups as "
            '{"head 0.0": [("name of a tensor", index), ...], ...}'
        )
    return groups


def _with_parents(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module | None]]:
    parents: dict[int, nn.Module] = {}
    for module in nn.Module.modules(model):
        yield module, parents.get(id(module))
        for child in module.children():
            parents.setdefault(id(child), module)


def _of_transformer_lens(module: nn.Module) -> Heads:
    """Heads along the first axis of each tensor; keys and values begin with _ where heads share them."""
    own = module._parameters
    queries = own.get("W_Q")
    if queries is None or queries.ndim != 3:
        return {}
    heads: Heads = {f"head {h}": [(own.get(k), h) for k in ("W_Q", "b_Q", "W_O")] for h in range(len(queries))}
    is_shared = own.get("W_K") is None
    for name in ("W_K", "b_K", "W_V", "b_V"):
        tensor = own.get(f"_{name}" if is_shared else name)
        for number in range(0 if tensor is None else len(tensor)):
            label = f"keys and values {number}" if is_shared else f"head {number}"
            heads.setdefault(label, []).append((tensor, number))
    return heads


def _of_torch(module: nn.Module) -> Heads:
    """Queries, keys and values one after another in `in_proj_weight`."""
    if not isinstance(module, nn.MultiheadAttention) or module.in_proj_weight is None:
        return {}
    width, size = module.head_dim, module.embed_dim
    return {
        f"head {h}": [
            *(
                (tensor, place)
                for place in _thirds(h, width, size)
                for tensor in (module.in_proj_weight, module.in_proj_bias)
            ),
            (module.out_proj.weight, (slice(None), _rows(h, width))),
        ]
        for h in range(module.num_heads)
    }


def _of_projections(module: nn.Module, parent: nn.Module | None) -> Heads:
    """Linear layers of their own, or one for queries, keys and values."""
    children = dict(module.named_children())
    output = next((children[name] for name in _OUTPUTS if name in children), None)
    if output is None and parent is not None:
        output = getattr(getattr(parent, "output", None), "dense", None)  # as BERT has it
    separate = next((names for names in _SEPARATE if all(name in children for name in names)), None)
    fused = next((name for name in (*_BY_KIND, *_BY_HEAD) if name in children), None)
    if output is None or not (separate or fused):
        return {}
    out = _Projection(module, output)
    width = _width_of_head(module, out.inputs)
    heads: Heads = {f"head {h}": [out.from_head(_rows(h, width))] for h in range(out.inputs // width)}
    if separate:
        queries, *others = (_Projection(module, children[name]) for name in separate)
        _confirm(module, queries.outputs == out.inputs and all(one.outputs % width == 0 for one in others))
        for h, label in enumerate(heads):
            heads[label] += queries.to_head(_rows(h, width))
        for one in others:
            is_shared = one.outputs < queries.outputs
            for number in range(one.outputs // width):
                label = f"keys and values {number}" if is_shared else f"head {number}"
                heads.setdefault(label, []).extend(one.to_head(_rows(number, width)))
        return heads
    assert fused is not None
    one, is_by_head = _Projection(module, children[fused]), fused in _BY_HEAD
    kind = type(module).__name__
    is_known = kind.startswith(_KNOWN_BY_HEAD) if is_by_head else "BigCode" not in kind
    _confirm(module, is_known and one.outputs == 3 * out.inputs)
    for h, label in enumerate(heads):
        places = [_rows(h, 3 * width)] if is_by_head else _thirds(h, width, out.inputs)
        heads[label] += [part for place in places for part in one.to_head(place)]
    return heads


class _Projection:
    """A linear layer, also a wrapped one, or one whose weight is transposed as in GPT-2."""

    def __init__(self, attention: nn.Module, module: nn.Module) -> None:
        found = [part for part in module.modules() if part._parameters.get("weight") is not None]
        _confirm(attention, len(found) == 1)
        weight, self.bias = (found[0]._parameters.get(name) for name in ("weight", "bias"))
        assert weight is not None
        _confirm(attention, weight.ndim == 2)
        self.weight = weight
        self.is_transposed = type(found[0]).__name__ == "Conv1D"
        self.outputs, self.inputs = self.weight.shape[::-1] if self.is_transposed else self.weight.shape

    def to_head(self, place: slice) -> list[Part]:
        """What makes some of the outputs."""
        return [(self.weight, (slice(None), place) if self.is_transposed else place), (self.bias, place)]

    def from_head(self, place: slice) -> Part:
        """What takes some of the inputs."""
        return self.weight, place if self.is_transposed else (slice(None), place)


def _rows(number: int, width: int) -> slice:
    return slice(number * width, (number + 1) * width)


def _thirds(number: int, width: int, size: int) -> list[slice]:
    """A head's places among all queries, all keys and all values, one after another."""
    return [slice(start + number * width, start + (number + 1) * width) for start in (0, size, 2 * size)]


def _width_of_head(module: nn.Module, total: int) -> int:
    inner = module._modules.get("_original_component")  # of a TransformerBridge's wrapper
    known = {**(vars(inner) if inner is not None else {}), **vars(module)}
    width = next((known[name] for name in _WIDTH_OF_HEAD if isinstance(known.get(name), int)), 0)
    number = next((known[name] for name in _NUMBER_OF_HEADS if isinstance(known.get(name), int)), 0)
    width = width or (total // number if number else 0)
    _confirm(module, width > 0 and total % width == 0)
    return width


def _confirm(module: nn.Module, is_right: bool) -> None:
    if not is_right:
        raise UserError(
            f"the heads of a {type(module).__name__} cannot be told apart by its tensors; give the groups as "
            '{"head 0.0": [("name of a tensor", index), ...], ...}'
        )
