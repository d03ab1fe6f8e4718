"""Batch normalisation in eval mode: an affine map of each channel, with fixed statistics.

z = γ x̂ + β with x̂ = (u - mean) / √(variance + ε): bilinear in (γ, u), so γ has cross terms with every earlier
parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .accumulator import Accumulator
from .columns import Columns, Site


class BatchNormRule:
    """A `nn.BatchNorm1d` or `nn.BatchNorm2d` with running statistics.

    Args:
        module: the layer.
        weight, bias: the places of γ and β in the layout, or `None` for one that is not taken.
        start: number of its first column.
    """

    def __init__(
        self, module: nn.BatchNorm1d | nn.BatchNorm2d, weight: Tensor | None, bias: Tensor | None, start: int
    ) -> None:
        self.module, self.has_weight, self.has_bias, self.start = module, weight is not None, bias is not None, start
        parts = [part.reshape(-1, 1) for part in (weight, bias) if part is not None]
        self.indices = torch.cat(parts, dim=1).reshape(-1) if parts else torch.empty(0, dtype=torch.int64)

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Add γ's cross terms with the columns of the input; scale them, and append γ and β."""
        module = self.module
        assert module.running_mean is not None
        assert module.running_var is not None
        B, C = site.input.shape[:2]
        scale = (module.running_var + module.eps).rsqrt()
        dense = [part.densified() for part in columns]
        K = self.has_weight + self.has_bias
        if self.has_weight and site.cotangent is not None:
            weights = (site.cotangent.reshape(B, C, -1) * scale[:, None]).transpose(0, 1).reshape(C, 1, -1)
            for part in dense:
                block = weights @ part.flat.transpose(0, 1).reshape(C, weights.shape[2], -1)
                rows = accumulator.matrix[self.start : self.start + C * K : K]
                rows[:, part.start : part.start + part.count] += block[:, 0]
        gamma = module.weight * scale if module.affine else scale
        pushed = [Columns(part.flat * gamma[:, None, None], part.start, compact=False) for part in dense]
        if K:
            normalised = (site.input.reshape(B, C, -1) - module.running_mean[:, None]) * scale[:, None]
            parts = [normalised] if self.has_weight else []
            parts += [torch.ones_like(normalised)] if self.has_bias else []
            pushed.append(Columns(torch.stack(parts, dim=3), self.start, compact=True))
        return pushed
