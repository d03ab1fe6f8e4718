"""A training loop that checkpoints, resumes and reports.

Step s is the state after s updates. The order of the batches is a function of the seed and the epoch alone, and
everything else that an update depends on (weights and buffers, optimiser, scheduler, the global random states of torch,
NumPy and the standard library) is stored with the latest checkpoint, so a run that was killed goes on exactly as if it
had not been. Plain attributes of modules are not stored; a change in one is said.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DamagedRunError, TrainingDivergedError, UserError
from ..experiment import Experiment, Split
from ..progress import bar
from ..store import Run
from ..texts import shortened
from . import random_state, samples, training_state
from .batched import GivenBatches
from .samples import Batch, Data
from .training_state import to_numpy as to_numpy
from .weights import load_weights as load_weights

logger = logging.getLogger(__name__)

_EVALUATION_BATCH = 1000


def fit(experiment: Experiment, run: Run, data: Split, device: torch.device, *, progress: bool = False) -> None:
    """Train to `experiment.steps`, from the latest checkpoint where there is one.

    Raises:
        TrainingDivergedError: the loss or the weights stopped being finite; the last good checkpoint is stored.
    """
    train, _ = data
    task, training = experiment.task, experiment.training
    if training is None:
        raise UserError(f"experiment {experiment.name!r} has no training")
    checkpoints = training.stored()
    with random_state.seeded(experiment.seed):
        model = task.model().to(device)
        optimizer = training.optimizer(model.parameters())
        scheduler = training.scheduler(optimizer) if training.scheduler else None
        if isinstance(optimizer, torch.optim.LBFGS):
            raise UserError(
                "LBFGS evaluates the loss several times in an update, which this loop does not; take another"
            )
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            raise UserError(
                "ReduceLROnPlateau needs a validation loss at every update; take a schedule of the step alone"
            )
        start = _resume(experiment, run, model, optimizer, scheduler)
        if start is None:
            _record(experiment, run, model, data, 0, None)
            _checkpoint(run, 0, model, optimizer, scheduler)
            start = 0
        batches = _batches(experiment, train, start, device)
        before, is_said = training_state.attributes(model), False
        for step in bar(range(start + 1, training.steps + 1), "training", "step", shown=progress):
            inputs, targets = next(batches)
            model.train()
            loss = task.loss(samples.call(model, inputs), targets)
            if not math.isfinite(loss.item()):
                _diverged(run, f"the training loss is {loss.item()} at step {step}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            evaluated = step in checkpoints or (training.evaluate_every and step % training.evaluate_every == 0)
            if evaluated or step % training.log_every == 0:
                _record(experiment, run, model, data if evaluated else None, step, loss.item())
            if step in checkpoints:
                _checkpoint(run, step, model, optimizer, scheduler)
                is_said = is_said or _mention_changes(model, before)


def _mention_changes(model: nn.Module, before: Mapping[str, object]) -> bool:
    """Say which attributes of the model change and are not stored; whether there are any."""
    changed = training_state.changed_attributes(model, before)
    if changed:
        logger.warning(
            "%s of the model changes while it is trained, and is not stored: a training that was interrupted goes on "
            "with other numbers than one that was not; make it a buffer",
            " and ".join(map(shortened, changed[:3])),
        )
    return bool(changed)


def _batches(experiment: Experiment, train: Data, start: int, device: torch.device) -> Iterator[Batch]:
    """Batches from update `start + 1` on: each epoch a new permutation of the samples, the last batch ragged."""
    total = samples.size(train)
    size = min(experiment.batch_size or total, total)
    if isinstance(train, GivenBatches) and size != 1:
        raise UserError(f"given batches are trained on one at a time; batch_size must be 1, got {size}")
    per_epoch = math.ceil(total / size)
    step = start
    while True:
        epoch = step // per_epoch
        order = shuffled(total, experiment.seed, epoch)
        for number in range(step - epoch * per_epoch, per_epoch):
            rows = order[number * size : (number + 1) * size]
            inputs, targets = next(samples.batches(samples.select(train, rows), len(rows)))
            yield samples.map_inputs(lambda tensor: tensor.to(device), inputs), targets.to(device)
            step += 1


def shuffled(total: int, *seeds: int) -> Tensor:
    """A permutation of range(total) that depends on the seeds alone: shape (total,)."""
    return torch.from_numpy(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds))).permutation(total))


def _record(
    experiment: Experiment, run: Run, model: nn.Module, data: Split | None, step: int, batch_loss: float | None
) -> None:
    """Append a row of metrics; with data, evaluate on all of it, and stop where the loss is not finite."""
    row: dict[str, float | None] = {"step": step, "batch_loss": batch_loss}
    for name, part in zip(("train", "test"), data or (None, None), strict=True):
        loss, accuracy = evaluate(experiment, model, part) if part is not None else (None, None)
        row |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
        if name == "train" and loss is not None and not math.isfinite(loss):
            _diverged(run, f"the loss over all training samples is {loss} at step {step}")
    run.append_metrics(row)


@torch.no_grad()
def evaluate(experiment: Experiment, model: nn.Module, data: Data) -> tuple[float, float | None]:
    """Mean loss and mean accuracy (`None` without one) over all samples, in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    task, measure = experiment.task, experiment.training.accuracy if experiment.training else None
    loss, accuracy, weight, total = 0.0, 0.0, 0.0, 0
    for inputs, targets in samples.batches(data, _EVALUATION_BATCH):
        outputs = samples.call(model, samples.map_inputs(lambda tensor: tensor.to(device), inputs))
        targets = targets.to(device)
        plain_weight = 1 if isinstance(data, GivenBatches) else len(targets)
        batch_weight = float(task.weight(targets)) if task.weight else plain_weight
        if batch_weight:
            loss += task.loss(outputs, targets).item() * batch_weight
        if measure:
            accuracy += float(measure(outputs, targets)) * len(targets)
        weight, total = weight + batch_weight, total + len(targets)
    if not total:
        raise UserError("the training or test data has no samples")
    return loss / weight, accuracy / total if measure else None


def _diverged(run: Run, what: str) -> None:
    kept = f"the last good checkpoint, step {run.steps()[-1]}, is stored" if run.steps() else "nothing was stored"
    raise TrainingDivergedError(f"{what}; {kept}. Try a smaller learning rate")


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _checkpoint(run: Run, step: int, model: nn.Module, optimizer: Any, scheduler: Any) -> None:
    weights = training_state.state_arrays(model)
    for name, parameter in model.named_parameters():  # a mask among the buffers may well be infinite
        if not bool(parameter.isfinite().all()):
            _diverged(run, f"{name} has values that are not finite at step {step}")
    run.save_training_state(step, *training_state.capture(model, optimizer, scheduler))
    run.save_checkpoint(step, weights)
    run.remove_older_training_states(step)


def confirm_rows(experiment: Experiment, run: Run) -> None:
    """Find the rows of metrics that training up to the latest checkpoint has written.

    Raises:
        DamagedRunError: some are missing.
    """
    if steps := run.steps():
        run.confirm_metrics(sorted({*steps, *range(0, steps[-1] + 1, experiment.log_every)}))


def _resume(experiment: Experiment, run: Run, model: nn.Module, optimizer: Any, scheduler: Any) -> int | None:
    """Put everything as it was at the latest checkpoint and give its step; `None` where there is no checkpoint yet."""
    steps = run.steps()
    if not steps:
        run.truncate_metrics(None)
        return None
    step = steps[-1]
    arrays, facts = run.training_state(step)  # first: a compact copy of a run has none
    confirm_rows(experiment, run)
    run.truncate_metrics(step)
    load_weights(model, run, step)
    try:
        training_state.restore(model, optimizer, scheduler, arrays, facts)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise DamagedRunError(
            f"the training state of step {step} in {run.path} does not fit the model and its optimizer "
            f"({type(error).__name__}: {error}); `analyse` takes the stored checkpoints as they are"
        ) from error
    return step
