"""Settings in which models of known libraries are evaluated twice differentiable, and in the type that was asked for.

What such a model computes is decided by an object that all its modules share: in transformers `config` names the kernel
of attention, in TransformerLens `cfg` the type that activations are converted to. While an operator evaluates the model
the first is `eager` where it is none that can be differentiated twice, and the second the operator's; the user's model
has its own back afterwards. No library is imported: the objects are known by their attributes. A model that
`torch.compile` has wrapped is evaluated as it was written.

A bridge of TransformerLens has parts of the original model, such as its dropout, that it does not list as its own; what
its `eval()` reaches nevertheless is in that mode, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

Settings = list[tuple[Any, str, Any]]
"""An object, the name of an attribute, and its value."""

_TWICE_DIFFERENTIABLE = {  # kernels by the attribute that names them; of others `eager` takes the place
    "_attn_implementation_internal": (None, "eager", "sdpa"),  # fused ones of the last are off by torch's own means
    "_experts_implementation_internal": (None, "eager"),
}


def settings_for(model: nn.Module, dtype: torch.dtype) -> Settings:
    """What to set while a model is evaluated in a type."""
    found: dict[tuple[int, str], tuple[Any, str, Any]] = {}
    for module in model.modules():
        config, cfg = (vars(module).get(name) for name in ("config", "cfg"))
        for attribute, kernels in _TWICE_DIFFERENTIABLE.items():
            if hasattr(config, attribute):
                own = getattr(config, attribute)
                found[id(config), attribute] = config, attribute, own if own in kernels else "eager"
        if isinstance(getattr(cfg, "dtype", None), torch.dtype) and hasattr(cfg, "d_model"):
            found[id(cfg), "dtype"] = cfg, "dtype", dtype
    return [*found.values(), *((part, "training", False) for part in _kept_aside(model))]


def _kept_aside(model: nn.Module) -> list[nn.Module]:
    """Modules that are none of a model's own, and that its `eval()` puts in that mode all the same."""
    own = {id(part): part for part in model.modules()}
    held = [value for part in own.values() for value in vars(part).values() if isinstance(value, nn.Module)]
    aside = {id(part): part for one in held for part in one.modules() if id(part) not in own and part.training}
    if not aside:
        return []
    modes = [(part, part.training) for part in [*own.values(), *aside.values()]]
    try:
        model.eval()
        return [part for part in aside.values() if not part.training]
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def put_in(settings: Settings) -> Iterator[None]:
    """Set them for a while."""
    before: Sequence[tuple[Any, str, Any]] = [(held, name, getattr(held, name)) for held, name, _ in settings]
    try:
        for held, name, value in settings:
            setattr(held, name, value)
        with _as_written():
            yield
    finally:
        for held, name, value in before:
            setattr(held, name, value)


def _as_written() -> AbstractContextManager[Any]:
    """Without the kernels of `torch.compile`, which have no second derivative; it is imported where they are in use."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
