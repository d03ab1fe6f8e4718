"""The experiment's own numbers at a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from .errors import UserError, user_errors
from .experiment import Experiment
from .models import samples
from .models.samples import Data
from .store.read import LARGEST_JSON


@torch.no_grad()
def measured(
    experiment: Experiment, model: torch.nn.Module, last: torch.nn.Module, train_data: Data, where: str
) -> Mapping[str, Any]:
    """What `experiment.measures` gives, once it is certain that it can be stored.

    Args:
        experiment: has the function, or none.
        model: at the checkpoint.
        last: at the run's last checkpoint.
        train_data: the training samples.
        where: in words, for messages.

    Raises:
        UserError: the function fails, or gives something else than finite numbers, texts and lists of them by name.
    """
    if experiment.measures is None:
        return {}
    with user_errors(f"measures failed for {where}"):
        measures = experiment.measures(model.eval(), last.eval(), train_data)
    if not isinstance(measures, Mapping):
        gave = "None; is its `return` missing?" if measures is None else samples.describe(measures)
        raise UserError(f"measures must give numbers by name, such as a dict, gave {gave}")
    if strange := [key for key in measures if not isinstance(key, str)]:
        raise UserError(f"measures must give numbers by name; {strange[0]!r} is no name")
    try:
        text = json.dumps(dict(measures), allow_nan=False, indent=2)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"measures must give finite numbers, text and lists of them, for {where}: {error}") from None
    if len(text) > LARGEST_JSON:
        raise UserError(f"measures gave {len(text) / 2**20:.0f} MiB of text for {where}; at most 4 are stored")
    return dict(measures)
