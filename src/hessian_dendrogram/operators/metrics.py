r"""Metrics that need no labels, as losses of the outputs alone whose second derivative they are.

A batch's outputs are rows of C numbers, along their last axis or another, one row for each sample and place (a token).
With ω_r the row's share in the mean, Σ_r ω_r = 1, the loss of a batch is Σ_r ω_r f(z_r), and the metric ω_r ∂²f/∂z²:

| name | f(z) | ∂²f/∂z² |
|---|---|---|
| identity | zᵀz / 2 | I |
| identity, outputs centred | zᵀ(I - 11ᵀ/C)z / 2 | I - 11ᵀ/C |
| softmax at temperature τ | log Σ_c exp(z_c / τ) | (diag p - p pᵀ) / τ², p = softmax(z / τ) |
| Bernoulli | Σ_c log(1 + exp z_c) | diag q(1 - q), q = sigmoid(z) |

The identity may be divided by C. Samples count alike, or as `weight=` says of the targets of each by itself; the places
of a sample count alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils import _pytree

from ..errors import UserError
from .data import Weight, sample_shares


@dataclass(frozen=True)
class Identity:
    """The identity, its outputs perhaps centred or divided by their number.

    Args:
        centre_outputs: take the mean over a row off.
        divide_by_outputs: divide by the number of outputs in a row.
    """

    centre_outputs: bool = False
    divide_by_outputs: bool = False

    is_constant = True

    def function(self, rows: Tensor) -> Tensor:
        """The value f of each row, (..., C) to (...)."""
        return self.root(rows).square().sum(-1) / 2

    def root(self, rows: Tensor) -> Tensor:
        """M^½ z of rows (..., C)."""
        if self.centre_outputs:
            rows = rows - rows.mean(-1, keepdim=True)
        return rows / math.sqrt(rows.shape[-1]) if self.divide_by_outputs else rows


@dataclass(frozen=True)
class Softmax:
    """The covariance of a class drawn from the softmax of the outputs over a temperature, over its square.

    Args:
        tau: the temperature, positive.
    """

    tau: float = 1.0

    is_constant = False

    def function(self, rows: Tensor) -> Tensor:
        """The value f of each row, (..., C) to (...)."""
        return torch.logsumexp(rows / self.tau, -1)


@dataclass(frozen=True)
class Bernoulli:
    """The variances of independent outcomes whose logits are the outputs."""

    is_constant = False

    def function(self, rows: Tensor) -> Tensor:
        """The value f of each row, (..., C) to (...)."""
        return F.softplus(rows).sum(-1)


OutputFunction = Identity | Softmax | Bernoulli


@dataclass(frozen=True)
class MetricLoss:
    """The loss of outputs alone whose second derivative is a metric.

    Args:
        function: of a row.
        weight: of a sample's targets, or nothing.
        axis: of the outputs, along which a row lies.
    """

    function: OutputFunction
    weight: Weight | None = None
    axis: int | None = None

    def __call__(self, outputs: Any, targets: Tensor) -> Tensor:
        """The mean of f over the rows of a batch."""
        rows = rows_of(outputs, self.axis)
        shares = sample_shares(self.weight, targets, len(rows)).to(rows)
        return (shares * self.function.function(rows).mean(1)).sum()

    def mean_root(self, outputs: Any, targets: Tensor) -> Tensor:
        """M^½ of the mean row of a batch, for a constant metric: shape (C,)."""
        assert isinstance(self.function, Identity)
        rows = rows_of(outputs, self.axis)
        shares = sample_shares(self.weight, targets, len(rows)).to(rows)
        return self.function.root(torch.einsum("b,btc->c", shares, rows) / rows.shape[1])


def rows_of(outputs: Any, axis: int | None = None) -> Tensor:
    """A model's outputs as rows: shape (samples, places, C).

    Raises:
        UserError: there are several tensors and none is called `logits`, or it is not clear along which axis rows lie.
    """
    tensor = _one_tensor(outputs)
    if tensor.ndim < 2:
        tensor = tensor.reshape(-1, 1)
    if tensor.ndim > 3 and axis is None:
        raise UserError(
            f"outputs of shape {tuple(tensor.shape)} may be compared along several axes; say by axis= which is that of "
            "the classes, such as 1"
        )
    along = -1 if axis is None else axis
    if not -tensor.ndim <= along < tensor.ndim or along % tensor.ndim == 0:
        raise UserError(f"outputs of shape {tuple(tensor.shape)} have no axis {along} beside that of the samples")
    moved = tensor.movedim(along, -1)
    return moved.reshape(len(moved), -1, moved.shape[-1])


def _one_tensor(outputs: Any) -> Tensor:
    """The tensor of a model's outputs that a metric is of."""
    if isinstance(outputs, Tensor):
        return outputs
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    found = [leaf for leaf in _pytree.tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if len(found) != 1:
        raise UserError(
            f"a metric on the outputs needs one tensor of them, or one that is called logits; the model gives "
            f"{len(found)}: wrap it in a module that gives the one that is meant"
        )
    return found[0]


def _identity(options: Mapping[str, Any]) -> Identity:
    return Identity(bool(options.get("centre_outputs")), bool(options.get("divide_by_outputs")))


FUNCTIONS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], OutputFunction]]] = {
    "identity": (("centre_outputs", "divide_by_outputs"), _identity),
    "softmax": (("tau",), lambda options: Softmax(float(options.get("tau") or 1.0))),
}
"""Metrics by name: the options that each has, and what makes it of them."""
