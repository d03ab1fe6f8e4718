"""Does a sample's loss depend on what it is collated with, as where padding is not masked?

A function that collates pads to the longest sample of a batch. A model that sees the padding gives another loss beside
a longer sample, and a mean over samples there is none: it would change with the order and the size of the batches. So
few samples, evenly spaced, are evaluated together and each by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.data import DataLoader, IterableDataset, default_collate

from ..errors import UserError
from ..models import samples
from ..models.batched import Collated
from ..models.samples import Batch, Data
from .risk import Risk

_COLLATED = 8
"""Samples that are evaluated together and one by one."""


def check_collation(risk: Risk, value: Callable[[Batch], float], tolerance: float) -> str | None:
    """Compare the loss of samples that are collated with the mean of each by itself.

    Args:
        risk: of the data.
        value: the loss of a batch.
        tolerance: how far two numbers may be apart, relative to their size.

    Returns:
        Why it could not be done, or nothing.

    Raises:
        UserError: they differ.
    """
    source = collated(risk.data.source)
    if source is None or len(source) < 2:
        return None
    count = min(_COLLATED, len(source))
    rows = torch.arange(count) * len(source) // count
    try:
        together, apart = ([*_batches(risk, source, rows, size)] for size in (count, 1))
        if not together or not apart:
            return None
        values = [(value(batch), risk.data.weight_of(batch)) for batch in apart]
        whole = value(together[0])
    except UserError as error:
        return str(error)
    except Exception as error:  # of the user's function, for a single sample
        return f"samples cannot be collated one by one ({type(error).__name__})"
    total = sum(weight for _, weight in values)
    mean = sum(one * weight for one, weight in values) / total
    size = abs(whole) + max(abs(one) for one, _ in values)
    if math.isfinite(whole) and not abs(whole - mean) <= tolerance * size:
        raise UserError(
            f"the loss of a sample depends on those it is collated with: {count} together give {whole:.9g}, the mean "
            f"of each by itself is {mean:.9g}; let the model see what is padding (attention_mask, and position_ids "
            "where it stands on the left), and give it labels of -100"
        )
    return None


def collated(data: Data) -> Collated | None:
    """The samples of data with the function that makes batches of them, where there is one of the user's."""
    if isinstance(data, Collated):
        return data
    if not isinstance(data, DataLoader) or data.batch_size is None or isinstance(data.dataset, IterableDataset):
        return None
    return None if data.collate_fn is default_collate else Collated(data.dataset, data.collate_fn)


def _batches(risk: Risk, source: Collated, rows: torch.Tensor, size: int) -> list[Batch]:
    chosen = samples.select(source, rows)
    return list(replace(risk.data, source=chosen, batch_size=size, count=0).batches())
