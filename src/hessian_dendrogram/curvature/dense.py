"""Exact matrices, in one of two ways, and the choice between them.

*Layerwise*: one pass over the samples through a chain of layers (see `layers`). *Products*: the operator applied to
the columns of the identity, a block of columns at a time; it serves every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from .layers.accumulator import Accumulator
from .layers.chain import Chain, NotAChainError, find_chain

if TYPE_CHECKING:
    from .hessian import Hessian
    from .operator import CurvatureOperator

AssemblyMethod = Literal["layerwise", "products"]

MEMORY_BUDGET = 256 * 2**20
"""Bytes: enough for full speed, small enough to stay near the processor's caches (docs/performance.md)."""


@dataclass(frozen=True)
class Plan:
    """How a matrix is assembled, and why.

    Attributes:
        method: the way.
        reason: in words.
        operations: floating-point operations per sample that were counted for each way.
        chain: the layers, where the layerwise way is possible.
        bytes_per_sample: memory that the layerwise way needs for one sample.
    """

    method: AssemblyMethod
    reason: str
    operations: dict[str, int]
    chain: Chain | None = None
    bytes_per_sample: int = 0


def plan_assembly(hessian: Hessian) -> Plan:
    """Choose the way that counts fewer operations for a sample, among those that there are."""
    inputs, targets, _ = next(iter(hessian.weighted_batches()))
    if not isinstance(inputs, Tensor):
        return Plan("products", "the model takes several inputs", {})
    inputs, targets = inputs[:2], targets[:2]
    try:
        chain = find_chain(hessian.model, hessian.layout)
        with torch.no_grad():
            ours, theirs = chain.forward(inputs), hessian.model(inputs)
        if ours.shape != theirs.shape or not torch.allclose(ours, theirs):
            raise NotAChainError("its layers one after another give another output")
        with FlopCounterMode(display=False) as counter:
            accumulator = Accumulator(hessian.shape[0], hessian.device)
            needed = chain.propagate(inputs, lambda output: hessian.loss(output, targets), accumulator)
            accumulator.finish(chain.indices)
    except NotAChainError as error:
        return Plan("products", f"no layerwise rule: {error}", {})
    layerwise, needed = counter.get_total_flops() // len(targets), needed // len(targets)
    with FlopCounterMode(display=False) as counter:
        hessian.product_of_batch((inputs, targets), torch.zeros(hessian.shape[0], 1).to(inputs))
    operations = {"layerwise": layerwise, "products": counter.get_total_flops() * hessian.shape[0] // len(targets)}
    cheaper: AssemblyMethod = "products" if operations["products"] < layerwise else "layerwise"
    return Plan(cheaper, "fewer operations counted", operations, chain, needed)


def assemble_layerwise(
    hessian: Hessian, chain: Chain, bytes_per_sample: int, *, memory_budget: int, progress: bool
) -> Tensor:
    """The matrix by layerwise propagation: shape (n, n), float64, symmetric to the last bit.

    Args:
        hessian: whose model is the chain.
        chain: its layers.
        bytes_per_sample: memory that the columns of one sample need at once.
        memory_budget: bytes for the columns of one pass and for rows that wait to be multiplied, half each.
        progress: show a bar with the time left.
    """
    chunk = max(1, memory_budget // 2 // max(1, bytes_per_sample))
    accumulator = Accumulator(hessian.shape[0], hessian.device, memory_budget // 2)
    with tqdm(
        total=hessian.num_samples, desc="samples", unit="sample", leave=False, disable=None if progress else True
    ) as bar:
        for inputs, targets, share in hessian.weighted_batches(chunk):
            assert isinstance(inputs, Tensor)
            chain.propagate(inputs, lambda output, t=targets, s=share: hessian.loss(output, t) * s, accumulator)  # type: ignore[misc]
            bar.update(len(targets))
    return accumulator.finish(chain.indices)


def assemble_by_products(operator: CurvatureOperator, *, columns: int = 16, progress: bool = False) -> Tensor:
    """The matrix (A + Aᵀ) / 2 of an operator's products with the identity: shape (n, n), float64.

    Symmetric to the last bit, since floating-point addition commutes.

    Args:
        operator: the matrix by its products.
        columns: products taken at a time. Larger blocks cost memory and were not faster on CPUs.
        progress: show a bar with the time left.
    """
    n = operator.shape[0]
    A = torch.empty(n, n, dtype=torch.float64, device=operator.device)
    with tqdm(total=n, desc="columns", unit="col", leave=False, disable=None if progress else True) as bar:
        for start in range(0, n, columns):
            stop = min(start + columns, n)
            block = torch.zeros(n, stop - start, dtype=operator.dtype, device=operator.device)
            block[torch.arange(start, stop), torch.arange(stop - start)] = 1
            A[:, start:stop] = operator.matmat(block)
            bar.update(stop - start)
    return (A + A.T).div_(2)
