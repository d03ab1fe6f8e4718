"""The networks of the suite, each with what is known of it: at a checkpoint, and of its groups of parameters.

A network is trained where it is not there yet, in `runs/circuits/NAME/SEED`, its null of shuffled labels within that.
That of shuffled weights needs no training.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessian_dendrogram import Run, experiment_run, pipeline, units_as_groups
from hessian_dendrogram.experiment import Experiment, load_experiment
from hessian_dendrogram.experiments import sparse_parity, superposition
from hessian_dendrogram.experiments.modular_addition import Transformer, pairs
from hessian_dendrogram.experiments.planted import planted
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


class PlantedNetwork(Network):
    """Sub-networks with a dial; the name ends in their shape and the coupling."""

    hidden: ClassVar = {"equal": (20,) * 4, "unequal": (40, 24, 12, 4)}

    def make(self) -> Experiment:
        """The experiment of this shape and coupling."""
        _, shape, coupling = self.name.split("_")
        return replace(planted(self.name, hidden=self.hidden[shape], coupling=float(coupling)), seed=self.seed)

    def part(self, step: int | None = None) -> Part:
        """All of it; a group is a hidden unit."""
        model, samples = self.model(step), self.data[0]
        inputs = samples[0].double()
        groups: dict[str, Any] = {}
        ingoing, outgoing, activations = [], [], []
        for number, (block, x) in enumerate(zip(model.parts, inputs.split(3, dim=1), strict=True)):  # type: ignore[arg-type]
            groups |= units_as_groups(model, f"parts.{number}.0", f"parts.{number}.2")
            place = (slice(None), slice(3 * number, 3 * number + 3))
            ingoing.append(_placed(block[0].weight, (len(block[0].weight), inputs.shape[1]), place))
            outgoing.append(
                _placed(block[2].weight.T, (len(block[0].weight), len(model.parts)), (slice(None), [number]))
            )  # type: ignore[arg-type]
            activations.append(block[:2](x).T)
        return Part(
            model=model, loss=self.experiment.loss, samples=(inputs, samples[1].double()), inputs=inputs, groups=groups,
            weights={"ingoing": _numbers(torch.cat(ingoing)), "outgoing": _numbers(torch.cat(outgoing))},
            activations=_numbers(torch.cat(activations)), has_logits=False,
        )  # fmt: skip

    def truth(self) -> Labels:
        """The sub-network of each unit."""
        hidden = self.hidden[self.name.split("_")[1]]
        return np.repeat(np.arange(len(hidden)), hidden)


class SuperpositionNetwork(Network):
    """Sparse features in fewer dimensions; a group is a feature."""

    steps = (0, 50, 100, 150, 200, 250, 300, 400, 500, 700, 1000, 1500, 2000, 3000)

    def part(self, step: int | None = None) -> Part:
        """All of it."""
        model, (inputs, targets) = self.model(step), self.data[0]
        inputs = inputs[:2000].double()
        W = _numbers(model.W.T)  # type: ignore[union-attr, operator]
        return Part(
            model=model, loss=self.experiment.loss, samples=(inputs, targets[:2000].double()), inputs=inputs,
            groups=self.experiment.groups, weights={"outgoing": W}, activations=_numbers(model(inputs).T),
            has_logits=False,
        )  # fmt: skip

    def truth(self) -> Labels:
        """The direction of each represented feature."""
        return np.array(superposition.feature_measures(self.original.model())["directions"])


class SparseParityNetwork(Network):
    """Ten skills; a group is a hidden unit."""

    steps = (0, 100, 150, 200, 250, 300, 400, 500, 700, 900, 1200, 1500, 2000, 2500, 3000, 4000, 5000, 7000, 10_000)
    of_each_task = 100

    @cached_property
    def of_every_task(self) -> tuple[Tensor, Tensor]:
        """The same number of samples of every task."""
        inputs, targets = sparse_parity.of_every_task()
        some = torch.arange(len(targets)).view(sparse_parity.TASKS, -1)[:, : self.of_each_task].flatten()
        return inputs[some].double(), targets[some]

    def part(self, step: int | None = None) -> Part:
        """All of it."""
        model, (inputs, targets) = self.model(step), self.data[0]
        even = self.of_every_task[0]
        return Part(
            model=model, loss=self.experiment.loss, inputs=even,
            samples=(inputs[: sparse_parity.ANALYSED].double(), targets[: sparse_parity.ANALYSED]),
            groups=units_as_groups(model, "0", "2"),
            weights={"ingoing": _numbers(model[0].weight), "outgoing": _numbers(model[2].weight.T)},  # type: ignore[index]
            activations=_numbers(model[:2](even).T),  # type: ignore[index]
        )  # fmt: skip

    @torch.no_grad()
    def truth(self) -> Labels:
        """The task whose loss rises most when the unit is taken out, where that is more than half of all rises."""
        model = self.original.model()
        inputs, targets = sparse_parity.of_every_task()
        hidden, reader = model[:2](inputs.double()), model[2]  # type: ignore[index]
        right = (targets % 2)[:, None]

        def losses(h: Tensor) -> Tensor:
            return -reader(h).log_softmax(1).gather(1, right).view(sparse_parity.TASKS, -1).mean(1)

        whole, rises = losses(hidden), []
        for unit in range(hidden.shape[1]):
            without = hidden.clone()
            without[:, unit] = 0
            rises.append((losses(without) - whole).clamp(min=0))
        shares = torch.stack(rises)
        shares /= shares.sum(1, keepdim=True).clamp(min=1e-3)  # a unit without which nothing changes has no task
        return np.asarray(torch.where(shares.amax(1) > 0.5, shares.argmax(1), NONE))


class ModularAdditionNetwork(Network):
    """Addition modulo p with an MLP; a group is one of its units."""

    steps = (0, 100, 250, 500, 750, 1000, 1250, 1500, 2000, 2500)

    def part(self, step: int | None = None) -> Part:
        """What lies behind the attention: the stream at '=' is the input, the MLP has all parameters of the groups."""
        model: Any = self.model(step)
        tokens, answers = self.data[0]
        behind = Behind(model)
        some = torch.randperm(model.p**2, generator=torch.Generator().manual_seed(0))[:600]
        with torch.no_grad():
            stream = stream_of(model)
            inputs = stream[some]
            logit = model.mlp[2].weight.T @ model.unembedding
            weights = {
                "ingoing": model.mlp[0].weight,
                "outgoing": model.mlp[2].weight.T,
                "logit": logit - logit.mean(1, keepdim=True),
            }
            of_training = stream[tokens[:, 0] * model.p + tokens[:, 1]]
            return Part(
                model=behind, loss=self.experiment.loss, samples=(of_training, answers), inputs=inputs,
                groups=units_as_groups(behind, "mlp.0", "mlp.2"),
                weights={name: _numbers(values) for name, values in weights.items()},
                activations=_numbers(model.mlp[:2](inputs).T),
            )  # fmt: skip

    def truth(self) -> Labels:
        """The frequency of a unit, where one has more than half of the variance of its activations over all pairs."""
        return frequencies_of_units(self.original.model())  # type: ignore[arg-type]


class LargeModularAdditionNetwork(ModularAdditionNetwork):
    """Addition modulo 113 with the MLP of 512 units; of seed 42 the last weights are the published ones."""

    steps = (0, 1000, 3000, 4000, 5000, 6000, 7000, 8000, 10_000, 12_000)
    lengths: ClassVar = {"": {42: 10_000, 43: 12_000, 44: 12_000}, "labels": {42: 7000, 43: 5000, 44: 5000}}

    def make(self) -> Experiment:
        """Of so many steps that the network has generalised."""
        return load_experiment(self.name, seed=self.seed, steps=self.lengths[self.null][self.seed])


class PublishedNetwork(LargeModularAdditionNetwork):
    """The same from the weights of step 30,000 in `results/modular-addition-mlp`, seed 42."""

    def make(self) -> Experiment:
        """The experiment as it was published."""
        return load_experiment("modular-addition-mlp", seed=self.seed)

    @cached_property
    def run(self) -> Run:
        """The published run."""
        return Run("results/modular-addition-mlp")


class Behind(nn.Module):
    """A network for modular addition from the stream behind the attention on: (N, width) to logits (N, p)."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.mlp = model.mlp
        self.register_buffer("unembedding", model.unembedding.detach())

    def forward(self, stream: Tensor) -> Tensor:
        """The logits."""
        return (stream + self.mlp(stream)) @ self.unembedding  # type: ignore[misc, operator, no-any-return]


def stream_of(model: Transformer) -> Tensor:
    """The stream behind the attention at '=', of all pairs: (p², width)."""
    without = copy.deepcopy(model)
    without.mlp = None
    without.unembedding = nn.Parameter(torch.eye(len(model.unembedding), dtype=model.unembedding.dtype))
    return without(pairs(model.p)[0]).detach()  # type: ignore[no-any-return]


@torch.no_grad()
def frequencies_of_units(model: Transformer) -> Labels:
    """The frequency with more than half of the variance of a unit's activations over all pairs (a, b), or `NONE`.

    A frequency k has what varies as functions of k a, k b, k (a + b) and k (a - b) do.
    """
    p = model.p
    activations = model.mlp[:2](stream_of(model)).T.reshape(-1, p, p)  # type: ignore[index]
    power = torch.fft.fft2(activations).abs().square()
    power[:, 0, 0] = 0
    found = []
    for k in range(1, (p + 1) // 2):
        places = [(i, j) for i in (0, k, p - k) for j in (0, k, p - k) if (i, j) != (0, 0)]
        rows, columns = zip(*places, strict=True)
        found.append(power[:, list(rows), list(columns)].sum(1))
    shares = torch.stack(found, 1) / power.sum((1, 2)).clamp(min=math.ulp(0.0))[:, None]
    return np.asarray(torch.where(shares.amax(1) > 0.5, shares.argmax(1) + 1, NONE))


def _numbers(values: Tensor) -> Floats:
    return values.detach().double().numpy().copy()


def _placed(values: Tensor, shape: tuple[int, int], place: Any) -> Tensor:
    whole = torch.zeros(shape, dtype=torch.float64)
    whole[place] = values.detach().double()
    return whole


KINDS: dict[str, type[Network]] = {
    "superposition": SuperpositionNetwork,
    "sparse-parity": SparseParityNetwork,
    "modular-addition-53": ModularAdditionNetwork,
    "modular-addition-mlp": LargeModularAdditionNetwork,
    "modular-addition-mlp-published": PublishedNetwork,
}


def network(name: str, seed: int, null: str = "") -> Network:
    """A network of the suite."""
    return KINDS.get(name, PlantedNetwork)(name, seed, null)
