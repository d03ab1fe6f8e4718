"""How the Jacobian D = ∂z/∂θ of an activation with respect to all earlier parameters is kept: as groups of columns.

Columns are numbered layer by layer in the order of the chain, and within a layer channel by channel: column c·K + k
of a layer is entry k of its output channel c, the bias last. An activation of shape (B, C, *spatial) is read as (B,
C, S).
"""

from __future__ import annotations

from collections.abc import Callable
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
        """Every column times factors of the shape of the activation; dense columns are overwritten."""
        factors = factors.reshape(*self.values.shape[:3], *[1] * (self.values.ndim - 3))
        # Compact ones may be views of the activations.
        values = self.values * factors if self.compact else self.values.mul_(factors)
        return Columns(values, self.start, self.compact)

    def rows(self, indices: Tensor, scratch: Callable[[tuple[int, ...], Tensor], Tensor]) -> Columns:
        """Only the given entries of each channel: indices of shape (B, C, S') into S.

        Args:
            indices: which ones.
            scratch: gives memory of a shape, with the dtype of a tensor.
        """
        B, C, S_out = indices.shape
        *middle, K = self.values.shape[3:]
        values = self.values
        if values.stride(-1) != 1 or any(stride % K for stride in values.stride()[:-1]) or values.storage_offset() % K:
            values = values.clone(memory_format=torch.contiguous_format)
        # As it lies in memory, the array is rows of length K; strides tell the number of each.
        steps = [stride // K for stride in values.stride()[:-1]]
        numbers = indices * steps[2] + values.storage_offset() // K
        for axis, length in ((0, B), (1, C)):
            numbers = numbers + steps[axis] * _arange(length, 3 - axis, indices)
        for axis, length in enumerate(middle):
            numbers = numbers[..., None] + steps[3 + axis] * _arange(length, 1, indices)
        memory = values.as_strided((values.untyped_storage().nbytes() // values.itemsize // K, K), (K, 1), 0)
        chosen = scratch((numbers.numel(), K), values)
        torch.index_select(memory, 0, numbers.flatten(), out=chosen)
        return Columns(chosen.reshape(B, C, S_out, *middle, K), self.start, self.compact)

    def densified(self) -> Columns:
        """The same columns, dense."""
        if not self.compact:
            return self
        B, C, S, K = self.values.shape
        values = self.values.new_zeros(B, C, S, C, K)
        channels = torch.arange(C, device=values.device)
        values[:, channels, :, channels] = self.values.transpose(0, 1)
        return Columns(values.reshape(B, C, S, C * K), self.start, compact=False)


def _arange(length: int, axes: int, like: Tensor) -> Tensor:
    """0, 1, ... along the first of so many axes, to be added to an array of indices."""
    return torch.arange(length, device=like.device).reshape(-1, *[1] * (axes - 1))


@dataclass(frozen=True)
class Site:
    """A layer at one batch of inputs.

    Args:
        input: z_{l-1}, of shape (B, ...).
        output: z_l.
        cotangent: λ_l = ∂L/∂z_l, the gradient of the whole loss, of the output's shape; `None` where the terms that it
            enters are not wanted, as in a Gauss-Newton matrix.
    """

    input: Tensor
    output: Tensor
    cotangent: Tensor | None
