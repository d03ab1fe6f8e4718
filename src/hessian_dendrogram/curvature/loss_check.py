"""Is the loss what the Hessian's formula needs: finite, deterministic, and a mean over samples?"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import samples
from ..errors import UserError
from ..samples import Batch

if TYPE_CHECKING:
    from .hessian import Hessian


def checked_loss(hessian: Hessian) -> tuple[int, float]:
    """Check the loss in float64, where rounding hides little; in its own type where float64 cannot be had."""
    if hessian.dtype != torch.float64:
        with suppress(RuntimeError, TypeError):
            return _check_loss(hessian.with_dtype(torch.float64))
    return _check_loss(hessian)


@torch.no_grad()
def _check_loss(hessian: Hessian) -> tuple[int, float]:
    """Number of samples and total weight, once the loss has shown that it is what the formula needs.

    Each batch is evaluated twice, and all the data is read twice, which shows randomness in the model and in the
    data; and each batch in two halves, which shows a loss that is no mean over samples (a sum, class weights,
    ignored targets) or a model that mixes the samples of a batch.
    """
    total, weight = 0, 0.0
    sums: list[Tensor] = []
    for number, batch in enumerate(hessian.batches(), start=1):
        value = hessian.batch_loss(batch)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UserError(f"the loss must be a scalar, the mean over a batch; got {shape}")
        if not torch.isfinite(value):
            raise UserError(f"the loss is {value.item()} on batch {number}; a Hessian needs a finite loss")
        if not _same(value, hessian.batch_loss(batch)):
            raise UserError(
                f"the loss is not deterministic: batch {number} evaluated twice differs from {value.item():.9g}; "
                "remove the randomness from the model and the loss"
            )
        if samples.count(batch) > 3:  # single samples may have another shape than batches
            _check_mean(hessian, batch, value)
        total += samples.count(batch)
        weight += hessian.batch_weight(batch)
        sums.append(value * hessian.batch_weight(batch))
    if not total:
        raise UserError("the data has no samples; a mean loss needs at least one")
    if not weight > 0:
        raise UserError(f"the weights of all batches add up to {weight}; they must be positive")
    if not samples.is_pair(hessian.data):
        again = [hessian.batch_loss(batch) * hessian.batch_weight(batch) for batch in hessian.batches()]
        if not _same(sum(sums) / weight, sum(again) / weight):  # type: ignore[arg-type]
            raise UserError(
                f"the data is not deterministic: read twice, the mean loss is {float(sum(sums)) / weight:.9g} and "
                f"{float(sum(again)) / weight:.9g}; turn augmentation off, or keep the batches in a list"
            )
    return total, weight


def _check_mean(hessian: Hessian, batch: Batch, value: Tensor) -> None:
    order = torch.randperm(samples.count(batch), generator=torch.Generator().manual_seed(0))
    halves = [samples.take(batch, rows.to(hessian.device)) for rows in order.tensor_split(2)]
    weights = [hessian.batch_weight(half) for half in halves]
    parts = [hessian.batch_loss(half) * weight for half, weight in zip(halves, weights, strict=True) if weight]
    mean = sum(parts, torch.zeros_like(value)) / sum(weights)
    if not _same(value, mean):
        raise UserError(
            f"the loss is not a mean over samples: a batch of {samples.count(batch)} gives {value.item():.9g}, "
            f"the mean over its two halves {mean.item():.9g}; pass weight=, what the targets weigh in the mean"
        )


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal up to the rounding of a sum over many samples."""
    tolerance = 1e3 * torch.finfo(one.dtype).eps
    return bool((one - other).abs() <= tolerance * (one.abs() + other.abs() + 1))
