"""Nulls of an experiment: what its findings would be where there is nothing to find.

- *labels*: the same network, trained in the same way on targets in a random order. It learns samples by heart, since
  there is nothing else to learn: what a finding owes to the task is missing, what it owes to training is there.
- *weights*: each checkpoint with the entries of every parameter tensor in a random order (Filan et al. 2021, arXiv
  2103.03386). What a finding owes to which weights there are, tensor by tensor, is there, and which weight stands where
  is lost. One order for all steps, so that the null moves as its run does; that of the first step is another untrained
  network, where the initial entries are independent and alike.
- *untrained*: the network with initial weights of another seed, which has no training to speak of: what a finding owes
  to the architecture and the data alone.

Buffers stay as they are: those of the run beside shuffled weights, those of a new model in an untrained one. A batch
normalisation then divides by statistics that are none of the network's own, which is said in a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import UserError
from .experiment import Experiment, Split
from .experiment_run import is_trained, new_model
from .models import samples
from .models.checkpoints import Checkpoints
from .models.shuffled_targets import with_shuffled_targets
from .models.weights import load_weights
from .solvers.random_streams import generator_for
from .store import Run
from .store.run import NULLS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Null:
    """What a run directory of a null holds.

    Attributes:
        experiment: the null as an experiment of its own.
        source: where its weights come from; `None` where it is trained.
        steps: the checkpoints that it is analysed at; `None` where they are the experiment's choice.
    """

    experiment: Experiment
    source: Checkpoints | None = None
    steps: Sequence[int] | None = None


def null_of(experiment: Experiment, kind: str, run: Run, at: Sequence[int] | None = None) -> Null:
    """The null of a kind that belongs to a run of an experiment.

    Args:
        experiment: with all that the run was made with.
        kind: one of `store.run.NULLS`.
        run: trained to its end where its weights are shuffled.
        at: the steps to analyse; default those that the run is analysed at.

    Raises:
        UserError: there is no such kind, the run is of another experiment or itself a null, is not finished, or has no
            training to repeat.
    """
    confirm_kind(kind)
    _confirm_same(experiment, run)
    experiment = _with_confirmed_data(experiment, run)
    if kind == "labels":
        if experiment.training is None:
            raise UserError(f"experiment {experiment.name!r} has no training, so none with shuffled labels")
        return Null(with_shuffled_labels(experiment), steps=at)
    null = replace(experiment, null=kind)
    if kind == "untrained":
        if at is not None and 0 not in at:
            raise UserError(f"an untrained network has step 0 alone; got --at {','.join(map(str, at))}")
        return Null(null, UntrainedWeights(experiment), [0])
    if not run.steps() or (experiment.training and not is_trained(experiment, run.path)):
        reached = (
            f"it is at step {run.steps()[-1]:,} of {experiment.steps:,}" if run.steps() else "it has no checkpoint"
        )
        raise UserError(f"weights are shuffled of a finished run, and {run.path} is none: {reached}; finish it first")
    if at is None and experiment.training and run.configuration.get("checkpoints") != "imported":
        at = [step for step in experiment.analysed() if step in run.steps()]
    return Null(null, ShuffledWeights(run, experiment.seed), at)


def as_stored(experiment: Experiment, path: Path | str) -> Experiment:
    """The experiment of a run that is there: with the run's seed, and the null of it that the run is.

    So that any analysis can be taken of any seed and of any null. Where there is no run, the experiment as it is.
    """
    if not (Path(path) / "run.json").exists():
        return experiment
    stored = Run(path).configuration
    seed, kind = stored.get("seed"), stored.get("null", "")
    if isinstance(seed, int) and seed != experiment.seed:
        experiment = replace(experiment, seed=seed)
    if not kind:
        return experiment
    confirm_kind(kind)
    # Weights that are there are those of the null, and no others are brought.
    return with_shuffled_labels(experiment) if kind == "labels" else replace(experiment, null=kind, weights_from=None)


def confirm_kind(kind: str) -> None:
    """Refuse the name of a null that there is none of."""
    if kind not in NULLS:
        raise UserError(f"there is no null {kind!r}; there are: {', '.join(NULLS)}")


def _confirm_same(experiment: Experiment, run: Run) -> None:
    """Refuse a null of another experiment than that of its run; the file of both may have changed, which is said."""
    stored = run.configuration
    if "null" in stored:
        raise UserError(f"{run.path} is itself a null ({stored['null']}); name the run that it belongs to")
    now = experiment.identity()
    different = [
        f"{key} was {stored[key]!r}, is now {value!r}"
        for key, value in now.items()
        if key in stored and key != "source_sha256" and stored[key] != value
    ]
    if different:
        raise UserError(
            f"a null differs from its run in one thing alone, and this one from {run.path} in others: "
            f"{'; '.join(different)}; give the options that the run was made with"
        )
    if now["source_sha256"] != stored.get("source_sha256"):
        logger.warning("the experiment's file is another one than %s was made with; the null is of it now", run.path)


def _with_confirmed_data(experiment: Experiment, run: Run) -> Experiment:
    """The experiment, whose data are refused when they are loaded and are not those of its run.

    The directory of a null says nothing of them while it is new, and those with shuffled labels are others in any case.
    """
    task = experiment.task

    def data(data_dir: Path | None) -> Split:
        given: Any = task.data(data_dir)
        is_pair = isinstance(given, tuple) and len(given) == 2
        if not is_pair or not all(part is None or samples.is_stored(part) for part in given):
            return given  # type: ignore[no-any-return]  # which is refused as that of the experiment itself
        for what, part in zip(("training", "test"), given, strict=True):
            now = None if part is None else samples.digest(samples.reusable(part))
            if now != run.configuration.get(f"{what}_data_sha256"):
                raise UserError(
                    f"the {what} data are others than those that {run.path} was made with, and a null has its run's; "
                    "name the same --data-dir, and have the same data on every load"
                )
        return given  # type: ignore[no-any-return]

    return replace(experiment, task=replace(task, data=data))


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_shuffled_labels(experiment: Experiment) -> Experiment:
    """The experiment, with the targets of its training samples in a random order that its seed decides.

    Raises:
        UserError: (when the data is loaded) the training samples have no targets that can be exchanged.
    """
    task = experiment.task

    def data(data_dir: Path | None) -> Split:
        given: Any = task.data(data_dir)
        if not (isinstance(given, tuple) and len(given) == 2):
            return given  # type: ignore[no-any-return]  # which is refused as that of the experiment itself
        generator = generator_for("shuffled labels", experiment.seed)
        return with_shuffled_targets(samples.reusable(given[0]), task.shuffle, generator), given[1]

    return replace(experiment, task=replace(task, data=data), null="labels")


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ShuffledWeights:
    """The checkpoints of a run, with the entries of each parameter tensor in one random order for all steps.

    Tensors that are shared stay shared, frozen ones are shuffled like the others, and buffers stay as they are.
    """

    run: Run
    seed: int

    def steps(self) -> list[int]:
        """Those of the run."""
        return self.run.steps()

    @torch.no_grad()
    def load(self, step: int, model: nn.Module) -> None:
        """Load a checkpoint, and shuffle it in place."""
        load_weights(model, self.run, step)
        generator = generator_for("shuffled weights", self.seed)
        for parameter in model.parameters():  # each once, however many names it has
            if parameter.is_floating_point() or parameter.is_complex():
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
        if step == self.run.steps()[-1]:
            _mention_statistics(model, "those of the run, and not of the shuffled network")


# ── untrained ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class UntrainedWeights:
    """Initial weights of a seed that is not the run's, as step 0."""

    experiment: Experiment

    @property
    def seed(self) -> int:
        """Another one than the experiment's, which decides it."""
        generator = generator_for("untrained weights", self.experiment.seed)
        found = int(torch.randint(2**31 - 1, (), generator=generator))
        return found + (found == self.experiment.seed)

    def steps(self) -> list[int]:
        """The first alone."""
        return [0]

    @torch.no_grad()
    def load(self, step: int, model: nn.Module) -> None:  # noqa: ARG002 (as every source of checkpoints has it)
        """Give a model the weights of another new one."""
        other, own = new_model(replace(self.experiment, seed=self.seed)), new_model(self.experiment)
        pairs = zip(other.parameters(), own.parameters(), strict=True)
        if all(torch.equal(new, old) for new, old in pairs):
            raise UserError(
                "model() gives the same weights whatever the seed is, so there is no untrained network beside the run; "
                "draw them from torch's random numbers"
            )
        model.load_state_dict(other.state_dict())
        _mention_statistics(model, "those of an untrained one, and not of its activations")


def _mention_statistics(model: nn.Module, whose: str) -> None:
    there = [name for name, module in model.named_modules() if getattr(module, "running_var", None) is not None]
    if there:
        logger.warning("the running means and variances of %s normalise by %s", there[0], whose)
