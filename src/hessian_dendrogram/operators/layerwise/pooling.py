"""Max and average pooling in two dimensions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .accumulator import Accumulator
from .columns import Columns, Site


class MaxPoolRule:
    """A `nn.MaxPool2d`: each column is gathered from where the maximum was."""

    indices = torch.empty(0, dtype=torch.int64)

    def __init__(self, module: nn.MaxPool2d) -> None:
        self.module = module

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:
        """Gather the columns of the output."""
        module = self.module
        _, places = F.max_pool2d(
            site.input,
            module.kernel_size,
            module.stride,
            module.padding,
            module.dilation,
            ceil_mode=module.ceil_mode,
            return_indices=True,
        )
        places = places.flatten(2)
        return [
            part.rows(places, lambda *wanted, part=part: accumulator.scratch((self, part.start), *wanted))
            for part in columns
        ]


class AveragePoolRule:
    """A `nn.AvgPool2d` or `nn.AdaptiveAvgPool2d`: linear and the same for every column.

    Args:
        function: the layer.
    """

    indices = torch.empty(0, dtype=torch.int64)

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def step(self, site: Site, columns: list[Columns], accumulator: Accumulator) -> list[Columns]:  # noqa: ARG002
        """Average every column as if it were an image."""
        pushed = []
        for part in columns:
            B, C, _, K = part.flat.shape
            images = part.flat.permute(0, 3, 1, 2).reshape(B * K, C, *site.input.shape[2:])
            values = self.function(images).reshape(B, K, C, -1).permute(0, 2, 3, 1)
            pushed.append(Columns(values.contiguous(), part.start, part.compact))
        return pushed
