r"""A toy model of superposition: 20 sparse features in 5 dimensions, 120 parameters, whose features are known.

N. Elhage et al., "Toy models of superposition" (2022): feature i is uniform in [0, 1] and present with probability
1 - S, independently, and the network that is to give it back has fewer dimensions than features:

    x̂ = ReLU(Wᵀ W x + b),   L = mean over 10,000 fixed samples of Σ_i 0.7^i (x_i - x̂_i)²,   i = 0, ..., 19

Column i of W is the direction of feature i; it is represented where that is longer than one half: `feature_measures`.
Unlike the paper's, the initial weights are small (a standard deviation of 0.1), so that no feature is represented at
first and each has an onset. With S = 0.9, the default, features 0 to 9 lie in five pairs of opposite directions in the
end (by step 2,000, seeds 42 and 43); with S = 0 the first five have a dimension each; with S = 0.99 there are 13, not
in pairs. `superposition("dense", sparsity=0)` makes the experiment for another S. A training takes 15 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiment import Experiment

FEATURES, DIMENSIONS = 20, 5
SAMPLES = 10_000
INITIAL = 0.1  # standard deviation of the initial weights
IMPORTANCE = 0.7  # of a feature, as a multiple of the one before
REPRESENTED = 0.5  # a direction that is longer
SHARED = 0.5**0.5  # two directions with |cos| above: more than half of each one's square lies along the other


class Superposition(nn.Module):
    """Features (N, 20) to what 5 dimensions give back of them, (N, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(INITIAL * torch.randn(DIMENSIONS, FEATURES))
        self.b = nn.Parameter(torch.zeros(FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        """The features given back."""
        return torch.relu(x @ self.W.T @ self.W + self.b)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The squared errors of the features, each times its importance, summed; the mean over the samples."""
    importance = IMPORTANCE ** torch.arange(FEATURES, dtype=outputs.dtype, device=outputs.device)
    return ((outputs - targets).square() * importance).sum(dim=1).mean()


def data(data_dir: Path | None, *, sparsity: float) -> Any:  # noqa: ARG001 (no folder is needed)
    """Training and test samples, always the same for a sparsity; the features are their own targets."""
    generator = torch.Generator().manual_seed(0)
    sets = []
    for _ in range(2):
        values, chances = torch.rand(2, SAMPLES, FEATURES, generator=generator)
        features = torch.where(chances >= sparsity, values, 0.0)
        sets.append((features, features))
    return tuple(sets)


def feature_measures(model: nn.Module, *_: Any) -> Mapping[str, Any]:
    """What is known of the features.

    Args:
        model: a `Superposition` at a checkpoint; nothing else is looked at.

    Returns:
        `norms`, ‖W_i‖ of each feature; `represented`, the features whose norm is above 1/2; `directions`, for every
        feature the number of its direction, -1 where it is not represented: represented features share one where
        |cos(W_i, W_j)| > 1/√2, or where others in between link them so; `dimensionalities`, after the paper,
        ‖W_i‖² / Σ_j (W_i · W_j / ‖W_i‖)², the share of a dimension that a feature has to itself.
    """
    assert isinstance(model, Superposition)
    W = model.W.detach().double()
    norms = W.norm(dim=0)
    units = W / norms.clamp_min(torch.finfo(W.dtype).tiny)
    represented = (norms > REPRESENTED).nonzero()[:, 0]
    cosines = units[:, represented].T @ units[:, represented]
    _, numbers = connected_components((cosines.abs() > SHARED).numpy(), directed=False)
    directions = torch.full((FEATURES,), -1)
    directions[represented] = torch.from_numpy(numbers).long()
    shared = (units.T @ W).square().sum(dim=1)
    return {
        "norms": norms.tolist(),
        "represented": represented.tolist(),
        "directions": directions.tolist(),
        "dimensionalities": torch.where(shared > 0, norms.square() / shared, 0.0).tolist(),
    }


def superposition(name: str, *, sparsity: float, steps: int = 3000) -> Experiment:
    """The experiment for a sparsity S, the chance that a feature is absent, such as 0, 0.9 or 0.99.

    Raises:
        UserError: the sparsity is not in [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise UserError(f"sparsity is the chance that a feature is absent, in [0, 1), got {sparsity}")
    return Experiment(
        name=name,
        model=Superposition,
        loss=loss,
        data=partial(data, sparsity=sparsity),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        steps=steps,
        checkpoint_steps=[0, 50, *range(100, 500, 50), *range(500, 1000, 100), *range(1000, steps + 1, 250)],
        log_every=10,
        evaluate_every=100,
        groups={f"feature {i}": [("W", (slice(None), i)), ("b", i)] for i in range(FEATURES)},
        measures=feature_measures,
        vectors="all",
    )


experiment = superposition("superposition", sparsity=0.9)
