"""From an experiment to a run directory: check, train, analyse; all of it resumable.

The loop over checkpoints is in `analyse.py`; here are the calls for an experiment whose own fields say what to take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .analyse import Analysis, Session, analysis_of
from .analyse import analyse as take
from .analyse import check as check_analysis
from .errors import UserError
from .experiment import Experiment
from .experiment_run import Load, compare_optimizer, new_model
from .models import loop as training
from .models.checkpoints import FileCheckpoints
from .models.importing import Checked
from .models.importing import import_checkpoints as import_checkpoints
from .models.importing import read_checkpoints as read_source
from .solvers.trees import Bipartition
from .store import Run


def check(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None,
    at: Sequence[int] | None,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
) -> None:
    """Find what would make `analyse` fail, before hours of training.

    Raises:
        UserError: the name, the number of samples, a step, the loss or its derivatives cannot be used, or the matrix
            does not fit in memory.
    """
    check_analysis(
        Session(experiment, run, load, device), analysis_of(experiment, name=name, dtype=_name_of(dtype)), at
    )


def read_checkpoints(experiment: Experiment, files: Mapping[int, Path]) -> Checked:
    """The weights in files that someone else trained, by step, once each fits the model and is finite.

    Raises:
        UserError: a file cannot be read or does not fit the model, or has infinite or NaN weights.
    """
    return read_source(FileCheckpoints(files), partial(new_model, experiment))


def train(
    experiment: Experiment, run: Run, load: Load, *, device: torch.device | str = "cpu", progress: bool = False
) -> None:
    """Train to the end, from the latest checkpoint of the run; nothing where it has been reached.

    Raises:
        TrainingDivergedError: the loss stopped being finite; everything up to the last good checkpoint is stored.
        UserError: the data or the optimiser differs from what the run was made with.
    """
    if experiment.training is None:
        raise UserError(f"experiment {experiment.name!r} has no training: no optimizer, steps and checkpoint_steps")
    if (done := run.steps()) and done[-1] >= experiment.steps:
        run.remove_older_training_states(done[-1])  # a run that was killed beside its last checkpoint may have one
        return
    data = load()
    compare_optimizer(experiment, run)
    if run.configuration["steps"] < experiment.steps:
        if run.steps():
            run.training_state(run.steps()[-1])  # a compact copy has none and cannot be trained further
            training.confirm_rows(experiment, run)
        run.extend(run.configuration | {"steps": experiment.steps})
    training.fit(experiment, run, data, torch.device(device), progress=progress)


def analyse(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> str:
    """Take the spectrum of the Hessian at checkpoints that have none yet, as the experiment's fields say.

    Args:
        experiment: its `samples`, `vectors` and `lanczos` say what to take.
        run: the run directory, locked.
        load: gives the samples.
        name: of the analysis; default `hessian-` and the number of samples.
        at: steps to analyse; default the experiment's choice, or every checkpoint where they were imported.
        dtype: floating-point type of the products.
        device: where the products are computed.
        progress: show bars with the time left.

    Returns:
        The analysis' name.

    Raises:
        UserError: the stored analysis of that name has another configuration, or there is no checkpoint at a step.
    """
    session = Session(experiment, run, load, device, progress)
    return take(session, analysis_of(experiment, name=name, dtype=_name_of(dtype)), at)


def bipartition(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    progress: bool = False,
    **options: Any,
) -> str:
    """Cut the Hessian's coupling graph at checkpoints that have no tree yet.

    Args:
        experiment: its `samples` say what to take.
        run: the run directory, locked.
        load: gives the samples.
        name: of the analysis, to which `.fiedler` is added; default `hessian-` and the number of samples.
        at: steps to analyse; default the experiment's choice, or every checkpoint where they were imported.
        dtype: floating-point type of the products.
        device: where the products are computed.
        progress: show a bar with the time left.
        options: of `Bipartition`.

    Returns:
        The analysis' name.

    Raises:
        UserError: the stored analysis of that name has another configuration, there is no checkpoint at a step, or the
            graph does not fit in memory.
    """
    analysis = Analysis(solver=Bipartition(**options), samples=experiment.samples, dtype=_name_of(dtype), name=name)
    return take(Session(experiment, run, load, device, progress), analysis, at)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
