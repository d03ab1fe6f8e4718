"""A diagonal block of a curvature operator."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from .operator import CurvatureOperator


class RestrictedOperator(CurvatureOperator):
    """P A Pᵀ, with the projection P on some of the parameters: their own curvature, the others held where they are.

    Args:
        operator: A.
        indices: which parameters, ascending, shape (k,).

    Raises:
        UserError: there are none.
    """

    def __init__(self, operator: CurvatureOperator, indices: NDArray[np.int64]) -> None:
        if not len(indices):
            raise UserError("a restriction needs one parameter at least")
        self.whole, self.indices = operator, indices
        self.layout = operator.layout.restricted(indices)
        self.dtype, self.device = operator.dtype, operator.device
        self.num_samples, self.roundoff = operator.num_samples, operator.roundoff
        self._places = torch.from_numpy(indices).to(operator.device)

    def _products(self, V: Tensor) -> Tensor:
        whole = V.new_zeros(self.whole.shape[0], V.shape[1])
        whole[self._places] = V
        return self.whole.matmat(whole)[self._places]

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same block with products computed in another floating-point type."""
        return self if dtype == self.dtype else type(self)(self.whole.with_dtype(dtype), self.indices)

    def for_error_check(self) -> CurvatureOperator:
        """The block of what the whole operator gives."""
        checked = self.whole.for_error_check()
        return self if checked is self.whole else type(self)(checked, self.indices)

    def arithmetic_error(self, seed: int = 0) -> float:
        """That of the whole operator, which no block exceeds."""
        return self.whole.arithmetic_error(seed)

    def describe(self) -> dict[str, object]:
        """What the whole operator is, and how many of its parameters these are."""
        return {
            **self.whole.describe(),
            "restricted_to": list(self.layout.names),
            "restricted_from": self.whole.shape[0],
        }
