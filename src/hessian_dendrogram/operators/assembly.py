"""Exact matrices from products: an operator applied to the columns of the identity, a block of columns at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UserError
from ..progress import bar

_ASYMMETRY = {torch.float64: 1e-5, torch.float32: 1e-3}
"""Of the largest entry; arithmetic in float32 inside a float64 model stays below it."""


def assemble_by_products(
    product: Callable[[Tensor], Tensor],
    size: int,
    dtype: torch.dtype,
    device: torch.device,
    *,
    roundoff: float = 0.0,
    columns: int = 16,
    progress: bool = False,
) -> Tensor:
    """The matrix (A + Aᵀ) / 2 of products A V with the identity: shape (n, n), float64.

    Symmetric to the last bit, since floating-point addition commutes.

    Args:
        product: A V for V of shape (n, k).
        size: n.
        dtype: the floating-point type of the vectors.
        device: where they live.
        roundoff: the unit roundoff of coarser arithmetic inside the products.
        columns: products taken at a time. Larger blocks cost memory and were not faster on CPUs.
        progress: show a bar with the time left.
    """
    n = size
    A = torch.empty(n, n, dtype=torch.float64, device=device)
    with bar(n, "columns", "col", shown=progress) as shown:
        for start in range(0, n, columns):
            stop = min(start + columns, n)
            block = torch.zeros(n, stop - start, dtype=dtype, device=device)
            block[torch.arange(start, stop), torch.arange(stop - start)] = 1
            A[:, start:stop] = product(block)
            shown.update(stop - start)
    return checked_symmetric(A, max(_ASYMMETRY[dtype], 100 * roundoff))


def checked_symmetric(A: Tensor, tolerance: float) -> Tensor:
    """(A + Aᵀ) / 2 of a matrix that is finite, and symmetric but for rounding.

    Args:
        A: shape (n, n), assembled from products.
        tolerance: how much entries may differ from those across the diagonal, relative to the largest.

    Raises:
        UserError: an entry is not finite, or the matrix is not symmetric.
    """
    largest = check_finite(A)
    if largest > 0:
        skew = max(float((A[rows] - A[:, rows].T).abs().max()) for rows in torch.arange(len(A)).split(1024))
        if skew > tolerance * largest:
            raise UserError(
                f"the products are not those of a symmetric matrix: entries differ by up to {skew:.2g} from those "
                f"across the diagonal, where the largest is {largest:.3g}; the gradient is not that of a loss "
                "(padding_idx, one that is stopped or reversed)"
            )
    return (A + A.T).div_(2)


def check_finite(A: Tensor) -> float:
    """The largest magnitude of a matrix whose entries are all finite."""
    largest = max(float(rows.abs().max()) for rows in A.split(1024))
    if not math.isfinite(largest):
        raise UserError(
            "the curvature matrix has entries that are not finite; look for overflow in the loss, or a norm or a root "
            "at zero"
        )
    return largest
