"""Weights from elsewhere as the checkpoints of a run: all are checked, then each is read again and stored.

One checkpoint is in memory at a time, and nothing is stored unless all can be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import NotFiniteError, UserError, user_errors
from ..store import Run
from ..texts import escaped, listed
from .checked import steps_of
from .checkpoints import Checkpoints, FileCheckpoints
from .training_state import state_arrays
from .weights import confirm_finite, constants_of

logger = logging.getLogger(__name__)

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checked:
    """A source of checkpoints that `read_checkpoints` has gone through.

    Attributes:
        source: of the weights.
        steps: of all of them, ascending.
        new_model: makes the model that they belong into.
    """

    source: Checkpoints
    steps: tuple[int, ...]
    new_model: Callable[[], nn.Module]

    def weights(self, step: int) -> Weights:
        """The state of a model that has been filled."""
        return weights_at(self.source, step, self.new_model)


def read_checkpoints(source: Checkpoints, new_model: Callable[[], nn.Module]) -> Checked:
    """Put the weights of every step into a model, to find what is wrong with any of them.

    Raises:
        UserError: the source has no `steps()` and `load(step, model)`, no step, or one twice; weights cannot be read,
            do not fit the model, are not all there, or are not finite.
    """
    if not isinstance(source, Checkpoints):
        raise UserError(f"checkpoints come from an object with steps() and load(step, model), got {type(source)}")
    with user_errors("the steps of the checkpoints cannot be found"):
        given = source.steps()
    steps = sorted(steps_of("the steps of checkpoints", given))
    if not steps:
        raise UserError("the source of checkpoints has none")
    if twice := sorted({first for first, second in pairwise(steps) if first == second}):
        raise UserError(f"the source of checkpoints has the steps {twice} several times")
    for step in steps:
        weights_at(source, step, new_model)
    return Checked(source, tuple(steps), new_model)


def import_checkpoints(run: Run, checked: Checked) -> None:
    """Store weights as the checkpoints of a run, which is locked; those already there are compared first.

    Raises:
        UserError: other weights are stored for a step; or a file has changed since it was checked.
    """
    stored = set(run.steps())
    for step in checked.steps:
        if step in stored and not _are_equal(checked.weights(step), run.weights(step)):
            raise UserError(f"{escaped(run.path)} has other weights for step {step} than those given; give a new --out")
    for step in checked.steps:
        if step not in stored:
            run.save_checkpoint(step, checked.weights(step))


def weights_at(source: Checkpoints, step: int, new_model: Callable[[], nn.Module]) -> Weights:
    """The state of a model that a source has filled."""
    model = new_model()
    if isinstance(source, FileCheckpoints):  # which compare every name, and say more where something is wrong
        source.load(step, model)
        return state_arrays(model)
    constants = constants_of(model)
    _empty(model)
    with user_errors(f"the checkpoint at step {step} cannot be loaded"):
        source.load(step, model)
    if left := [name for name, tensor in model.named_parameters() if tensor.requires_grad and tensor.isnan().all()]:
        raise UserError(
            f"load(step, model) must fill every parameter that is not frozen, in place; at step {step} it left "
            f"{listed(left)} without numbers"
        )
    if step and (untrained := _untrained_statistics(model)):
        logger.warning(
            "load(step, model) left the running statistics of %s as an untrained model has them, at step %d: does the "
            "checkpoint have buffers?",
            listed(untrained, 3),
            step,
        )
    try:
        confirm_finite(model, constants, f"the checkpoint at step {step}")
    except NotFiniteError as error:
        raise NotFiniteError(f"{error}; leave the step out of steps()") from None
    return state_arrays(model)


def _untrained_statistics(model: nn.Module) -> list[str]:
    """The normalisations that have counted no batch, so that their means and variances are none of the data's."""
    found = []
    for name, module in model.named_modules():
        counted = getattr(module, "num_batches_tracked", None)
        if isinstance(counted, torch.Tensor) and counted.numel() == 1 and int(counted) == 0:
            found.append(name or type(module).__name__)
    return found


@torch.no_grad()
def _empty(model: nn.Module) -> None:
    """No number where there was an untrained one, so that what is not loaded is not taken for trained."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_floating_point() and not nn.parameter.is_lazy(parameter):
            parameter.fill_(torch.nan)


def _are_equal(given: Mapping[str, NDArray[Any]], stored: Mapping[str, NDArray[Any]]) -> bool:
    return given.keys() == stored.keys() and all(np.array_equal(given[name], array) for name, array in stored.items())
