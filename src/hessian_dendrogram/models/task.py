"""Task: a model, its loss and its data; whose curvature is taken, however the weights came about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Generator, Tensor, nn

from ..layout import Members
from .checked import confirm_function, patterns_of
from .groups import GroupsOf, checked_groups
from .readouts import checked_readouts
from .samples import Data

Split = tuple[Data, Data | None]

_FUNCTIONS = {
    "model": "model() -> the untrained model",
    "loss": "loss(outputs, targets) -> the mean over a batch",
    "data": "data(data_dir) -> (training samples, test samples)",
    "weight": "weight(targets) -> what they weigh",
    "probe": "probe(training samples, test samples) -> inputs",
    "shuffle": "shuffle(targets, generator) -> the targets in another order",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learned, and by which network.

    Args:
        model: makes the untrained model; called once the random seed is set.
        loss: `loss(outputs, targets)`, the mean over the samples of a batch.
        data: `data(data_dir)` gives the training and the test samples, each a tensor pair or a map-style `Dataset`; the
            test samples may be `None`. `data_dir` is the folder the user named, or `None`.
        weight: what a batch's targets weigh in the mean loss, where that is not their number (see `Hessian`).
        parameters: names or patterns of the parameters whose curvature is taken; `None` is all that are not frozen.
        groups: named parts of the parameters, such as attention heads, that take the place of whole tensors in shares
            of eigenvectors and in compositions of clusters, and can be named as the parameters of an analysis. Each
            is what `Layout.group` takes: name patterns, pairs of a pattern and an index into its tensors
            (`("blocks.0.attn.W_Q", 3)`), or flat indices. They have no parameter in common. A function of the model
            may give them, such as `heads_as_groups`.
        probe: `probe(training samples, test samples)` gives inputs of the task's own to take analyses on, such as all
            there are: inputs alone (a tensor, a dictionary of tensors, or `(inputs, None)`), or samples with targets.
        readouts: named readouts of the outputs, onto whose groups the effects of directions are projected; the first is
            the default. Each is groups of orthonormal output directions, or a function (see `models.readouts`).

        shuffle: `shuffle(targets, generator)` gives the targets of the training samples in an order that a
            `torch.Generator` decides, for the null of shuffled labels; default any order. A task whose targets say more
            than what is learned keeps the rest in its place.

    Raises:
        UserError: what should be a function is none, or what should be several is not.
    """

    model: Callable[[], nn.Module]
    loss: Callable[[Any, Tensor], Tensor]
    data: Callable[[Path | None], Split]
    weight: Callable[[Tensor], Tensor | float] | None = None
    parameters: Sequence[str] | None = None
    groups: Mapping[str, Members] | Any = field(default_factory=dict)  # a mapping once made, whatever was given
    probe: Callable[[Data, Data | None], Any] | None = None
    readouts: Mapping[str, Any] = field(default_factory=dict)
    shuffle: Callable[[Tensor, Generator], Tensor] | None = None

    def __post_init__(self) -> None:
        for name, signature in _FUNCTIONS.items():
            if name not in ("weight", "probe", "shuffle") or getattr(self, name) is not None:
                confirm_function(name, signature, getattr(self, name))
        if self.parameters is not None:
            object.__setattr__(self, "parameters", patterns_of(self.parameters))
        object.__setattr__(self, "readouts", checked_readouts(self.readouts))
        if isinstance(self.groups, GroupsOf) or callable(self.groups):
            find = self.groups.find if isinstance(self.groups, GroupsOf) else self.groups
            object.__setattr__(self, "groups", GroupsOf(find, self.model))  # of this model, where another was replaced
        else:
            checked_groups(self.groups)
