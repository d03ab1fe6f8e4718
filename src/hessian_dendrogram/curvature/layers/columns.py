"""How the Jacobian D = ∂z/∂θ of an activation with respect to all earlier parameters is kept: as groups of columns.

Columns are numbered layer by layer in the order of the chain, and within a layer channel by channel: column c·K + k
of a layer is entry k of its output channel c, the bias last. An activation of shape (B, C, *spatial) is read as (B,
C, S).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Columns:
    """A group of columns of the Jacobian, those of one layer.

    Args:
        values: dense, shape (B, C, S, P): entry (n, c, s, p) is ∂z[n, c, s] / ∂θ[start + p]; P may be spread over
            several axes, to put off a copy. Or compact, shape (B, C, S, K): column start + c·K + k reaches channel c
            alone, so the other channels are not stored.
        start: number of the first column.
        compact: which of the two.
    """

    values: Tensor
    start: int
    compact: bool

    @property
    def count(self) -> int:
        """Number of columns."""
        return self.values.shape[3:].numel() * (self.values.shape[1] if self.compact else 1)

    @property
    def bytes(self) -> int:
        """Memory that the values take."""
        return self.values.untyped_storage().nbytes()

    @property
    def flat(self) -> Tensor:
        """The values with P or K along one axis: four axes in all."""
        return self.values.flatten(3)

    def scaled(self, factors: Tensor) -> Columns:
        """Every column times factors of the shape of the activation."""
        trailing = [1] * (self.values.ndim - 3)
        return Columns(self.values * factors.reshape(*self.values.shape[:3], *trailing), self.start, self.compact)

    def rows(self, indices: Tensor) -> Columns:
        """Only the given entries of each channel: indices of shape (B, C, S') into S."""
        B, C, S, *trailing = self.values.shape
        if self.values.stride(1) == 0:  # every channel alike: look up in one copy
            source, offsets = self.values[:, 0], S * torch.arange(B, device=indices.device)[:, None, None]
        else:
            source = self.values
            offsets = S * torch.arange(B * C, device=indices.device).reshape(B, C, 1)
        if source.is_contiguous():
            chosen = source.flatten(0, -len(trailing) - 1)[(indices + offsets).reshape(-1)]
            return Columns(chosen.reshape(B, C, indices.shape[2], *trailing), self.start, self.compact)
        samples = torch.arange(B, device=indices.device)[:, None, None]
        channels = torch.arange(C, device=indices.device)[None, :, None]
        return Columns(self.values[samples, channels, indices], self.start, self.compact)

    def densified(self) -> Columns:
        """The same columns, dense."""
        if not self.compact:
            return self
        B, C, S, K = self.values.shape
        values = self.values.new_zeros(B, C, S, C, K)
        channels = torch.arange(C, device=values.device)
        values[:, channels, :, channels] = self.values.transpose(0, 1)
        return Columns(values.reshape(B, C, S, C * K), self.start, compact=False)


@dataclass(frozen=True)
class Site:
    """A layer at one batch of inputs.

    Args:
        input: z_{l-1}, of shape (B, ...).
        output: z_l.
        cotangent: λ_l = ∂L/∂z_l, the gradient of the whole loss, of the output's shape.
    """

    input: Tensor
    output: Tensor
    cotangent: Tensor
