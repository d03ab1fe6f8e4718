"""Training: the optimiser and its schedule, how long, and where weights are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .checked import confirm_function, number_of, steps_of

_FUNCTIONS = {
    "optimizer": "optimizer(parameters) -> the optimiser",
    "scheduler": "scheduler(optimizer) -> the schedule",
    "accuracy": "accuracy(outputs, targets) -> the mean over a batch",
}
_LEAST = {"steps": 0, "log_every": 1, "evaluate_every": 1, "batch_size": 1}
_MAY_BE_NONE = ("evaluate_every", "batch_size", "scheduler", "accuracy")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained.

    Args:
        optimizer: makes the optimiser from the model's parameters.
        steps: how many updates to train for.
        checkpoint_steps: where weights are stored, any iterable of whole numbers; steps beyond `steps` are ignored,
            `steps` itself is added.
        batch_size: samples in an update, reshuffled every epoch; `None` is the full batch.
        scheduler: makes a learning-rate scheduler from the optimiser; it steps after every update.
        accuracy: `accuracy(outputs, targets)`, the mean over the samples of a batch, for the record.
        log_every: updates between two rows of metrics.
        evaluate_every: updates between two evaluations on all training and test samples; each checkpoint has one
            anyway.

    Raises:
        UserError: a number is out of range or not whole, what should be several is not, or a function is none.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    steps: int
    checkpoint_steps: Sequence[int]
    batch_size: int | None = None
    scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None
    accuracy: Callable[[Any, Tensor], Tensor] | None = None
    log_every: int = 10
    evaluate_every: int | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, number_of(name, value, least))
        # An iterable may be one that can be gone through only once, so it is kept as a tuple from here on.
        object.__setattr__(self, "checkpoint_steps", steps_of("checkpoint_steps", self.checkpoint_steps))
        for name, signature in _FUNCTIONS.items():
            if (value := getattr(self, name)) is not None or name not in _MAY_BE_NONE:
                confirm_function(name, signature, value)

    def stored(self) -> list[int]:
        """The steps at which weights are stored, ascending; the last one is always among them."""
        return self.and_last(self.checkpoint_steps)

    def and_last(self, steps: Sequence[int]) -> list[int]:
        """Those of some steps that are before the end, and the end itself, ascending."""
        return sorted({*(step for step in steps if step < self.steps), self.steps})

    def identity(self) -> dict[str, Any]:
        """The numbers that a stored run is compared with."""
        names = ("steps", "batch_size", "log_every", "evaluate_every")
        return {name: getattr(self, name) for name in names}


def top_1_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of samples whose largest output, along axis 1, is at the target class."""
    return (outputs.argmax(1) == targets).double().mean()
