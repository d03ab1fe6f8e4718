"""Multitask sparse parity: ten skills that a small network learns one after another, each with an onset of its own.

After E. Michaud, Z. Liu, U. Girit and M. Tegmark, "The quantization model of neural scaling" (2023, arXiv 2303.13506).
A sample names one of ten tasks (one-hot) and has 32 random bits; task i asks for the parity of its own three bits,
those of places 3 i to 3 i + 2, and occurs with a frequency ∝ (i + 1)^-1.4, i = 0, ..., 9. The network has 128 ReLU
units and two outputs: 5,762 parameters.

Unlike in the paper the tasks have no bit in common, the learning rate is 3e-3, and the batches are those of 2^18 fixed
samples, reshuffled, where the paper draws fresh ones: so the loss is a mean over samples. Chance is 1/2. The accuracy
first exceeds 0.9 at steps 150, 250, 500, 900, 1,200, 1,200, 7,000, 7,000, 10,000 and 10,000 (tasks 0 to 9, seed 42,
at checkpoints); with seed 43 at 100, 400, 500, 900, 1,500, 7,000, 1,500, 2,000, 3,500, and not by 10,000. With a
learning rate of 1e-3 five tasks are learned by step 5,000. A training takes a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hessian_dendrogram.analyse import Analysis
from hessian_dendrogram.experiment import Experiment
from hessian_dendrogram.models.built_in_readouts import by_label

TASKS, BITS, OF_A_TASK = 10, 32, 3
UNITS = 128
SAMPLES = 2**18
OF_EACH_TASK = 1000
ANALYSED = 4096


def mlp() -> nn.Module:
    """Tasks and bits, (N, 42), to the logits of an even and an odd parity, (N, 2)."""
    return nn.Sequential(nn.Linear(TASKS + BITS, UNITS), nn.ReLU(), nn.Linear(UNITS, 2))


def frequencies() -> Tensor:
    """How often each task occurs in training: shape (10,), they add up to 1."""
    weights = torch.arange(1, TASKS + 1, dtype=torch.float64) ** -1.4
    return weights / weights.sum()


def samples_of(tasks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples of these tasks with random bits: inputs (N, 42) and targets 2 · task + parity, (N,)."""
    bits = torch.randint(2, (len(tasks), BITS), generator=generator)
    places = OF_A_TASK * tasks[:, None] + torch.arange(OF_A_TASK)
    parities = bits.gather(1, places).sum(dim=1) % 2
    return torch.cat([F.one_hot(tasks, TASKS), bits], dim=1).float(), 2 * tasks + parities


@cache
def of_every_task() -> tuple[Tensor, Tensor]:
    """The test samples: 1,000 of every task, always the same."""
    return samples_of(torch.arange(TASKS).repeat_interleave(OF_EACH_TASK), torch.Generator().manual_seed(1))


def data(data_dir: Path | None) -> Any:  # noqa: ARG001 (no folder is needed)
    """2^18 training samples, tasks as often as they occur, and the same number of test samples of every task."""
    generator = torch.Generator().manual_seed(0)
    tasks = torch.multinomial(frequencies(), SAMPLES, replacement=True, generator=generator)
    return samples_of(tasks, generator), of_every_task()


def for_curvature(training_samples: Any, test_samples: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """The first 4,096 training samples, whatever the seed of a run."""
    inputs, targets = training_samples
    return inputs[:ANALYSED], targets[:ANALYSED]


def shuffled_within_tasks(targets: Tensor, generator: torch.Generator) -> Tensor:
    """Targets whose parities are shuffled among the samples of each task, which stay those of that task."""
    shuffled = targets.clone()
    for task in range(TASKS):
        of_it = (targets // 2 == task).nonzero()[:, 0]
        shuffled[of_it] = targets[of_it[torch.randperm(len(of_it), generator=generator)]]
    return shuffled


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the parities."""
    return F.cross_entropy(logits, targets % 2)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """The share of the samples whose parity is right; on the test samples the mean over the tasks."""
    return (logits.argmax(dim=1) == targets % 2).double().mean()


@torch.no_grad()
def skill_measures(model: nn.Module, *_: Any) -> Mapping[str, Any]:
    """What the network can do of every task, on the test samples.

    Args:
        model: at a checkpoint; nothing else is looked at.

    Returns:
        `task_accuracies` and `task_losses`, ten numbers each; chance is 1/2, with a standard deviation of 0.016.
    """
    inputs, targets = of_every_task()
    logits = model(inputs.to(next(model.parameters()))).double()
    right = (logits.argmax(dim=1) == targets % 2).double()
    losses = F.cross_entropy(logits, targets % 2, reduction="none")
    return {
        name: [float(values[targets // 2 == task].mean()) for task in range(TASKS)]
        for name, values in (("task_accuracies", right), ("task_losses", losses))
    }


experiment = Experiment(
    name="sparse-parity",
    model=mlp,
    loss=loss,
    data=data,
    optimizer=lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
    batch_size=4096,
    steps=10_000,
    checkpoint_steps=[
        *(0, 100, 150, 200, 250, 300, 350, 400, 500, 600, 700, 800, 900),
        *(1000, 1200, 1500, 2000, 2500, 3000, 3500, 4000, *range(5000, 10_001, 1000)),
    ],
    accuracy=accuracy,
    log_every=10,
    evaluate_every=100,
    samples=ANALYSED,
    probe=for_curvature,
    shuffle=shuffled_within_tasks,
    readouts={"task": by_label({f"task {task}": [2 * task, 2 * task + 1] for task in range(TASKS)})},
    measures=skill_measures,
    analyses=[Analysis(on="probe", name="hessian")],
)
