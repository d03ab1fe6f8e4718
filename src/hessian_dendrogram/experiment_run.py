"""Opening a run directory: lock it, make it or compare it with the experiment, and load the data when it is needed.

Longer than other files: all that a run and an experiment are compared by is here.
"""

from __future__ import annotations

import logging
import math
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy
import torch

from . import __version__
from .errors import DamagedRunError, UserError, user_errors
from .experiment import Experiment, Split
from .models import loop as training
from .models import random_state, samples
from .models.samples import Data
from .operators.parameters import parameter_layout
from .store import Run, lock

logger = logging.getLogger(__name__)

_SAME_LOSS = 1e-4  # relative: machines and threads differ by far less, another loss by more

Load = Callable[[], Split]
"""Gives the training and test samples, once they have been compared with those that the run was made with."""


@contextmanager
def open_run(
    experiment: Experiment,
    path: Path | str,
    *,
    data_dir: Path | None = None,
    device: torch.device | str = "cpu",
    imported: bool = False,
    must_exist: bool = False,
    corrected: bool = False,
) -> Iterator[tuple[Run, Load]]:
    """Lock a run directory, and make it or compare it with the experiment.

    The data of a run that is there already is loaded when it is first asked for: a finished run never needs it.

    Args:
        experiment: what the directory must hold, or will.
        path: the run directory.
        data_dir: passed on to the experiment's `data`.
        device: recorded; training and analyses are told theirs again.
        imported: the checkpoints come from files rather than from training.
        must_exist: refuse to make a new one; more or fewer steps than stored are of no concern.
        corrected: take a run of an earlier state of the experiment's file, if all that can be compared agrees: data,
            parameters, optimiser, and the loss at the latest checkpoint.

    Raises:
        UserError: the stored configuration differs; the message names what differs.
        LockedRunError: another process is writing to the directory.
    """
    path = Path(path)
    if must_exist and not (path / "run.json").exists():
        raise UserError(f"{path} is no run directory; train one with `run`, or bring weights with --checkpoints")
    with lock(path):
        configuration = experiment.identity() | {"checkpoints": "imported" if imported else "trained"}
        layout, left_out = parameter_layout(new_model(experiment), experiment.task.parameters)
        parameter_layout(new_model(experiment))[0].grouped(experiment.task.groups)  # to refuse them at once
        load = _loader(experiment, data_dir)
        if not (path / "run.json").exists():
            configuration |= _data_identity(load())
            facts = environment(device) | {"left_out": list(left_out)}
            if experiment.training:
                facts["optimizer"] = describe_optimizer(experiment)
            yield Run.create(path, configuration=configuration, layout=layout, provenance=facts), load
            return
        run = Run(path)
        was_trained = experiment.training and "optimizer" in run.record.get("provenance", {})
        needed = configuration if was_trained else ("experiment", "source_sha256", "seed", "checkpoints")
        if lost := [key for key in (*needed, *_DATA_KEYS) if key not in run.configuration]:
            raise DamagedRunError(f"{path / 'run.json'} is damaged: its configuration has no {lost[0]}")
        data_identity = {key: run.configuration[key] for key in _DATA_KEYS}
        if must_exist:
            stored = run.configuration
            configuration |= {key: stored[key] for key in ("steps", "checkpoints") if key in stored}
        is_changed = configuration["source_sha256"] != run.configuration["source_sha256"]
        if is_changed and corrected:
            configuration["source_sha256"] = run.configuration["source_sha256"]
        compare(run, configuration | data_identity, "the experiment")
        if run.layout != layout:
            raise UserError(f"{path} was made with other parameters: {_first_difference(run, layout)}")
        _mention_environment(run, environment(device))

        @cache
        def load_and_compare() -> Split:
            data = load()
            compare(run, run.configuration | _data_identity(data), "the data, which must be the same on every load,")
            return data

        if is_changed:
            _confirm_training(experiment, run, load_and_compare)
        yield run, load_and_compare


def is_trained(experiment: Experiment, path: Path | str) -> bool:
    """Whether a run directory has come to the end of an experiment's training."""
    stored = Run(path).steps() if (Path(path) / "run.json").exists() else []
    return bool(experiment.training and stored) and stored[-1] >= experiment.steps


def source_facts(experiment: Experiment, run: Run) -> dict[str, str]:
    """Where the experiment's file is not the one that the run was made with: the hashes of both."""
    now, stored = experiment.source_sha256, run.configuration.get("source_sha256", "")
    return {} if now == stored else {"source_sha256": now, "run_source_sha256": stored}


def _confirm_training(experiment: Experiment, run: Run, load: Load) -> None:
    """Say that the experiment's file is another one, once its loss has been compared at the latest checkpoint.

    Raises:
        UserError: the optimiser is another one, or the loss has another value than while the run was trained.
    """
    what = "data and parameters"
    if run.configuration["checkpoints"] == "trained":
        compare_optimizer(experiment, run)
        what = "data, parameters and optimizer"
    metrics = run.metrics()
    measured = {int(s): loss for s, loss in zip(metrics.get("step", ()), metrics.get("train_loss", ()), strict=True)}
    if at := [step for step in run.steps() if math.isfinite(measured.get(step, math.nan))]:
        model = new_model(experiment)
        training.load_weights(model, run, at[-1])
        with user_errors("the loss cannot be evaluated"):
            loss, _ = training.evaluate(experiment, model, load()[0])
        if not math.isclose(loss, measured[at[-1]], rel_tol=_SAME_LOSS, abs_tol=_SAME_LOSS):
            raise UserError(
                f"the experiment's file is another one than {run.path} was made with, and so is the loss: at step "
                f"{at[-1]} it was {measured[at[-1]]:.7g}, is now {loss:.7g}; give another --out"
            )
        what += f", and the loss at step {at[-1]},"
    logger.warning(
        "the experiment's file is another one than %s was made with; %s agree, so its weights are used, and the hashes "
        "of both files are stored",
        run.path,
        what,
    )


def compare_optimizer(experiment: Experiment, run: Run) -> None:
    """Refuse another optimiser than the run was trained with."""
    stored, now = run.record.get("provenance", {}).get("optimizer"), describe_optimizer(experiment)
    if stored != now:
        raise UserError(f"the optimizer of {run.path} was {stored}, is now {now}; give another --out")


def new_model(experiment: Experiment) -> torch.nn.Module:
    """The untrained model, with the experiment's random seed set; the global random state is left alone."""
    with random_state.seeded(experiment.seed), user_errors("the experiment's model cannot be made"):
        model = experiment.task.model()
    if not isinstance(model, torch.nn.Module):
        raise UserError(f"the experiment's model() must give a torch.nn.Module, gave {samples.describe(model)}")
    return model


def compare(run: Run, now: Mapping[str, Any], what: str, stored: Mapping[str, Any] | None = None) -> None:
    """Refuse a configuration that differs from the stored one, except for more steps."""
    stored = run.configuration if stored is None else stored
    different = [
        f"{key} was {stored.get(key)!r}, is now {now.get(key)!r}"
        for key in {**stored, **now}
        if stored.get(key) != now.get(key)
        and not (key == "steps" and isinstance(stored.get(key), int) and stored[key] < now[key])
    ]
    if different:
        remedy = "give another --name" if what.startswith("analysis") else "give another --out"
        if all(line.startswith("source_sha256 ") for line in different):
            remedy += ", or take analyses of the weights that are stored: `hessian-dendrogram analyse`"
        raise UserError(f"{what} differs from what {run.path} holds: {'; '.join(different)}; {remedy}")


def _first_difference(run: Run, layout: Any) -> str:
    stored = dict(zip(run.layout.names, run.layout.shapes, strict=True))
    now = dict(zip(layout.names, layout.shapes, strict=True))
    for name in {**stored, **now}:
        if stored.get(name) != now.get(name):
            return f"{name} was {stored.get(name, 'not there')}, is now {now.get(name, 'not there')}"
    return "their order changed"


def environment(device: torch.device | str) -> dict[str, Any]:
    """Device, threads, machine and versions, for the record."""
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "versions": {
            "hessian-dendrogram": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }


def describe_optimizer(experiment: Experiment) -> str:
    """The optimiser and its settings."""
    model = new_model(experiment)
    with user_errors("the experiment's optimizer cannot be made"):
        optimizer = experiment.training.optimizer(model.parameters()) if experiment.training else None
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UserError(
            f"the experiment's optimizer() must give a torch.optim.Optimizer, gave {samples.describe(optimizer)}"
        )
    return f"{type(optimizer).__name__}({', '.join(f'{key}={value!r}' for key, value in optimizer.defaults.items())})"


_DATA_KEYS = ("training_samples", "training_data_sha256", "test_data_sha256")


def _data_identity(data: Split) -> dict[str, Any]:
    train_data, test = data
    digests = [samples.digest(part) if part is not None else None for part in (train_data, test)]
    return dict(zip(_DATA_KEYS, [samples.size(train_data), *digests], strict=True))


def _loader(experiment: Experiment, data_dir: Path | None) -> Load:
    @cache
    def load() -> Split:
        with user_errors("the experiment's data cannot be loaded"):
            data: Any = experiment.task.data(data_dir)
        if not (isinstance(data, tuple) and len(data) == 2 and samples.is_stored(data[0])):
            raise UserError(
                "data must give (training samples, test samples or None), each a pair of tensors or a Dataset; "
                f"got {samples.describe(data)}"
            )
        if not (data[1] is None or samples.is_stored(data[1])):
            raise UserError(
                f"test samples must be a pair of tensors, a Dataset or None, got {samples.describe(data[1])}"
            )
        train_data, test = (samples.reusable(part) if part is not None else None for part in data)
        return cast(Data, train_data), test

    return load


def _mention_environment(run: Run, now: Mapping[str, Any]) -> None:
    stored = run.record.get("provenance", {})
    changed = [
        f"{key} {stored.get(key)} -> {now.get(key)}"
        for key in ("device", "threads", "machine", "versions")
        if stored.get(key) != now.get(key)
    ]
    if changed:
        logger.warning("numbers may differ in their last digits from those stored: %s", "; ".join(changed))
