"""Linear layers: z = W h + b."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .accumulator import Accumulator
from .columns import Columns, Site


def own_values(features: Tensor, channels: int, *, weight: bool, bias: bool) -> Tensor:
    """Columns of a layer's own parameters, alike for every output channel: features (B, S, K) to (B, C, S, K')."""
    parts = [features] if weight else []
    if bias:
        parts.append(torch.ones_like(features[..., :1]))
    values = torch.cat(parts, dim=2) if len(parts) > 1 else parts[0].contiguous()
    return values[:, None].expand(-1, channels, -1, -1)


class LinearRule:
    """A `nn.Linear` on inputs of shape (B, F).

    Args:
        module: the layer.
        weight, bias: the places of its parameters in the layout, flattened, or `None` for one that is not taken.
        start: number of its first column.
    """

    def __init__(self, module: nn.Linear, weight: Tensor | None, bias: Tensor | None, start: int) -> None:
        self.module, self.has_weight, self.has_bias, self.start = module, weight is not None, bias is not None, start
        parts = [] if weight is None else [weight.reshape(module.out_features, -1)]
        parts += [] if bias is None else [bias.reshape(-1, 1)]
        self.indices = torch.cat(parts, dim=1).reshape(-1) if parts else torch.empty(0, dtype=torch.int64)

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Add the cross terms with the columns of the input; give the columns of the output."""
        W, B = self.module.weight, len(site.input)
        if self.has_weight and site.cotangent is not None:
            for part in columns:
                self._add_cross(site.cotangent, part, accumulator)
        pushed = []
        for part in columns:
            _, C, S, K = part.flat.shape
            if part.compact:  # (C, O, S) @ (B, C, S, K), then the channels of the input become part of the column
                values = torch.matmul(W.reshape(-1, C, S).transpose(0, 1), part.values)
                values = values.transpose(1, 2).reshape(B, -1, 1, C * K)
            else:
                values = torch.bmm(W.expand(B, -1, -1), part.flat.reshape(B, C * S, K))[:, :, None]
            pushed.append(Columns(values, part.start, compact=False))
        if len(self.indices):
            features = site.input[:, None]
            own = own_values(features, len(W), weight=self.has_weight, bias=self.has_bias)
            pushed.append(Columns(own, self.start, compact=True))
        return pushed

    def _add_cross(self, cotangent: Tensor, part: Columns, accumulator: Accumulator) -> None:
        """Rows (o, i), columns p of Σ_n λ[n, o] D[n, i, p]; a compact column meets the inputs of its channel alone."""
        O, F = self.module.weight.shape  # noqa: E741 (the number of outputs)
        K_own = F + self.has_bias
        B, C, S, K = part.flat.shape
        block = (cotangent.T @ part.flat.reshape(B, -1)).reshape(O, C, S, K)
        if part.compact:
            for c in range(C):
                target = accumulator.matrix[self.start : self.start + O * K_own].unflatten(0, (O, K_own))
                first = part.start + c * K
                target[:, c * S : (c + 1) * S, first : first + K] += block[:, c]
        else:
            target = accumulator.matrix[self.start : self.start + O * K_own].unflatten(0, (O, K_own))
            target[:, :F, part.start : part.start + K] += block.reshape(O, F, K)
