"""Independent sub-networks with losses of their own, and a dial that couples them: a Hessian whose blocks are known.

Each sub-network sees inputs of its own and learns a target of its own; the loss is the sum of their squared errors.
With the coupling c the output of a sub-network is its own plus c times the sum of the others', so that at c = 0 the
Hessian is block diagonal, exactly, and the blocks dissolve as c grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hessian_dendrogram.experiment import Experiment

INPUTS = 3  # of each sub-network
SAMPLES = 400


class Planted(nn.Module):
    """Sub-networks side by side: inputs (N, 3 parts) to outputs (N, parts).

    Args:
        hidden: units of each sub-network, which has 5 hidden + 1 parameters.
        coupling: c, the share of the others' outputs in each output.
    """

    def __init__(self, hidden: Sequence[int], coupling: float) -> None:
        super().__init__()
        self.coupling = coupling
        self.parts = nn.ModuleList(
            nn.Sequential(nn.Linear(INPUTS, units), nn.Tanh(), nn.Linear(units, 1)) for units in hidden
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """The coupled outputs."""
        own = [part(x) for part, x in zip(self.parts, inputs.split(INPUTS, dim=1), strict=True)]
        if not self.coupling:
            return torch.cat(own, dim=1)
        outputs = torch.cat(own, dim=1)
        return (1 - self.coupling) * outputs + self.coupling * outputs.sum(dim=1, keepdim=True)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The sub-networks' squared errors, summed; the mean over the samples."""
    return torch.mean((outputs - targets).square().sum(dim=1))


def data(data_dir: Path | None, *, parts: int) -> Any:  # noqa: ARG001 (no folder is needed)
    """For each sub-network three normal inputs and the product of the first two plus the third's square."""
    generator = torch.Generator().manual_seed(0)
    sets = []
    for _ in range(2):
        inputs = torch.randn(SAMPLES, INPUTS * parts, generator=generator)
        first, second, third = inputs.view(SAMPLES, parts, INPUTS).unbind(dim=2)
        sets.append((inputs, first * second + third.square() / 2))
    return tuple(sets)


def planted(name: str, *, hidden: Sequence[int], coupling: float, steps: int = 1000) -> Experiment:
    """The experiment with sub-networks of these sizes and this coupling."""
    return Experiment(
        name=name,
        model=partial(Planted, tuple(hidden), coupling),
        loss=loss,
        data=partial(data, parts=len(hidden)),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
        steps=steps,
        checkpoint_steps=[0, *range(steps // 10, steps + 1, steps // 10)],
        log_every=10,
        evaluate_every=100,
    )


experiment = planted("planted", hidden=[40, 40, 40, 40], coupling=0.03)
