r"""Labels drawn from a model's own distribution, kept beside its inputs, and the squared slopes of their likelihood.

For each sample K labels y_k ~ p(y | z) are drawn at the operator's weights, once, in the order of the data, by one
seed: neither the size of batches nor the number of products changes them. The Fisher matrix of the outputs is then
estimated by

    (1/K) Σ_k s_k s_kᵀ,      s_k = -∂ log p(y_k | z) / ∂z,

without bias; a relative error of the order of 1/√(N K) is left. The draws take the place of the targets: one row of
float64 numbers for each sample, what its target weighs first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.utils._pytree import tree_leaves, tree_map

from ..errors import UserError, user_errors
from ..models import random_state, samples
from ..models.samples import Batch
from .data import Weight, sample_shares
from .output_metrics import Rebuilt, as_vector
from .risk import Risk

DistributionOf = Callable[[Any], Distribution]
"""Makes a distribution of labels of a model's outputs, independent from sample to sample along the first axis."""


@dataclass(frozen=True)
class DrawnLoss:
    """The mean negative log-likelihood of drawn labels, over samples and draws.

    Args:
        distribution: of the outputs.
        draws: K.
        label: the shape of one draw for one sample.
        places: how many independent parts the likelihood of a sample has, over which the mean is taken.
    """

    distribution: DistributionOf
    draws: int
    label: tuple[int, ...]
    places: int = 1

    def __call__(self, outputs: Any, targets: Tensor) -> Tensor:
        """The loss of a batch."""
        shares = sample_shares(drawn_weight, targets, len(targets))
        likelihood = self.log_likelihoods(outputs, targets)
        return -(likelihood.mean(0) * shares.to(likelihood)).sum() / self.places

    def log_likelihoods(self, outputs: Any, targets: Tensor) -> Tensor:
        """The log-likelihood of each draw: shape (K, samples)."""
        found = self.distribution(outputs).log_prob(self._labels(targets))
        return found.reshape(self.draws, len(targets), -1).sum(2)

    def _labels(self, targets: Tensor) -> Tensor:
        """The draws: shape (K, samples, ...)."""
        return targets[:, 1:].reshape(len(targets), self.draws, *self.label).movedim(1, 0)

    def slopes(self, risk: Risk, batch: Batch, z: Tensor, rebuilt: Rebuilt) -> tuple[Tensor, Tensor]:
        """The slopes of all draws on the outputs, shape (K, numbers), and a factor for each sample."""
        count, draws = len(batch[1]), self.draws

        def repeated(leaf: Any) -> Any:
            is_of_samples = isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == count
            return leaf.repeat(draws, *[1] * (leaf.ndim - 1)) if is_of_samples else leaf

        # Every sample once for each draw, so that one gradient has the slopes of all of them.
        many, rebuilt_many = as_vector(tree_map(repeated, rebuilt(z.detach())))
        leaf = many.detach().requires_grad_()
        with risk.evaluation(), torch.enable_grad():
            likelihood = self.distribution(rebuilt_many(leaf)).log_prob(self._labels(batch[1]).flatten(0, 1))
            (slopes,) = torch.autograd.grad(likelihood.sum(), leaf)
        sizes = [
            part.numel() for part in tree_leaves(rebuilt(z)) if isinstance(part, Tensor) and part.is_floating_point()
        ]
        rows = [part.reshape(draws, -1) for part in slopes.split([draws * size for size in sizes])]
        shares = sample_shares(drawn_weight, batch[1], count)
        return torch.cat(rows, dim=1), shares.to(z) / (draws * self.places)


def drawn_weight(targets: Tensor) -> Tensor:
    """What the samples weigh whose draws these are."""
    return targets[:, 0].sum()


def drawn(
    risk: Risk, distribution: DistributionOf, *, draws: int, seed: int, places: int = 1
) -> tuple[DrawnLoss, list[Batch]]:
    """The loss of drawn labels, and the data with these as targets.

    Args:
        risk: has the model and the data.
        distribution: of the outputs.
        draws: for each sample.
        seed: of the draws.
        places: as for `DrawnLoss`.

    Raises:
        UserError: the distribution is none of the samples, or batches are given ones.
    """
    if risk.data.is_given:
        raise UserError("labels are drawn for each sample by itself, which given batches do not have")
    label: tuple[int, ...] = ()
    made: list[Batch] = []
    with random_state.seeded(seed):
        for batch in risk.data.batches():
            with torch.no_grad():
                outputs = risk.outputs(batch[0])
            rows = []
            for n in range(samples.count(batch)):
                with user_errors("labels cannot be drawn"):
                    row = _draw(distribution, outputs, n, draws)
                label = tuple(row.shape[1:])
                rows.append(torch.cat([torch.tensor([weight_of(risk.data.weight, batch[1], n)]), row.reshape(-1)]))
            made.append((batch[0], torch.stack(rows)))
    if not made or not prod(label):
        raise UserError("the distribution draws labels without numbers")
    return DrawnLoss(distribution, draws, label, places), made


def weight_of(weight: Weight | None, targets: Tensor, n: int) -> float:
    """What one sample weighs."""
    return 1.0 if weight is None else float(weight(targets[n : n + 1]))


def _draw(distribution: DistributionOf, outputs: Any, n: int, draws: int) -> Tensor:
    """Labels of one sample, drawn on the CPU: shape (K, ...), float64."""
    one = tree_map(lambda leaf: leaf[n : n + 1].cpu() if isinstance(leaf, Tensor) and leaf.ndim else leaf, outputs)
    made = distribution(one)
    if not isinstance(made, Distribution):
        raise UserError(f"distribution must give a torch Distribution of the outputs, gave {samples.describe(made)}")
    found = made.sample((draws,))
    if found.ndim < 2 or found.shape[1] != 1:
        raise UserError(
            "distribution must keep the samples of the outputs along its first axis; of one it draws "
            f"{tuple(found.shape)}"
        )
    return found[:, 0].detach().double()
