"""CurvatureOperator: a symmetric matrix over a model's parameters, known by its products with vectors."""

from __future__ import annotations

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
