"""Training samples whose targets are those of others, in a random order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import UserError, user_errors
from .batched import Collated, GivenBatches
from .samples import Data, checked, describe, is_pair, is_stored

Shuffle = Callable[[Tensor, torch.Generator], Tensor]
_TARGETS = "labels"  # in samples that are dictionaries
_FEW = 64  # samples of a dataset that are looked at


def with_shuffled_targets(data: Data, shuffle: Shuffle | None, generator: torch.Generator) -> Data:
    """The same inputs in their order, each with the target of another sample.

    Args:
        data: a tensor pair; or a map-style dataset of pairs or of dictionaries with `labels`, collated or not.
        shuffle: of the task, where not any order will do.
        generator: decides the order.

    Raises:
        UserError: there are no targets to exchange, or all of them are alike.
    """
    if is_pair(data):
        inputs, targets = checked(data)
        return inputs, _shuffled(targets, shuffle, generator)
    if isinstance(data, Collated):
        return _confirmed(data, Collated(_of_dataset(data.dataset, shuffle, generator), data.collate))
    if isinstance(data, GivenBatches) or not is_stored(data):
        raise UserError(
            "labels are shuffled of a tensor pair or a map-style Dataset of (input, target) pairs or dictionaries with "
            f"'labels', got {describe(data)}: who compares the samples of a batch has no label of one"
        )
    return _of_dataset(data, shuffle, generator)


def _shuffled(targets: Tensor, shuffle: Shuffle | None, generator: torch.Generator) -> Tensor:
    """Targets in another order, once it is certain that there is one."""
    if shuffle is None:
        found: Any = targets[torch.randperm(len(targets), generator=generator)]
    else:
        with user_errors("the task's shuffle failed"):
            found = shuffle(targets, generator)
        if not (isinstance(found, Tensor) and found.shape == targets.shape and found.dtype == targets.dtype):
            raise UserError(
                f"shuffle(targets, generator) must give as many targets of the same kind, {targets.dtype} of shape "
                f"{tuple(targets.shape)}; gave {describe(found)}"
            )
    if torch.equal(found, targets):
        raise UserError("the targets are the same in whatever order, so shuffled labels are no null; take another")
    shuffled: Tensor = found
    return shuffled


def _confirmed(own: Collated, shuffled: Collated) -> Collated:
    """Shuffled samples, once it is certain that batches have their targets, and none that are made of their inputs."""
    count = min(len(own), _FEW)
    targets, others = (checked(data.collate([data[i] for i in range(count)]))[1] for data in (own, shuffled))
    if torch.equal(targets, others):
        raise UserError(
            f"collate gives the first {count:,} samples the same targets, whatever they have themselves, so shuffled "
            "labels are no null; give samples whose targets collate takes"
        )
    return shuffled


def _of_dataset(dataset: Any, shuffle: Shuffle | None, generator: torch.Generator) -> ShuffledTargets:
    count = len(dataset)
    if shuffle is None:
        order = torch.randperm(count, generator=generator).tolist()
        found = ShuffledTargets(dataset, order)
        shown = range(min(count, _FEW))
        if all(_is_same(_target(dataset[i]), _target(found[i])) for i in shown):
            raise UserError(
                f"the first {len(shown):,} samples have the same targets in whatever order, so shuffled labels are no "
                "null; take another"
            )
        return found
    with user_errors("the task's shuffle needs targets that are tensors of one shape"):
        targets = torch.stack([torch.as_tensor(_target(dataset[i])) for i in range(count)])
    return ShuffledTargets(dataset, range(count), _shuffled(targets, shuffle, generator))


class ShuffledTargets(Dataset[Any]):
    """A dataset each of whose samples has the target of the one that stands at its place in an order.

    Args:
        dataset: of pairs (input, target), or of dictionaries with `labels`.
        order: a number of a sample for each sample.
        targets: those to take, where they are none of the dataset's own.

    Raises:
        UserError: (when a sample is read) it is something else, or its target has another shape.
    """

    def __init__(self, dataset: Any, order: Any, targets: Tensor | None = None) -> None:
        self.dataset, self.order, self.targets = dataset, order, targets

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        item = self.dataset[index]
        own = _target(item)
        other = _target(self.dataset[self.order[index]]) if self.targets is None else self.targets[index]
        if _shape(own) != _shape(other):
            raise UserError(
                f"samples {index} and {self.order[index]} have targets of different shapes, {_shape(own)} and "
                f"{_shape(other)}, which cannot be exchanged; shuffled labels need targets of one shape"
            )
        if isinstance(item, Mapping):
            return {**item, _TARGETS: other}
        return item[0], other


def _target(item: Any) -> Any:
    if isinstance(item, Mapping) and _TARGETS in item:
        return item[_TARGETS]
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[1]
    raise UserError(
        f"labels are shuffled of samples that are (input, target) or a dictionary with 'labels', got {describe(item)}"
    )


def _shape(target: Any) -> tuple[int, ...]:
    try:
        return tuple(torch.as_tensor(target).shape)
    except (TypeError, ValueError, RuntimeError):  # such as a text, or a ragged list
        return (len(target),) if hasattr(target, "__len__") else ()


def _is_same(one: Any, other: Any) -> bool:
    try:
        return bool(torch.equal(torch.as_tensor(one), torch.as_tensor(other)))
    except (TypeError, ValueError, RuntimeError):
        return bool(one == other)
