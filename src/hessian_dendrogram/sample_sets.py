"""On which samples an analysis is taken: those of training, of the test, both, or inputs of the task's own."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.utils.data import ConcatDataset, Dataset

from .errors import UserError, user_errors
from .models import samples
from .models.batched import Collated, GivenBatches
from .models.samples import Data, describe
from .models.task import Split, Task
from .models.unlabelled import with_targets

SETS = "train", "test", "all", "probe"
"""What an analysis can be taken on, by name."""


def sample_set(task: Task, split: Split, on: str, *, needs_labels: bool, operator: str) -> Data:
    """The samples of a name, those of a probe with targets of zero where they have none and none are needed.

    Args:
        task: may have a `probe`.
        split: training and test samples.
        on: one of `SETS`.
        needs_labels: whether the operator looks at targets.
        operator: its name, for messages.

    Raises:
        UserError: there are no such samples, or they have no targets and some are needed.
    """
    train, test = split
    if on == "train":
        return train
    if on == "probe":
        return _probe(task, split, needs_labels=needs_labels, operator=operator)
    if test is None:
        raise UserError(f"--on {on} needs test samples, and the experiment's data has none")
    return test if on == "test" else joined(train, test)


def joined(one: Data, other: Data) -> Data:
    """The samples of two sets, one after the other.

    Raises:
        UserError: they are not of one form.
    """
    if samples.is_pair(one) and samples.is_pair(other):
        return _pair(samples.checked(one), samples.checked(other))
    if isinstance(one, GivenBatches) and isinstance(other, GivenBatches):
        return GivenBatches([*(one[i] for i in range(len(one))), *(other[i] for i in range(len(other)))])
    if isinstance(one, Collated) and isinstance(other, Collated) and one.collate == other.collate:
        return Collated(ConcatDataset([one.dataset, other.dataset]), one.collate)
    plain = [part for part in (one, other) if not (samples.is_pair(part) or isinstance(part, Collated | GivenBatches))]
    if len(plain) == 2:
        return ConcatDataset([cast("Dataset[Any]", part) for part in plain])
    raise UserError(
        f"training and test samples of different forms cannot be taken together: {describe(one)}, {describe(other)}"
    )


def _pair(one: samples.Batch, other: samples.Batch) -> samples.Batch:
    left, right = ([*samples.tensors_of(batch[0]), batch[1]] for batch in (one, other))
    is_same_form = type(one[0]) is type(other[0]) and len(left) == len(right)
    if isinstance(one[0], dict) and isinstance(other[0], dict):
        is_same_form = list(one[0]) == list(other[0])
    if not is_same_form or any(
        a.shape[1:] != b.shape[1:] or a.dtype != b.dtype for a, b in zip(left, right, strict=True)
    ):
        raise UserError("training and test samples of different shapes or types cannot be taken together")
    *inputs, targets = (torch.cat(pair) for pair in zip(left, right, strict=True))
    tensors = iter(inputs)
    return samples.map_inputs(lambda _: next(tensors), one[0]), targets


def _probe(task: Task, split: Split, *, needs_labels: bool, operator: str) -> Data:
    if task.probe is None:
        raise UserError("--on probe needs inputs of the task's own: probe(training samples, test samples) -> inputs")
    with user_errors("the task's probe cannot be made"):
        given = task.probe(*split)
    data, has_targets = with_targets(given)
    if not has_targets and needs_labels:
        raise UserError(
            f"operator {operator!r} looks at targets, and the task's probe gives inputs alone; take a metric that "
            "needs none, such as gauss-newton with metric=identity, or give (inputs, targets)"
        )
    if not samples.is_stored(data):
        raise UserError(f"probe must give inputs, or samples with targets; gave {describe(given)}")
    return samples.reusable(data)
