"""The networks of the suite, each with what is known of it: at a checkpoint, and of its groups of parameters.

A network is trained where it is not there yet, in `runs/circuits/NAME/SEED`, its null of shuffled labels within that.
That of shuffled weights needs no training.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hessian_dendrogram import Run, units_as_groups
from hessian_dendrogram.experiment import Experiment, load_experiment
from hessian_dendrogram.experiments import induction, sparse_parity, superposition
from hessian_dendrogram.experiments.modular_addition import Transformer, pairs
from hessian_dendrogram.experiments.planted import planted
from hessian_dendrogram.models.attention_heads import heads_as_groups

from .network import LABELS, NONE, Floats, Labels, Network, Part


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
    lengths: ClassVar = {"": {42: 10_000, 43: 12_000, 44: 12_000}, LABELS: {42: 7000, 43: 5000, 44: 5000}}

    def make(self) -> Experiment:
        """Of so many steps that the network has generalised."""
        return load_experiment(
            self.name, seed=self.seed, steps=self.lengths[LABELS if self.null == LABELS else ""][self.seed]
        )


class PublishedNetwork(LargeModularAdditionNetwork):
    """The same from the weights of step 30,000 in `results/modular-addition-mlp`, seed 42."""

    def make(self) -> Experiment:
        """The experiment as it was published."""
        return load_experiment("modular-addition-mlp", seed=self.seed)

    @cached_property
    def run(self) -> Run:
        """The published run."""
        return Run("results/modular-addition-mlp")


class InductionNetwork(Network):
    """Two layers of attention; a group is a head."""

    steps = (0, 100, 200, 300, 350, 400, 450, 500, 550, 600, 800, 1000, 1500)
    of_a_role = 0.5  # how much a head attends to where its role wants it

    def part(self, step: int | None = None) -> Part:
        """All of it, on the first sequences."""
        model = self.model(step)
        tokens, labels = (values[:50] for values in self.data[0])
        return Part(
            model=model, loss=self.experiment.loss, samples=(tokens, labels), inputs=tokens,
            groups=heads_as_groups(model), weights={}, activations=np.zeros((0, 0)),
        )  # fmt: skip

    def truth(self) -> Labels:
        """0 for the heads of the first layer that attend to the token before, 1 for induction heads of the second."""
        found = induction.head_measures(self.original.model(), None, self.original.data[0])
        roles = [found["previous_token_scores"][0], found["induction_scores"][1]]
        return np.array([
            role if score > self.of_a_role else NONE for role, scores in enumerate(roles) for score in scores
        ])  # fmt: skip


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
    "induction": InductionNetwork,
    "modular-addition-mlp": LargeModularAdditionNetwork,
    "modular-addition-mlp-published": PublishedNetwork,
}


def network(name: str, seed: int, null: str = "") -> Network:
    """A network of the suite."""
    return KINDS.get(name, PlantedNetwork)(name, seed, null)
