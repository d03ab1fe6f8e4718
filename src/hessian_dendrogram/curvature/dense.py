"""Exact matrices, in one of two ways, and the choice between them.

*Layerwise*: one pass over the samples through a chain of layers (see `layers`). *Products*: the operator applied to
the columns of the identity, a block of columns at a time; it serves every model.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import UserError
from .layers.accumulator import Accumulator
from .layers.chain import Chain, NotAChainError, find_chain
from .layers.cost import cost_of

if TYPE_CHECKING:
    from .hessian import Hessian
    from .operator import CurvatureOperator

AssemblyMethod = Literal["layerwise", "products"]

MEMORY_BUDGET = 256 * 2**20
"""Bytes: enough for full speed, small enough to stay near the processor's caches (docs/performance.md)."""

_ASYMMETRY = {torch.float64: 1e-5, torch.float32: 1e-3}
"""Of the largest entry; arithmetic in float32 inside a float64 model stays below it."""


@dataclass(frozen=True)
class Plan:
    """How a matrix is assembled, and why.

    Attributes:
        method: the way.
        reason: in words.
        operations: floating-point operations per sample of each way, from the shapes of the layers.
        chain: the layers, where the layerwise way is possible.
        bytes_per_sample: memory that the layerwise way needs for one sample.
    """

    method: AssemblyMethod
    reason: str
    operations: dict[str, int]
    chain: Chain | None = None
    bytes_per_sample: int = 0


def plan_assembly(hessian: Hessian) -> Plan:
    """Choose the way that takes fewer operations for a sample, among those that there are."""
    inputs, targets, _ = next(iter(hessian.weighted_batches()))
    if not isinstance(inputs, Tensor):
        return Plan("products", "the model takes several inputs", {})
    inputs, targets = inputs[:2].detach(), targets[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chain = find_chain(hessian.model, hessian.layout)
            with torch.no_grad():
                ours, theirs = chain.forward(inputs), hessian.model(inputs)
            if ours.shape != theirs.shape or not torch.allclose(ours, theirs):
                raise NotAChainError("its layers one after another give another output")
            if theirs.ndim < 2 or len(theirs) != len(inputs):
                raise NotAChainError(f"its output has the shape {tuple(theirs.shape)}, not one of (samples, outputs)")
            _check_loss(hessian, inputs, targets)
            cost = cost_of(chain, inputs)
            operations = {"layerwise": cost.layerwise, "products": cost.product * hessian.shape[0]}
            bytes_per_sample = cost.numbers * hessian.dtype.itemsize
            if bytes_per_sample > max(MEMORY_BUDGET, 8 * hessian.shape[0] ** 2):
                size = bytes_per_sample / 2**30
                return Plan("products", f"layer by layer one sample takes {size:.1f} GiB", operations)
            if operations["products"] < operations["layerwise"]:
                return Plan("products", "fewer operations", operations, chain, bytes_per_sample)
            check_chain(hessian, chain)
    except NotAChainError as error:
        return Plan("products", f"no layerwise rule: {error}", {})
    except Exception as error:
        return Plan("products", f"the layerwise way failed: {type(error).__name__}: {_first_line(error)}", {})
    return Plan("layerwise", "fewer operations", operations, chain, bytes_per_sample)


def _check_loss(hessian: Hessian, inputs: Tensor, targets: Tensor) -> None:
    """A loss that looks at more than outputs and targets, such as what the forward left behind, is not of the chain.

    Raises:
        NotAChainError: it does.
    """
    with torch.no_grad():
        outputs = hessian.model(inputs)
    if hessian.loss_sees_parameters(outputs, targets):
        raise NotAChainError("the loss depends on the parameters not only through the outputs")
    value = hessian.output_loss(outputs, targets)
    with torch.no_grad():
        hessian.model(torch.zeros_like(inputs[:1]))
        again = hessian.output_loss(outputs, targets)
    if not torch.equal(value.detach(), again):
        raise NotAChainError("the loss depends on more than outputs and targets")


def check_chain(hessian: Hessian, chain: Chain) -> None:
    """Compare layerwise propagation with a product, on two samples.

    Raises:
        NotAChainError: they differ.
    """
    inputs, targets, _ = next(iter(hessian.weighted_batches(2)))
    assert isinstance(inputs, Tensor)
    accumulator = Accumulator(hessian.shape[0], hessian.device)
    chain.propagate(inputs, lambda output: hessian.output_loss(output, targets), accumulator)
    v = hessian.random_direction(seed=3)[:, None]
    ours = accumulator.finish(chain.indices) @ v.double()
    theirs = hessian.product_of_batch((inputs, targets), v).double()
    if not float((ours - theirs).norm()) <= hessian.roundoff**0.5 * float(ours.norm() + theirs.norm()):
        raise NotAChainError("its layers one after another give another second derivative")


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
            inputs = inputs.detach()
            with hessian.session():
                with torch.no_grad():
                    outputs = chain.forward(inputs)
                if hessian.loss_sees_parameters(outputs, targets):
                    raise NotAChainError("the loss depends on the parameters not only through the outputs")
                loss = partial(_share_of_loss, hessian, targets, share)
                chain.propagate(inputs, loss, accumulator)
            bar.update(len(targets))
    matrix = accumulator.finish(chain.indices)
    _check_finite(matrix)
    return matrix


def _share_of_loss(hessian: Hessian, targets: Tensor, share: float, outputs: Tensor) -> Tensor:
    return hessian.output_loss(outputs, targets) * share


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
    return checked_symmetric(A, max(_ASYMMETRY[operator.dtype], 100 * operator.roundoff))


def checked_symmetric(A: Tensor, tolerance: float) -> Tensor:
    """(A + Aᵀ) / 2 of a matrix that is finite, and symmetric but for rounding.

    Args:
        A: shape (n, n), assembled from products.
        tolerance: how much entries may differ from those across the diagonal, relative to the largest.

    Raises:
        UserError: an entry is not finite, or the matrix is not symmetric.
    """
    largest = _check_finite(A)
    if largest > 0:
        skew = max(float((A[rows] - A[:, rows].T).abs().max()) for rows in torch.arange(len(A)).split(1024))
        if skew > tolerance * largest:
            raise UserError(
                f"the products are not those of a symmetric matrix: entries differ by up to {skew:.2g} from those "
                f"across the diagonal, where the largest is {largest:.3g}; the gradient is not that of a loss "
                "(padding_idx, one that is stopped or reversed)"
            )
    return (A + A.T).div_(2)


def _check_finite(A: Tensor) -> float:
    """The largest magnitude of a matrix whose entries are all finite."""
    largest = max(float(rows.abs().max()) for rows in A.split(1024))
    if not math.isfinite(largest):
        raise UserError(
            "the curvature matrix has entries that are not finite; look for overflow in the loss, or a norm or a root "
            "at zero"
        )
    return largest


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
