"""The optimiser of a run as it was at a checkpoint, where its state is stored, and Adam's preconditioner of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .errors import DamagedRunError, UserError
from .experiment import Experiment
from .experiment_run import new_model
from .layout import Layout
from .models.weights import load_weights
from .operators.parameters import parameter_layout
from .operators.preconditioned import adam_diagonal
from .store import Run


def stored_adam_diagonal(experiment: Experiment, run: Run, step: int, layout: Layout | None = None) -> Tensor:
    """Adam's P at a checkpoint (see `Preconditioned`): shape (n,), float64.

    Args:
        experiment: has the model and the optimiser.
        run: where its training is stored; the state is kept beside the latest checkpoint alone.
        step: of the checkpoint.
        layout: of the parameters; default the task's.

    Raises:
        UserError: there is no training, no state at that step, or the optimiser keeps no second moments.
        DamagedRunError: the state is none of this optimiser.
    """
    if experiment.training is None:
        raise UserError(f"experiment {experiment.name!r} has no training, so no optimiser")
    folder = run.path / "training_state"
    kept = sorted(int(entry.name) for entry in folder.glob("*") if entry.name.isdigit()) if folder.is_dir() else []
    if step not in kept:
        where = f"it has that of step {', '.join(map(str, kept))}" if kept else "it has none"
        raise UserError(f"{run.path} keeps no state of the optimiser at step {step}; {where}")
    arrays, facts = run.training_state(step)
    model = new_model(experiment)
    load_weights(model, run, step)
    optimizer = experiment.training.optimizer(model.parameters())
    state: dict[int, dict[str, Any]] = {}
    for path, value in {**arrays, **facts.get("state", {})}.items():
        index, _, key = path.partition(".")
        if index.isdigit() and key:
            tensor = value if isinstance(value, bool | int | float | None) else torch.from_numpy(value.copy())
            state.setdefault(int(index), {})[key] = tensor
    try:
        optimizer.load_state_dict({"state": state, "param_groups": facts["groups"]})
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DamagedRunError(f"{folder} has no state of this optimiser at step {step}: {error}") from None
    return adam_diagonal(model, optimizer, layout or parameter_layout(model, experiment.task.parameters)[0])
