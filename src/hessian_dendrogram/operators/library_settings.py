"""Settings in which models of known libraries are evaluated twice differentiable, and in the type that was asked for.

What such a model computes is decided by an object that all its modules share: in transformers `config` names the kernel
of attention, in TransformerLens `cfg` the type that activations are converted to. While an operator evaluates the model
the first is `eager` where it is none that can be differentiated twice, and the second the operator's; the user's model
has its own back afterwards. No library is imported: the objects are known by their attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Settings = list[tuple[Any, str, Any]]
"""An object, the name of an attribute, and its value."""

_KERNEL = "_attn_implementation_internal"
_TWICE_DIFFERENTIABLE = (None, "eager", "sdpa")  # fused kernels of the last are switched off by torch's own means


def settings_for(model: nn.Module, dtype: torch.dtype) -> Settings:
    """What to set while a model is evaluated in a type."""
    found: dict[int, tuple[Any, str, Any]] = {}
    for module in model.modules():
        config, cfg = (vars(module).get(name) for name in ("config", "cfg"))
        if hasattr(config, _KERNEL):
            own = getattr(config, _KERNEL)
            kernel = own if own in _TWICE_DIFFERENTIABLE else "eager"
            found[id(config)] = config, _KERNEL, kernel
        if isinstance(getattr(cfg, "dtype", None), torch.dtype) and hasattr(cfg, "d_model"):
            found[id(cfg)] = cfg, "dtype", dtype
    return list(found.values())


@contextmanager
def put_in(settings: Settings) -> Iterator[None]:
    """Set them for a while."""
    before: Sequence[tuple[Any, str, Any]] = [(held, name, getattr(held, name)) for held, name, _ in settings]
    try:
        for held, name, value in settings:
            setattr(held, name, value)
        yield
    finally:
        for held, name, value in before:
            setattr(held, name, value)
