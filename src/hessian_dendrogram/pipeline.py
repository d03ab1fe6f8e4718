"""From an experiment to a run directory: open it, train, analyse. One loop each, all of it resumable."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from . import samples, training
from .checkpoints import read_state_dict
from .curvature.hessian import Hessian, parameter_layout
from .eigensolvers.dense import exact_spectrum
from .errors import UserError
from .experiment import Experiment, Split
from .samples import Data
from .store import Run, lock

logger = logging.getLogger(__name__)

_CURVATURE_STREAM = 2**31  # tells the choice of curvature samples from the order of any epoch


@contextmanager
def open_run(
    experiment: Experiment,
    path: Path | str,
    *,
    data_dir: Path | None = None,
    device: torch.device | str = "cpu",
    imported: bool = False,
    must_exist: bool = False,
) -> Iterator[tuple[Run, Split]]:
    """Lock a run directory, make it or compare it with the experiment, and load the data.

    Args:
        experiment: what the directory must hold, or will.
        path: the run directory.
        data_dir: passed on to the experiment's `data`.
        device: recorded; training and analyses are told theirs again.
        imported: the checkpoints come from files rather than from training.
        must_exist: refuse to make a new one.

    Raises:
        UserError: the stored configuration differs; the message names what differs.
        LockedRunError: another process is writing to the directory.
    """
    path = Path(path)
    exists = (path / "run.json").exists()
    if must_exist and not exists:
        raise UserError(f"{path} is no run directory; train one with `run`, or bring weights with --checkpoints")
    with lock(path):
        data = experiment.data(data_dir)
        train, test = (samples.reusable(part) if part is not None else None for part in data)
        assert train is not None
        configuration = experiment.identity() | {
            "checkpoints": "imported" if imported else "trained",
            "training_data_sha256": samples.digest(train),
            "test_data_sha256": samples.digest(test) if test is not None else None,
        }
        with torch.random.fork_rng():
            torch.manual_seed(experiment.seed)
            model = experiment.model()
        layout, left_out = parameter_layout(model, experiment.parameters)
        if not exists:
            facts = _environment(device) | {"optimizer": _optimizer(experiment, model), "left_out": list(left_out)}
            run = Run.create(path, configuration=configuration, layout=layout, provenance=facts)
        else:
            run = Run(path)
            if must_exist:  # an analysis neither trains nor cares how long training went on
                configuration |= {key: run.configuration.get(key) for key in ("steps", "checkpoints")}
            _compare(run, configuration, "the experiment")
            if run.layout != layout:
                raise UserError(f"{path} was made with other parameters: {_first_difference(run, layout)}")
            _mention_environment(run, _environment(device))
            if configuration["steps"] != run.configuration["steps"]:
                run.extend(configuration)
        yield run, (train, test)


def train(
    experiment: Experiment, run: Run, data: Split, *, device: torch.device | str = "cpu", progress: bool = False
) -> None:
    """Train to the end, from the latest checkpoint of the run; nothing where it has been reached.

    Raises:
        TrainingDivergedError: the loss stopped being finite; everything up to the last good checkpoint is stored.
    """
    if run.steps() and run.steps()[-1] >= experiment.steps:
        return
    training.fit(experiment, run, data, torch.device(device), progress=progress)


def import_checkpoints(experiment: Experiment, run: Run, files: Mapping[int, Path]) -> None:
    """Store the weights in files that someone else trained as the run's checkpoints; those already there are compared.

    Raises:
        UserError: a file does not fit the model, or differs from what is stored for its step.
    """
    model = experiment.model()
    stored = set(run.steps())
    for step, file in files.items():
        training.fit_state(model, read_state_dict(file), str(file))
        weights = {name: training.to_numpy(tensor) for name, tensor in model.state_dict().items()}
        if step not in stored:
            run.save_checkpoint(step, weights)
        elif any(not np.array_equal(weights[name], array) for name, array in run.weights(step).items()):
            raise UserError(f"{run.path} has other weights for step {step} than {file}; give a new --out")


def analyse(
    experiment: Experiment,
    run: Run,
    train_data: Data,
    *,
    name: str | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> str:
    """Take the exact spectrum of the Hessian at checkpoints that have none yet.

    Args:
        experiment: its `samples` and `vectors` say what to take.
        run: the run directory, locked.
        train_data: all training samples.
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
    total = samples.size(train_data)
    count = total if experiment.samples is None else experiment.samples
    if count > total:
        raise UserError(f"{count} samples were asked for, the training data has {total}")
    order_seed = None if count == total else experiment.seed
    configuration = {
        "operator": "hessian",
        "samples": count,
        "samples_total": total,
        "sample_order_seed": order_seed,  # the first of one seeded permutation, so smaller choices nest in larger
        "dtype": str(dtype).removeprefix("torch."),
        "solver": "exact",
        "vectors": experiment.vectors,
    }
    name = name or f"hessian-{count}"
    if name in run.analyses():
        _compare(run, configuration, f"analysis {name!r}", run.analysis(name)["configuration"])
    steps = _steps_to_analyse(experiment, run, at)
    done = run.analysed_steps(name) if name in run.analyses() else []
    todo = [step for step in steps if step not in done]
    if not todo:
        return name
    if name not in run.analyses():
        run.create_analysis(name, {"configuration": configuration, "provenance": _environment(device)})
    chosen = train_data
    if count < total:
        chosen = samples.select(train_data, training.shuffled(total, experiment.seed, _CURVATURE_STREAM)[:count])
    for step in tqdm(todo, desc="analysing", unit="checkpoint", leave=False, disable=None if progress else True):
        model = experiment.model()
        training.load_weights(model, run, step)
        operator = Hessian(
            model,
            experiment.loss,
            chosen,
            parameters=experiment.parameters,
            weight=experiment.weight,
            dtype=dtype,
            device=device,
        )
        spectrum = exact_spectrum(operator, vectors=experiment.vectors, seed=experiment.seed, progress=progress)
        spectrum = replace(spectrum, provenance={**spectrum.provenance, "samples_total": total})
        with torch.no_grad():
            measures = experiment.measures(model.eval(), train_data) if experiment.measures else {}
        run.save_spectrum(step, name, spectrum, measures)
    return name


def _steps_to_analyse(experiment: Experiment, run: Run, at: Sequence[int] | None) -> list[int]:
    stored = run.steps()
    if at is None:
        imported = run.configuration.get("checkpoints") == "imported"
        return [step for step in (stored if imported else experiment.analysed()) if step in stored]
    if missing := sorted(set(at) - set(stored)):
        raise UserError(f"{run.path} has no checkpoint at {missing}; it has them at {stored}")
    return sorted(set(at))


# ── what a run is compared with ──────────────────────────────────────────────────────────────────────────────────────


def _compare(run: Run, now: Mapping[str, Any], what: str, stored: Mapping[str, Any] | None = None) -> None:
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
        raise UserError(f"{what} differs from what {run.path} holds: {'; '.join(different)}; {remedy}")


def _first_difference(run: Run, layout: Any) -> str:
    stored = dict(zip(run.layout.names, run.layout.shapes, strict=True))
    now = dict(zip(layout.names, layout.shapes, strict=True))
    for name in {**stored, **now}:
        if stored.get(name) != now.get(name):
            return f"{name} was {stored.get(name, 'not there')}, is now {now.get(name, 'not there')}"
    return "their order changed"


def _environment(device: torch.device | str) -> dict[str, Any]:
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "versions": {package: version(package) for package in ("hessian-dendrogram", "torch", "numpy", "scipy")}
        | {"python": platform.python_version()},
    }


def _optimizer(experiment: Experiment, model: torch.nn.Module) -> str:
    """The optimiser and its settings, for the record."""
    optimizer = experiment.optimizer(model.parameters())
    return f"{type(optimizer).__name__}({', '.join(f'{key}={value!r}' for key, value in optimizer.defaults.items())})"


def _mention_environment(run: Run, now: Mapping[str, Any]) -> None:
    stored = run.record.get("provenance", {})
    changed = [
        f"{key} {stored.get(key)} -> {now.get(key)}"
        for key in ("device", "threads", "machine", "versions")
        if stored.get(key) != now.get(key)
    ]
    if changed:
        logger.warning("numbers may differ in their last digits from those stored: %s", "; ".join(changed))
