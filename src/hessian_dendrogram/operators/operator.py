"""CurvatureOperator: a symmetric matrix over a model's parameters, known by its products with vectors.

Longer than other files: blocks and sums of operators are made by methods of each, and are operators themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..layout import Layout
from ..results.html import card
from .assembly import assemble_by_products

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse.linalg import LinearOperator


class CurvatureOperator(ABC):
    """A symmetric n x n matrix A.

    A subclass sets `layout`, `dtype` and `device`, and defines `_products` and `with_dtype`.

    Attributes:
        layout: which named parameter owns each of the n indices.
        dtype: the floating-point type the products are computed in.
        device: where vectors live.
        num_samples: how many samples the matrix is a mean over; 1 for a matrix of another kind.
        roundoff: the unit roundoff of arithmetic inside that is coarser than `dtype`, where it is known.
        assembled_by: the way `to_dense` last took.
    """

    layout: Layout
    dtype: torch.dtype
    device: torch.device
    num_samples: int = 1
    roundoff: float = 0.0
    assembled_by: str | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.layout.size, self.layout.size

    @abstractmethod
    def _products(self, V: Tensor) -> Tensor:
        """A V for V of shape (n, k), already checked."""

    @abstractmethod
    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same operator with products computed in another floating-point type."""

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """What the operator is and how it computes, as JSON-like values for a spectrum's provenance."""

    def for_error_check(self) -> CurvatureOperator:
        """An operator whose assembly has the same error, cheap enough to check by products; here itself."""
        return self

    def arithmetic_error(self, seed: int = 0) -> float:  # noqa: ARG002
        """A bound on how far products in float64 are from those of the true matrix, in the spectral norm; here 0."""
        return 0.0

    def matvec(self, v: Tensor) -> Tensor:
        """A v: shape (n,) to (n,).

        Raises:
            UserError: wrong shape, dtype or device.
        """
        self._check(v, 1)
        return self._products(v[:, None])[:, 0]

    def matmat(self, V: Tensor) -> Tensor:
        """A V: shape (n, k) to (n, k).

        Raises:
            UserError: wrong shape, dtype or device.
        """
        self._check(V, 2)
        return self._products(V) if V.shape[1] else V.clone()

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matvec(other) if other.ndim == 1 else self.matmat(other)

    def to_dense(self, *, progress: bool = False) -> Tensor:
        """The whole matrix, symmetric to the last bit: shape (n, n), in float64 whatever the products are computed in.

        Args:
            progress: show a bar with the time left.
        """
        self.assembled_by = "products"
        return assemble_by_products(
            self.matmat,
            self.shape[0],
            self.dtype,
            self.device,
            roundoff=self.roundoff,
            columns=self.columns_at_once(),
            progress=progress,
        )

    def columns_at_once(self) -> int:
        """How many products of a whole matrix are best taken at once."""
        return 16

    def __repr__(self) -> str:
        known = self.describe()
        samples = f", {known['samples']:,} samples" if isinstance(known.get("samples"), int) else ""
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{type(self).__name__}({self.shape[0]:,} parameters{samples}, {dtype}, {self.device})"

    def _repr_html_(self) -> str:
        return card(type(self).__name__, {"": self})

    def restricted(self, to: str | Sequence[str] | ArrayLike) -> CurvatureOperator:
        """The diagonal block of some parameters.

        Args:
            to: a name pattern (`"conv1.*"`), several, or flat indices.

        Raises:
            UserError: a pattern matches nothing, or an index is outside the layout.
        """
        return RestrictedOperator(self, self.layout.group({"": to})[""])

    def __add__(self, other: CurvatureOperator) -> CurvatureOperator:
        """The sum of two operators over the same parameters."""
        return SumOperator([(1.0, self), (1.0, other)]) if isinstance(other, CurvatureOperator) else NotImplemented

    def __sub__(self, other: CurvatureOperator) -> CurvatureOperator:
        return SumOperator([(1.0, self), (-1.0, other)]) if isinstance(other, CurvatureOperator) else NotImplemented

    def __mul__(self, factor: float) -> CurvatureOperator:
        """A multiple of an operator."""
        return SumOperator([(float(factor), self)]) if isinstance(factor, int | float) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> CurvatureOperator:
        return self * -1.0

    def to_scipy(self) -> LinearOperator:
        """A SciPy `LinearOperator` on NumPy arrays of the same precision."""
        from scipy.sparse.linalg import LinearOperator  # takes a third of a second to import

        def product(V: NDArray[np.floating]) -> NDArray[np.floating]:
            V = V if V.ndim == 2 else V[:, None]
            vectors = torch.as_tensor(np.ascontiguousarray(V)).to(self.device, self.dtype)
            return self.matmat(vectors).cpu().numpy()

        numpy_dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return LinearOperator(
            self.shape,
            matvec=lambda v: product(v.ravel())[:, 0],
            matmat=product,
            rmatvec=lambda v: product(v.ravel())[:, 0],
            dtype=numpy_dtype,
        )

    def _check(self, vectors: Tensor, ndim: int) -> None:
        wanted = "(n,)" if ndim == 1 else "(n, k)"
        if vectors.ndim != ndim or vectors.shape[0] != self.shape[0]:
            raise UserError(f"expected shape {wanted} with n = {self.shape[0]}, got {tuple(vectors.shape)}")
        if vectors.dtype != self.dtype or vectors.device.type != self.device.type:
            raise UserError(
                f"expected {self.dtype} on {self.device}, got {vectors.dtype} on {vectors.device}; convert the vectors"
            )


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


class SumOperator(CurvatureOperator):
    """Σ_i c_i A_i of operators over the same parameters; `a + b`, `a - b` and `2 * a` make one.

    Args:
        terms: a factor and an operator each; sums among them are taken apart.

    Raises:
        UserError: a factor is not finite, or the parameters, types or devices differ.
    """

    def __init__(self, terms: Sequence[tuple[float, CurvatureOperator]]) -> None:
        self.terms: list[tuple[float, CurvatureOperator]] = []
        for factor, operator in terms:
            inner = operator.terms if isinstance(operator, SumOperator) else [(1.0, operator)]
            self.terms += [(factor * other, one) for other, one in inner]
        first = self.terms[0][1]
        for factor, operator in self.terms:
            if not math.isfinite(factor):
                raise UserError(f"factors of operators must be finite, got {factor}")
            if (operator.layout.names, operator.layout.shapes) != (first.layout.names, first.layout.shapes):
                raise UserError(f"operators over other parameters cannot be added: {first!r} and {operator!r}")
            if operator.dtype != first.dtype or operator.device.type != first.device.type:
                raise UserError(f"operators of another type or device cannot be added: {first!r} and {operator!r}")
        self.layout, self.dtype, self.device = first.layout, first.dtype, first.device
        self.num_samples = max(operator.num_samples for _, operator in self.terms)
        self.roundoff = max(operator.roundoff for _, operator in self.terms)

    def _products(self, V: Tensor) -> Tensor:
        total = torch.zeros(V.shape, dtype=torch.float64, device=V.device)
        for factor, operator in self.terms:
            total += factor * operator.matmat(V)
        return total.to(self.dtype)

    def with_dtype(self, dtype: torch.dtype) -> Self:
        """The same sum with products in another floating-point type."""
        if dtype == self.dtype:
            return self
        return type(self)([(factor, operator.with_dtype(dtype)) for factor, operator in self.terms])

    def for_error_check(self) -> CurvatureOperator:
        """The sum of what each term gives."""
        return type(self)([(factor, operator.for_error_check()) for factor, operator in self.terms])

    def arithmetic_error(self, seed: int = 0) -> float:
        """The sum of those of the terms."""
        return sum(abs(factor) * operator.arithmetic_error(seed) for factor, operator in self.terms)

    def columns_at_once(self) -> int:
        """As many as every term can take."""
        return min(operator.columns_at_once() for _, operator in self.terms)

    def to_dense(self, *, progress: bool = False) -> Tensor:
        """The whole matrix, each term assembled in its own way: shape (n, n), float64."""
        total: Tensor | None = None
        for factor, operator in self.terms:
            part = operator.to_dense(progress=progress).mul_(factor)
            total = part if total is None else total.add_(part)
        self.assembled_by = " and ".join(dict.fromkeys(str(operator.assembled_by) for _, operator in self.terms))
        assert total is not None
        return total

    def describe(self) -> dict[str, object]:
        """Factors and operators, each with what it says of itself."""
        terms = [{"factor": factor, **operator.describe()} for factor, operator in self.terms]
        return {
            "operator": " + ".join(f"{term['factor']:g} {term['operator']}" for term in terms),
            "samples": self.num_samples,
            "dtype": str(self.dtype).removeprefix("torch."),
            "terms": terms,
        }
