"""Nulls of an experiment: what its findings would be where there is nothing to find.

A network with shuffled labels learns as many samples by heart and nothing else; one with shuffled weights has the same
distribution of them, tensor by tensor, in no order (Filan et al. 2021, arXiv 2103.03386).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .errors import UserError
from .experiment import Experiment, Split
from .models import samples
from .solvers.random_streams import generator_for


def with_shuffled_labels(experiment: Experiment) -> Experiment:
    """The experiment, with the targets of its training samples in a random order that its seed decides.

    Raises:
        UserError: (when the data is loaded) the training samples are no pair of tensors.
    """
    task = experiment.task

    def data(data_dir: Path | None) -> Split:
        train, test = task.data(data_dir)
        train = samples.reusable(train)
        if not samples.is_pair(train):
            raise UserError(f"labels are shuffled of a pair of tensors, got {samples.describe(train)}")
        inputs, targets = train  # type: ignore[misc]
        shuffle = task.shuffle or _in_any_order
        return (inputs, shuffle(targets, generator_for("shuffled labels", experiment.seed))), test

    return replace(experiment, task=replace(task, data=data), null="labels")


def _in_any_order(targets: Tensor, generator: torch.Generator) -> Tensor:
    return targets[torch.randperm(len(targets), generator=generator)]
