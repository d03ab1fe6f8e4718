"""Pointwise activations z = σ(u), with the derivatives that autograd gives them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .accumulator import Accumulator
from .columns import Columns, Site


class PointwiseRule:
    """An activation that acts on every entry by itself.

    Args:
        function: u to σ(u).
        is_piecewise_linear: σ'' is zero wherever it exists, so no term is added for it.
    """

    indices = torch.empty(0, dtype=torch.int64)

    def __init__(self, function: Callable[[Tensor], Tensor], *, is_piecewise_linear: bool) -> None:
        self.function, self.is_piecewise_linear = function, is_piecewise_linear

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Add Dᵀ diag(λ σ'') D; scale the columns by σ'."""
        is_bent = not self.is_piecewise_linear and site.cotangent is not None
        with torch.enable_grad():
            u = site.input.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.function(u).sum(), u, create_graph=is_bent)
            if is_bent:
                (bend,) = torch.autograd.grad(slope.sum(), u)
        if is_bent and columns and site.cotangent is not None:
            accumulator.add_diagonal(columns, site.cotangent * bend)
        slope = slope.detach()
        return [part.scaled(slope) for part in columns]


class IdentityRule:
    """A layer that changes nothing but the shape: Identity, Flatten, and Dropout in eval mode."""

    indices = torch.empty(0, dtype=torch.int64)

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:  # noqa: ARG002
        """Leave the columns as they are; they keep the channels of the layer they came from."""
        return columns
