"""Exact matrices: an operator applied to the columns of the identity, a block of columns at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

if TYPE_CHECKING:
    from .operator import CurvatureOperator


def assemble(operator: CurvatureOperator, *, columns: int = 16, progress: bool = False) -> Tensor:
    """The matrix (A + Aᵀ) / 2 of an operator's products with the identity: shape (n, n).

    Symmetric to the last bit, since floating-point addition commutes.

    Args:
        operator: the matrix by its products.
        columns: products taken at a time. Larger blocks cost memory and were not faster on CPUs.
        progress: show a bar with the time left.
    """
    n = operator.shape[0]
    A = torch.empty(n, n, dtype=operator.dtype, device=operator.device)
    with tqdm(total=n, desc="columns", unit="col", leave=False, disable=None if progress else True) as bar:
        for start in range(0, n, columns):
            stop = min(start + columns, n)
            block = torch.zeros(n, stop - start, dtype=operator.dtype, device=operator.device)
            block[torch.arange(start, stop), torch.arange(stop - start)] = 1
            A[:, start:stop] = operator.matmat(block)
            bar.update(stop - start)
    return (A + A.T).div_(2)
