"""Groups of parameters that a name chooses: some of a task's own, or the units of a model's layers.

("neuron*",)                 those of the task's groups whose names match
("mlp.0", "mlp.0,mlp.2")     units of a layer, with the weights of the layer that reads them where that is named
("heads", "embedding")       heads of attention; rows of an embedding, or of any tensor
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from torch import nn

from ..errors import UserError
from ..layout import Members
from .attention_heads import heads_as_groups
from .units import embedding_rows_as_groups, units_as_groups

HEADS = "heads"
_SHOWN = 8  # names in a message


def chosen_groups(
    model: nn.Module, own: Mapping[str, Members], patterns: Iterable[str] = (), units: Iterable[str] = ()
) -> dict[str, Members]:
    """Groups of a model's parameters, as `Layout.group` takes them.

    Args:
        model: with the layers.
        own: the task's groups.
        patterns: names of these, or patterns as a shell would match them; `"all"` is all.
        units: `"LAYER"` or `"LAYER,READER"` as for `units_as_groups`, the name of an embedding or a tensor for its
            rows, or `"heads"` for those of attention.

    Raises:
        UserError: a pattern matches none, there is no such layer, or a unit is named twice; the message says what there
            is.
    """
    found: dict[str, Members] = {}
    for pattern in patterns:
        found |= _matching(own, pattern)
    for text in units:
        for name, members in _units(model, text).items():
            if name in found:
                raise UserError(f"the group {name!r} is named twice, the second time by {text!r}; name units once")
            found[name] = members
    return found


def _matching(own: Mapping[str, Members], pattern: str) -> dict[str, Members]:
    is_all = pattern == "all" and "all" not in own
    names = [name for name in own if is_all or name == pattern or fnmatchcase(name, pattern)]
    if not own:
        raise UserError(
            f"the task has no groups of parameters, and {pattern!r} was asked for; give it some, or take units of a "
            "layer, with --units LAYER"
        )
    if not names:
        raise UserError(f"{pattern!r} is none of the task's groups; there are {_listed(own)}")
    return {name: own[name] for name in names}


def _units(model: nn.Module, text: str) -> Mapping[str, Members]:
    layer, *readers = (part.strip() for part in text.split(","))
    modules, tensors = dict(model.named_modules()), dict(model.named_parameters(remove_duplicate=False))
    if len(readers) > 1 or not layer or not all(readers):
        raise UserError(f"units are LAYER or LAYER,READER, as mlp.0,mlp.2; got {text!r}")
    is_module = layer in modules
    if readers and (not is_module or isinstance(modules[layer], nn.Embedding)):
        raise UserError(f"only units of a linear layer or a convolution have a reader; {layer!r} is none, got {text!r}")
    if layer == HEADS and not is_module and layer not in tensors:
        return heads_as_groups(model)
    if is_module:
        is_embedding = isinstance(modules[layer], nn.Embedding)
        return embedding_rows_as_groups(model, layer) if is_embedding else units_as_groups(model, layer, *readers)
    if layer not in tensors:
        raise UserError(
            f"there is no layer or tensor {layer!r}; there are {_listed([*filter(None, modules), *tensors], 16)}"
        )
    if not tensors[layer].requires_grad or tensors[layer].ndim < 1:
        raise UserError(f"the tensor {layer!r} is frozen or one number, so it has no rows to couple")
    own = next(name for name, tensor in model.named_parameters() if tensor is tensors[layer])  # of all that share it
    return {f"row {layer}.{row}": [(own, row)] for row in range(len(tensors[layer]))}


def _listed(names: Iterable[str], most: int = _SHOWN) -> str:
    several = [*names]
    more = f" and {len(several) - most:,} more" if len(several) > most else ""
    return f"{', '.join(several[:most])}{more}"
