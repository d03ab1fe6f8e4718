"""What layerwise propagation costs, from shapes alone: floating-point operations and memory of one sample.

Nothing is formed, so that a network with a large output (a dense prediction, whose second derivative at the output
alone is a matrix of outputs squared) is known to be too large before memory is asked for. Multiplications and additions
count one each, as torch's own counter has them; elementwise work counts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from .accumulator import BLOCK
from .chain import Chain, Rule
from .convolution import TOEPLITZ_LIMIT, ConvolutionRule
from .linear import LinearRule
from .normalisation import BatchNormRule
from .pointwise import PointwiseRule
from .pooling import AveragePoolRule, MaxPoolRule


@dataclass(frozen=True)
class Cost:
    """Of one sample.

    Attributes:
        layerwise: operations of one sample's pass through the chain.
        product: operations of one Hessian-vector product.
        numbers: how many numbers layerwise propagation holds at once.
    """

    layerwise: int
    product: int
    numbers: int


@dataclass(frozen=True)
class _Part:
    """A group of columns by its shape: C channels, S places, K columns of a channel (compact) or of all (dense)."""

    channels: int
    places: int
    columns: int
    compact: bool

    @property
    def numbers(self) -> int:
        return self.channels * self.places * self.columns

    @property
    def count(self) -> int:
        return self.columns * (self.channels if self.compact else 1)


def cost_of(chain: Chain, inputs: Tensor, *, inner: bool = True, output: bool = True) -> Cost:
    """The cost of one sample.

    Args:
        chain: the layers.
        inputs: one sample at least.
        inner: count the terms of second derivatives of layers.
        output: count the term at the output.
    """
    parts: list[_Part] = []
    layerwise = product = numbers = 0
    with torch.no_grad():
        z = inputs[:1]
        for link in chain.links:
            before, z = z, link.forward(z)
            forward = _forward_operations(link.rule, before.shape[1:], z.shape[1:])
            # z, the gradients of weight and input: each once, and twice as a tangent. No gradient of the first input.
            # Without second derivatives of layers: z as a tangent, and the gradients once.
            of_next, of_first = (9, 6) if inner else (4, 2)
            product += forward * (of_next if product else of_first)
            held = sum(part.numbers for part in parts) * getattr(link.rule, "kernel_entries", 1)
            operations, parts = _step(link.rule, before.shape[1:], z.shape[1:], parts, inner)
            layerwise += operations
            numbers = max(numbers, held + sum(part.numbers for part in parts))
    outputs = z[0].numel()
    operations, held = _output(outputs, parts) if output else (0, 0)
    return Cost(layerwise + operations, product, max(numbers, held))


def _forward_operations(rule: Rule, before: Sequence[int], after: Sequence[int]) -> int:
    if isinstance(rule, LinearRule):
        return 2 * prod(before) * prod(after)
    if isinstance(rule, ConvolutionRule):
        return 2 * prod(after) * rule.kernel_entries * before[0] // rule.module.groups
    return 0


def _step(
    rule: Rule, before: Sequence[int], after: Sequence[int], parts: list[_Part], inner: bool
) -> tuple[int, list[_Part]]:
    """Operations of one rule's step, and the columns of its output."""
    held = sum(part.numbers for part in parts)
    channels, places = after[0], prod(after[1:])
    own = len(rule.indices) // channels if len(rule.indices) else 0
    added = [_Part(channels, places, own, compact=True)] if own else []
    dense = [_Part(channels, places, part.count, compact=False) for part in parts]
    if isinstance(rule, LinearRule):
        return 2 * channels * held * (1 + (rule.has_weight and inner)), dense + added
    if isinstance(rule, ConvolutionRule):
        cross = 2 * channels // rule.module.groups * rule.kernel_entries * held if rule.has_weight and inner else 0
        return cross + sum(_convolved(rule, before, after, part) for part in parts), dense + added
    if isinstance(rule, BatchNormRule):
        return 2 * (rule.has_weight and inner) * sum(part.numbers for part in dense), dense + added
    if isinstance(rule, PointwiseRule):
        return 0 if rule.is_piecewise_linear or not inner else _diagonal(parts), parts
    if isinstance(rule, (MaxPoolRule, AveragePoolRule)):
        return 0, [_Part(part.channels, places, part.columns, part.compact) for part in parts]
    return 0, parts  # the columns keep the channels of the layer that they came from


def _convolved(rule: ConvolutionRule, before: Sequence[int], after: Sequence[int], part: _Part) -> int:
    outputs = 2 * prod(after) * part.columns
    if not part.compact:
        return outputs * rule.kernel_entries * before[0] // rule.module.groups
    if TOEPLITZ_LIMIT * rule.kernel_entries >= part.places:
        rows = (rule.module.kernel_size[0] - 1) * rule.module.dilation[0] + 1
        return outputs * before[0] * min(rows * before[2], part.places)
    return outputs * before[0] * rule.kernel_entries


def _diagonal(parts: list[_Part]) -> int:
    """Of Dᵀ diag(w) D, one triangle."""
    dense = sum(part.count for part in parts if not part.compact)
    entries = max((part.channels * part.places for part in parts), default=0)
    return _gram(entries, dense) + sum(2 * part.numbers * (part.columns + dense) for part in parts if part.compact)


def _output(outputs: int, parts: list[_Part]) -> tuple[int, int]:
    """Operations and numbers of Dᵀ A D at the output."""
    own = parts[-1].columns if parts and parts[-1].compact and parts[-1].places == 1 else 0
    P = sum(part.count for part in parts) - own * outputs * bool(own)
    last = 2 * outputs * own * P + outputs * (outputs + 1) * own**2
    return 2 * outputs**2 * P + _gram(outputs, P) + last, outputs * (2 * P + own) + outputs**2


def _gram(rows: int, columns: int) -> int:
    """Of Dᵀ D, below and on its diagonal blocks."""
    stops = [min(start + BLOCK, columns) for start in range(0, columns, BLOCK)]
    return sum(2 * rows * (stop - start) * stop for start, stop in zip(range(0, columns, BLOCK), stops, strict=True))
