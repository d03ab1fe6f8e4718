"""Sets of directions, from curvature and without it, and how pure their effects are. A new one is one function.

A set is a matrix of orthonormal columns over all parameters; the purity of its effects in the groups of the network's
readout is compared with that of rotations of the same effects (`hessian_dendrogram.statistics.nulls`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessian_dendrogram import effects, lanczos_spectrum
from hessian_dendrogram.experiments import sparse_parity
from hessian_dendrogram.experiments.modular_addition import pairs
from hessian_dendrogram.models.built_in_readouts import by_frequency, by_label
from hessian_dendrogram.models.readouts import Readout
from hessian_dendrogram.statistics.nulls import rotation_nulls

from .graphs import MATRICES
from .network import Network, Part
from .suite import ModularAdditionNetwork, SparseParityNetwork

COUNT, FIRST, ROTATIONS = 24, 10, 199
SOME_PAIRS = 2500
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole network at a step, with inputs and targets that directions are read on, and training samples."""

    part: Part
    targets: Tensor
    readout: Readout
    classes: Tensor


def whole(network: Network, step: int | None = None) -> Whole:
    """The network at a step.

    Raises:
        TypeError: there is no readout for its kind.
    """
    if isinstance(network, SparseParityNetwork):
        names = {f"task {task}": [2 * task, 2 * task + 1] for task in range(sparse_parity.TASKS)}
        part = network.part(step)
        return Whole(part=part, targets=network.of_every_task[1], readout=by_label(names), classes=part.samples[1])
    if isinstance(network, ModularAdditionNetwork):
        model: Any = network.model(step)
        tokens, answers = pairs(model.p)
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))[:SOME_PAIRS]
        part = Part(
            model=model, loss=network.experiment.loss, samples=network.data[0], inputs=tokens[order], groups={},
            weights={}, activations=np.zeros((0, 0)),
        )  # fmt: skip
        return Whole(part=part, targets=answers[order], readout=by_frequency(), classes=part.samples[1])
    raise TypeError(f"directions of {network} have no readout")


def leading(of: Whole, matrix: str) -> Floats:
    """The leading eigenvectors of a matrix."""
    operator = MATRICES[matrix](of.part)
    spectrum = lanczos_spectrum(operator, top=COUNT, bottom=0, tolerance=1e-4, trace_probes=0)
    assert spectrum.eigenvectors is not None
    return np.ascontiguousarray(spectrum.eigenvectors[:, ::-1][:, :COUNT])


def class_means(of: Whole) -> Floats:
    """The leading directions of the mean gradients of the classes, which explain a classifier's outliers (Papyan)."""
    model, (inputs, targets) = of.part.model, of.part.samples
    parameters = [one for one in model.parameters() if one.requires_grad]
    columns = []
    for label in of.classes.unique():
        chosen = of.classes == label
        loss = of.part.loss(model(inputs[chosen]), targets[chosen])
        columns.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, parameters)]))
    means = torch.stack(columns, 1)
    means -= means.mean(1, keepdim=True)
    return np.asarray(torch.linalg.svd(means, full_matrices=False)[0][:, :COUNT])


def gaussian(of: Whole) -> Floats:
    """Random directions."""
    size = sum(one.numel() for one in of.part.model.parameters() if one.requires_grad)
    V = torch.randn(size, COUNT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return np.asarray(torch.linalg.qr(V)[0])


DIRECTIONS: dict[str, Callable[[Whole], Floats]] = {
    **{name: partial(leading, matrix=name) for name in MATRICES},
    "class means of gradients": class_means,
    "Gaussian directions": gaussian,
}


def read(of: Whole, V: Floats) -> Mapping[str, Any]:
    """Mean purities of the first ten and of all directions, above their nulls; and the largest share of each group."""
    u = effects(of.part.model, of.part.inputs, V, batch_size=len(of.part.inputs))
    parts = of.readout(u, of.targets)
    grams = np.stack([np.asarray(part @ part.T) for part in parts.values()])
    powers = np.diagonal(grams, axis1=1, axis2=2)
    total = powers.sum(0)
    has_effect = total > 1e-20 * total.max()
    counts = [min(FIRST, len(total)), len(total)]
    _, means = rotation_nulls(grams, has_effect, counts=counts, draws=ROTATIONS, seed=0)
    shares = powers[:-1] / np.where(has_effect, total, np.nan)
    purities = np.nanmax(shares, axis=0)
    found = {}
    for at, count in enumerate(counts):
        purity = float(np.nanmean(purities[:count]))
        found[("ten", "all")[at]] = {
            "purity": round(purity, 4),
            "null": round(float(means[:, at].mean()), 4),
            "high": round(float(np.quantile(means[:, at], 0.95)), 4),
            "excess": round(purity - float(means[:, at].mean()), 4),
        }
    largest = np.nanmax(shares, axis=1)
    return {**found, "largest shares": {name: round(float(x), 4) for name, x in zip(parts, largest, strict=False)}}


def purities(network: Network, step: int | None = None, names: Any = None) -> dict[str, Any]:
    """The reading of every set of directions, or of these."""
    of = whole(network, step)
    _confirm(of.part.model)
    return {name: read(of, DIRECTIONS[name](of)) for name in names or DIRECTIONS}


def _confirm(model: nn.Module) -> None:
    assert all(one.requires_grad for one in model.parameters())
