"""Inputs without labels, for operators that need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from .samples import Data, tensors_of


def with_targets(data: Any) -> tuple[Data, bool]:
    """Data as samples with targets, and whether it had any; inputs alone get zeros, one for each sample.

    Args:
        data: what has samples (see `samples`), or inputs alone: a tensor, a dictionary of tensors without `labels`, or
            `(inputs, None)`. A tuple of two tensors is inputs and targets.
    """
    inputs: Any = None
    if isinstance(data, Tensor) or (isinstance(data, Mapping) and "labels" not in data and _has_tensors(data)):
        inputs = data
    elif isinstance(data, tuple | list) and len(data) == 2 and data[1] is None:
        inputs = tuple(data[0]) if isinstance(data[0], list) else data[0]
    if inputs is None:
        return cast("Data", data), True
    inputs = dict(inputs) if isinstance(inputs, Mapping) else inputs
    count = len(next(iter(tensors_of(inputs))))
    return (inputs, torch.zeros(count, dtype=torch.int64)), False


def _has_tensors(data: Mapping[str, Any]) -> bool:
    return len(data) > 0 and all(isinstance(value, Tensor) and value.ndim for value in data.values())
