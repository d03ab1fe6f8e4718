"""The samples that a mean is taken over, as an operator wants them: on its device, in its type, with their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..errors import UserError, user_errors
from ..models import samples
from ..models.batched import GivenBatches
from ..models.samples import Batch, Data
from .interception import ExactSums
from .stand_in import type_of_that_precision

Weight = Callable[[Tensor], Tensor | float]

KEPT_MEMORY = 2**30
"""Bytes of samples that stay as an operator wants them from one product to the next; of more, none do."""


def sample_shares(weight: Weight | None, targets: Tensor, count: int) -> Tensor:
    """The share of each sample in a batch's mean: shape (count,), float64; they add up to one.

    Args:
        weight: of targets, asked of those of each sample by itself; `None` where samples count alike.
        targets: of the batch.
        count: how many samples.

    Raises:
        UserError: a sample weighs less than nothing, or all of them nothing.
    """
    if weight is None or count == 1:
        return torch.full((count,), 1 / count, dtype=torch.float64)
    with user_errors("weight= cannot be evaluated for a single sample"), ExactSums():
        each = torch.tensor([float(weight(targets[n : n + 1])) for n in range(count)], dtype=torch.float64)
    if not (bool((each >= 0).all()) and 0 < float(each.sum()) < float("inf")):
        raise UserError(f"weight= must give numbers >= 0 for each sample, got {each.min():g} to {each.max():g}")
    return each / each.sum()


@dataclass(frozen=True, eq=False)
class WeightedData:
    """Batches with what each of them weighs.

    Args:
        source: as the user gave them, in a form that can be read many times.
        weight: of a batch's targets; default their number, or one for a batch that was given as such.
        dtype: what floating-point tensors are converted to.
        device: where the batches live.
        batch_size: samples in one batch, for data that does not come in batches.
        count: how many samples there are, or given batches, once they have been counted.
        total: what all batches weigh together, likewise.

    Once they are counted, batches that had to be converted, moved or loaded are kept while all of them fit in
    `KEPT_MEMORY`; those that are views of the user's tensors are taken again.
    """

    source: Data
    weight: Weight | None
    dtype: torch.dtype
    device: torch.device
    batch_size: int
    count: int = 0
    total: float = 0.0
    _kept: list[Batch] = field(default_factory=list, init=False, repr=False)

    @property
    def is_given(self) -> bool:
        """Whether the composition of the batches belongs to the loss, so that none may be cut."""
        return isinstance(self.source, GivenBatches)

    def count_of(self, batch: Batch) -> int:
        """How many of what the mean is taken over a batch is."""
        return 1 if self.is_given else samples.count(batch)

    def batches(self) -> Iterator[Batch]:
        """The data as it comes, on the device and in the dtype; batches of weight zero are left out."""
        if self._kept:
            yield from self._kept
            return
        kept: list[Batch] = []
        room, is_copy = KEPT_MEMORY if self.count else 0, False
        for inputs, targets in samples.batches(self.source, self.batch_size):
            batch = samples.map_inputs(self._moved, inputs), self._moved(targets)
            if not self.weight_of(batch):  # a mean over nothing, all targets ignored, would be 0/0
                continue
            if room > 0:
                given, taken = ([*samples.tensors_of(one), two] for one, two in ((inputs, targets), batch))
                is_copy |= not samples.is_pair(self.source)
                is_copy |= any(a.data_ptr() != b.data_ptr() for a, b in zip(given, taken, strict=True))
                room -= sum(tensor.nbytes for tensor in taken)
                kept.append(batch)
            yield batch
        if room > 0 and is_copy:
            self._kept[:] = kept

    def _moved(self, tensor: Tensor) -> Tensor:
        moved = tensor.detach().to(self.device, type_of_that_precision(tensor.dtype, self.dtype))
        return moved.requires_grad_(tensor.requires_grad)

    def weighted(self, most: int | None = None) -> Iterator[tuple[samples.Inputs, Tensor, float]]:
        """Inputs, targets and share in the mean of each batch; of at most `most` samples where that is given.

        Raises:
            UserError: parts are asked for of given batches.
        """
        if most and self.is_given:
            raise UserError("given batches are not cut, since the loss may compare their samples with each other")
        for batch in self.batches():
            length = samples.count(batch)
            for start in range(0, length, most or length):
                part = samples.take(batch, slice(start, start + (most or length)))
                if weight := self.weight_of(part):
                    yield (*part, weight / self.total)

    def weight_of(self, batch: Batch) -> float:
        """What a batch weighs in the mean.

        Raises:
            UserError: it is negative, or not finite.
        """
        if self.weight is None:
            return self.count_of(batch)
        with user_errors("weight= cannot be evaluated"), ExactSums():
            weight = float(self.weight(batch[1]))
        if not 0 <= weight < float("inf"):
            raise UserError(f"weight= must give numbers >= 0, got {weight}")
        return weight

    def counted(self, count: int, total: float) -> WeightedData:
        """The same, once it is known how many samples there are and what they weigh."""
        return replace(self, count=count, total=total)

    def evenly_spaced(self, most: int) -> WeightedData:
        """At most so many samples, evenly spaced, in their batches; those of weight zero left out.

        Of given batches as many as have so many samples, whole ones, and one at least.
        """
        if self.is_given:
            return self._some_given(most)
        if self.count <= most:
            return self
        places = torch.arange(most) * self.count // most
        parts: list[Batch] = []
        first = 0
        for batch in self.batches():
            rows = places[(places >= first) & (places < first + samples.count(batch))] - first
            first += samples.count(batch)
            if len(rows) and self.weight_of(part := samples.take(batch, rows.to(self.device))):
                parts.append(part)
        if not parts:
            return self
        return replace(self, source=parts, count=sum(map(samples.count, parts)), total=sum(map(self.weight_of, parts)))

    def _some_given(self, most: int) -> WeightedData:
        """Given batches, evenly spaced, that have about so many samples together."""
        parts = list(self.batches())
        wanted = max(1, most // max(map(samples.count, parts)))
        if wanted >= len(parts):
            return self
        chosen = [parts[number * len(parts) // wanted] for number in range(wanted)]
        source = GivenBatches(chosen)
        return replace(self, source=source, count=len(chosen), total=sum(map(self.weight_of, chosen)))
