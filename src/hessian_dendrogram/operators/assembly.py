"""Exact matrices from products: an operator applied to the columns of the identity, a block of columns at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
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


def assemble_from_tensors(
    product_from: Callable[[int], Callable[[Tensor], Tensor]],
    offsets: NDArray[np.int64],
    dtype: torch.dtype,
    device: torch.device,
    *,
    roundoff: float = 0.0,
    columns: int = 16,
    progress: bool = False,
) -> Tensor:
    """The same matrix from the columns of each tensor in the rows of that tensor and of those behind it.

    The rest is what lies across the diagonal. Where tensors are in the order in which a model uses them, what comes
    before a tensor has neither tangents nor slopes to carry: a column of the last layer costs the last layer.

    Args:
        product_from: for the number of a tensor, the products with the block of the matrix from that tensor on.
        offsets: where each tensor starts, and n: shape (tensors + 1,).
        dtype: the floating-point type of the vectors.
        device: where they live.
        roundoff: the unit roundoff of coarser arithmetic inside the products.
        columns: products taken at a time.
        progress: show a bar with the time left.

    Raises:
        UserError: an entry is not finite, or products with a random vector of each tensor are not the matrix's.
    """
    n = int(offsets[-1])
    A = torch.zeros(n, n, dtype=torch.float64, device=device)
    firsts = [0]  # tensors smaller than a block of columns go together with the next
    for tensor in range(1, len(offsets) - 1):
        if offsets[tensor] - offsets[firsts[-1]] >= columns:
            firsts.append(tensor)
    starts = [int(offsets[first]) for first in firsts] + [n]
    with bar(n, "columns", "col", shown=progress) as shown:
        for first, (start, end) in zip(firsts, pairwise(starts), strict=True):
            product = product_from(first)
            for left in range(start, end, columns):
                right = min(left + columns, end)
                block = torch.zeros(n - start, right - left, dtype=dtype, device=device)
                block[torch.arange(left - start, right - start), torch.arange(right - left)] = 1
                A[start:, left:right] = product(block)
                shown.update(right - left)
            square = A[start:end, start:end]
            A[start:end, start:end] = (square + square.T) / 2
            A[start:end, end:] = A[end:, start:end].T
    largest, tolerance = check_finite(A), max(_ASYMMETRY[dtype], 100 * roundoff)
    signs = torch.randint(2, (n,), generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(device, dtype)
    product = product_from(0)
    for start, end in pairwise(starts):
        v = torch.zeros(n, 1, dtype=dtype, device=device)
        v[start:end, 0] = signs[start:end]
        skew = float((product(v).double() - A @ v.double()).abs().max())
        if skew > tolerance * largest * math.sqrt(end - start):
            raise _asymmetric(skew, largest)
    return A


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
            raise _asymmetric(skew, largest)
    return (A + A.T).div_(2)


def _asymmetric(skew: float, largest: float) -> UserError:
    return UserError(
        f"the products are not those of a symmetric matrix: entries differ by up to {skew:.2g} from those across the "
        f"diagonal, where the largest is {largest:.3g}; the gradient is not that of a loss (padding_idx, one that is "
        "stopped or reversed)"
    )


def check_finite(A: Tensor) -> float:
    """The largest magnitude of a matrix whose entries are all finite."""
    largest = max(float(rows.abs().max()) for rows in A.split(1024))
    if not math.isfinite(largest):
        raise UserError(
            "the curvature matrix has entries that are not finite; look for overflow in the loss, or a norm or a root "
            "at zero"
        )
    return largest
