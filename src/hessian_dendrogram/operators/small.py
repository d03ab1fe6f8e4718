"""Operators that come from no model: a matrix that is known, and any function that multiplies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from ..errors import UserError
from ..layout import Layout
from .operator import CurvatureOperator


class MatrixOperator(CurvatureOperator):
    """A symmetric matrix that is known entry by entry.

    Args:
        matrix: shape (n, n), of real floating-point numbers.
        layout: which named parameter owns each index; default one tensor `"matrix"` of shape (n,).

    Raises:
        UserError: it is not square, not symmetric, not finite, or the layout has another size.
    """

    def __init__(self, matrix: Tensor, layout: Layout | None = None) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.is_floating_point():
            raise UserError(f"a matrix operator needs real numbers of shape (n, n), got {tuple(matrix.shape)}")
        if not torch.equal(matrix, matrix.T):  # NaN is not equal to itself
            raise UserError("a matrix operator needs a symmetric matrix of finite numbers; take (A + Aᵀ) / 2")
        self.matrix = matrix.detach()
        self.dtype, self.device = matrix.dtype, matrix.device
        self.layout = layout or Layout(("matrix",), ((len(matrix),),))
        if self.layout.size != len(matrix):
            raise UserError(f"the layout has {self.layout.size} parameters, the matrix {len(matrix)} rows")

    def _products(self, V: Tensor) -> Tensor:
        return self.matrix @ V

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same matrix in another floating-point type."""
        return self if dtype == self.dtype else type(self)(self.matrix.to(dtype), self.layout)

    def describe(self) -> dict[str, object]:
        """That it is a matrix, and of what type."""
        return {"operator": "matrix", "dtype": str(self.dtype).removeprefix("torch.")}


class FunctionOperator(CurvatureOperator):
    """A symmetric matrix A by a function that multiplies with it.

    Args:
        product: A V for V of shape (n, k), in the type of V.
        size: n.
        dtype: floating-point type of the vectors.
        device: where they live.
        layout: which named parameter owns each index; default one tensor `"function"` of shape (n,).
    """

    def __init__(
        self,
        product: Callable[[Tensor], Tensor],
        size: int,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        layout: Layout | None = None,
    ) -> None:
        self.product, self.dtype, self.device = product, dtype, torch.device(device)
        self.layout = layout or Layout(("function",), ((size,),))
        if self.layout.size != size:
            raise UserError(f"the layout has {self.layout.size} parameters, the size is {size}")

    def _products(self, V: Tensor) -> Tensor:
        return self.product(V)

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same function, given vectors of another floating-point type."""
        if dtype == self.dtype:
            return self
        return type(self)(self.product, self.shape[0], dtype=dtype, device=self.device, layout=self.layout)

    def describe(self) -> dict[str, object]:
        """That it is a function, and of what type its vectors are."""
        return {"operator": "function", "dtype": str(self.dtype).removeprefix("torch.")}
