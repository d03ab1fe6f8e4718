r"""P^-1/2 A P^-1/2 for a diagonal P: the curvature that an optimiser which divides by P sees.

Its eigenvalues are those of P^-1 A. Adam's P, from its second moments v_t after t steps, is

    P_t = (1 - β₁ᵗ) (√(v_t / (1 - β₂ᵗ)) + ε),

with which gradient descent with momentum at learning rate η is stable on a quadratic where the largest eigenvalue stays
below (2 + 2 β₁) / ((1 - β₁) η), which is 38 / η for β₁ = 0.9 (Cohen et al. 2022, arXiv 2207.14484).
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..layout import Layout
from .operator import CurvatureOperator

_BLOCK = 1024  # rows that are scaled at once


class Preconditioned(CurvatureOperator):
    """P^-1/2 A P^-1/2, with the parameters of A.

    Args:
        operator: A.
        diagonal: of P, shape (n,), finite and positive.
        stable_below: the largest eigenvalue at which the optimiser is stable, such as `adam_threshold` gives; spectra
            record it, and pictures of them over training draw it.

    Raises:
        UserError: the diagonal has another shape, or an entry that is not; the threshold is not positive.
    """

    def __init__(self, operator: CurvatureOperator, diagonal: Tensor, *, stable_below: float | None = None) -> None:
        if stable_below is not None and not 0 < stable_below < float("inf"):
            raise UserError(f"stable_below is a positive eigenvalue, got {stable_below:g}")
        if diagonal.shape != (operator.shape[0],):
            raise UserError(f"a diagonal of shape ({operator.shape[0]},) is needed, got {tuple(diagonal.shape)}")
        diagonal = diagonal.detach().to(operator.device, torch.float64)
        if not bool((diagonal.isfinite() & (diagonal > 0)).all()):
            raise UserError(
                f"the diagonal must be finite and positive; the smallest entry is {float(diagonal.min()):.3g}"
            )
        self.operator, self.diagonal, self.stable_below = operator, diagonal, stable_below
        self.layout, self.dtype, self.device = operator.layout, operator.dtype, operator.device
        self.num_samples, self.roundoff = operator.num_samples, operator.roundoff
        self._root = diagonal.rsqrt()

    def _products(self, V: Tensor) -> Tensor:
        root = self._root[:, None]
        return (root * self.operator.matmat((root * V).to(self.dtype))).to(self.dtype)

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same with products of A in another floating-point type."""
        return self if dtype == self.dtype else self._over(self.operator.with_dtype(dtype))

    def for_error_check(self) -> CurvatureOperator:
        """The same of what A gives."""
        checked = self.operator.for_error_check()
        return self if checked is self.operator else self._over(checked)

    def _over(self, operator: CurvatureOperator) -> Self:
        return type(self)(operator, self.diagonal, stable_below=self.stable_below)

    def arithmetic_error(self, seed: int = 0) -> float:
        """That of A, divided by the smallest entry of P."""
        return self.operator.arithmetic_error(seed) / float(self.diagonal.min())

    def columns_at_once(self) -> int:
        """As for A."""
        return self.operator.columns_at_once()

    def to_dense(self, *, progress: bool = False) -> Tensor:
        """The whole matrix, symmetric to the last bit: shape (n, n), float64."""
        matrix = self.operator.to_dense(progress=progress)
        self.assembled_by = self.operator.assembled_by
        for start in range(0, len(matrix), _BLOCK):
            rows = slice(start, start + _BLOCK)
            matrix[rows] = matrix[rows] * (self._root[rows, None] * self._root)
        return matrix

    def describe(self) -> dict[str, object]:
        """What A is, and the range of the diagonal."""
        low, high = float(self.diagonal.min()), float(self.diagonal.max())
        known = self.operator.describe()
        threshold = {} if self.stable_below is None else {"stable_below": self.stable_below}
        return {**known, "operator": f"preconditioned {known['operator']}", "preconditioner": [low, high], **threshold}


def adam_diagonal(model: nn.Module, optimizer: torch.optim.Optimizer, layout: Layout) -> Tensor:
    """Adam's P at the state of an optimiser: shape (n,), float64, in the order of a layout.

    Args:
        model: whose parameters the optimiser has.
        optimizer: `Adam`, `AdamW`, or one that keeps `exp_avg_sq`, `step`, `betas` and `eps` as they do.
        layout: of an operator over the model.

    Raises:
        UserError: it keeps no second moments of a parameter, or is not at the same for all of its entries.
    """
    groups = {id(tensor): group for group in optimizer.param_groups for tensor in group["params"]}
    named = dict(model.named_parameters())
    parts = []
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        tensor = named.get(name)
        state = optimizer.state.get(tensor, {}) if tensor is not None else {}
        group = groups.get(id(tensor), {})
        moments = state.get("max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq")
        if moments is None or "betas" not in group or tuple(moments.shape) != tuple(shape):
            raise UserError(
                f"{type(optimizer).__name__} keeps no second moments of {name!r} of shape {tuple(shape)}, as Adam does "
                "after its first step"
            )
        step, (beta_1, beta_2) = float(state["step"]), group["betas"]
        corrected = (moments.double() / (1 - beta_2**step)).sqrt() + group["eps"]
        parts.append((1 - beta_1**step) * corrected.reshape(-1))
    return torch.cat(parts)


def adam_threshold(learning_rate: float, beta_1: float = 0.9) -> float:
    """The largest eigenvalue of the preconditioned Hessian at which Adam is stable on a quadratic.

    Raises:
        UserError: the rate is not positive, or β₁ not within [0, 1).
    """
    if not (learning_rate > 0 and 0 <= beta_1 < 1):
        raise UserError(f"a positive learning rate and 0 <= beta_1 < 1 are needed, got {learning_rate:g}, {beta_1:g}")
    return (2 + 2 * beta_1) / ((1 - beta_1) * learning_rate)
