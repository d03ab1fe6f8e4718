"""A network whose circuit is known, as the score asks for it: its run, its nulls, the part that has the groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hessian_dendrogram import Run, experiment_run, pipeline
from hessian_dendrogram.experiment import Experiment, load_experiment
from hessian_dendrogram.models.weights import load_weights
from hessian_dendrogram.nulls import ShuffledWeights, with_shuffled_labels

RUNS = Path("runs/circuits")
NONE = -1  # the truth of a group that has none
LABELS, WEIGHTS = "labels", "weights"  # the nulls
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A network, or the part of it behind which groups of parameters lie, at one checkpoint.

    Attributes:
        model: in float64.
        loss, samples: of training.
        inputs: on which matrices of the outputs are taken, with no sample more frequent than another.
        groups: of the parameters.
        weights: of each group by kind, "ingoing", "outgoing" and, where something linear follows, "logit"; (g, d).
        activations: of each group on the inputs, (g, samples).
        has_logits: whether the outputs are those of a classifier.
    """

    model: nn.Module
    loss: Callable[..., Tensor]
    samples: tuple[Tensor, Tensor]
    inputs: Tensor
    groups: Mapping[str, Any]
    weights: Mapping[str, Floats]
    activations: Floats
    has_logits: bool = True


class Network(ABC):
    """A network of the suite, trained with one seed."""

    steps: tuple[int, ...] = ()
    """Where onsets are looked for."""

    def __init__(self, name: str, seed: int, null: str = "") -> None:
        self.name, self.seed, self.null = name, seed, null

    def __str__(self) -> str:
        return f"{self.name}-{self.seed}{'-' + self.null if self.null else ''}"

    def make(self) -> Experiment:
        """The experiment, with the seed."""
        return load_experiment(self.name, seed=self.seed)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment, or its null."""
        made = self.make()
        return with_shuffled_labels(made) if self.null == LABELS else made

    @cached_property
    def run(self) -> Run:
        """Its run, trained to the end; of shuffled weights that of the network itself."""
        if self.null == WEIGHTS:
            return self.original.run
        folder = RUNS / self.name / str(self.seed)
        folder = folder / "nulls" / self.null if self.null else folder
        with experiment_run.open_run(self.experiment, folder) as (run, load):
            pipeline.train(self.experiment, run, load)
        return run

    @cached_property
    def data(self) -> Any:
        """Training and test samples."""
        return self.experiment.data(None)

    def model(self, step: int | None = None) -> nn.Module:
        """The network at a step, by default the last, in float64."""
        model = experiment_run.new_model(self.experiment)
        step = self.last if step is None else step
        if self.null == WEIGHTS:
            ShuffledWeights(self.run, self.experiment.seed).load(step, model)
        else:
            load_weights(model, self.run, step)
        return model.double()

    @property
    def last(self) -> int:
        """The last checkpoint."""
        return self.run.steps()[-1]

    @cached_property
    def original(self) -> Network:
        """The network that this is a null of."""
        return self if not self.null else type(self)(self.name, self.seed)

    @abstractmethod
    def part(self, step: int | None = None) -> Part:
        """What groups of parameters are taken of."""

    @abstractmethod
    def truth(self) -> Labels:
        """To what part of its circuits each group belongs in the end, `NONE` where it has none: shape (g,)."""
