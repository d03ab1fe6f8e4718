"""Data whose batches are made in a way of their own: by a function that collates samples, or as they were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.data import Dataset, Subset

from ..errors import UserError


class Collated(Dataset[Any]):
    """A map-style dataset with the function that makes a batch of several of its samples.

    Samples are read when a batch is made, and batches anew for every product unless they fit in memory, so that a
    dataset may be larger than that. The function must not let a sample's loss depend on those beside it: what is padded
    to the longest of a batch needs a mask and labels of -100.

    Args:
        dataset: anything with a length whose samples have numbers, such as a `torch.utils.data.Dataset`.
        collate: `collate(samples)` gives a batch `(inputs, targets)`, or a dictionary with its targets as `labels`.

    Raises:
        UserError: the dataset has no length or no numbered samples, or `collate` is no function.
    """

    def __init__(self, dataset: Any, collate: Callable[[list[Any]], Any]) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise UserError(f"Collated needs a dataset with a length and numbered samples, got {type(dataset)}")
        if not callable(collate):
            raise UserError(f"collate must be a function, collate(samples) -> a batch; got {type(collate)}")
        self.dataset, self.collate = dataset, collate

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]

    def some(self, indices: list[int]) -> Collated:
        """The chosen samples, collated likewise."""
        return Collated(Subset(self.dataset, indices), self.collate)


class GivenBatches(Dataset[Any]):
    """Batches whose composition belongs to the loss, as where it compares the samples of a batch with each other.

    The mean loss is then that of these batches, L = (1/B) Σ_b ℓ_b, in which each counts the same (or what `weight=`
    says), and a batch takes the place of a sample: in the number of samples, in a choice of fewer, in the estimate of
    errors. No batch is ever cut, joined, or compared with its parts.

    Args:
        batches: a list of batches `(inputs, targets)`, or anything with a length that gives each by its number.

    Raises:
        UserError: they have no length or no numbers, such as those of a loader; or there are none.
    """

    def __init__(self, batches: Any) -> None:
        if not (hasattr(batches, "__len__") and hasattr(batches, "__getitem__")) or isinstance(batches, dict):
            raise UserError(f"given batches are a list of batches, which stay the same; got {type(batches)}")
        if not len(batches):
            raise UserError("given batches are none; a mean loss needs at least one")
        self.given = batches

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> Any:
        return self.given[index]

    def some(self, indices: list[int]) -> GivenBatches:
        """The chosen batches."""
        return GivenBatches(Subset(self.given, indices))
