"""The basis of a block Krylov space: what one step of block Lanczos with full reorthogonalisation does.

With an orthonormal basis V, the projected matrix T = Vᵀ A V and the next block Q with its coupling B,

    A V = V T + Q B,

so that the Ritz pair (θ, V s) with T s = θ s has the residual ‖A V s - θ V s‖ = ‖B s‖. A block makes the
orthogonalisation a matrix product, and finds multiplicities up to its size.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..operators.operator import CurvatureOperator

ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}
"""Of a product, relative to the norm."""

LARGEST_ENTRY = 1e140  # entry of a product; its square neither overflows, nor vanishes that of its inverse
_SAFE = 20.0  # the loss of orthogonality that a plain QR may cause, as a factor


def strips(rows: Tensor) -> tuple[Tensor, ...]:
    """Some columns of all rows at a time, as views: to multiply from the left in place."""
    return torch.split(rows, 4096, dim=1)


class ProductError(Exception):
    """The operator raised, or gave numbers that are not finite."""


class KrylovBasis:
    """A growing orthonormal basis V, the projected matrix T, and the next block Q with its coupling B.

    Basis vectors are rows, so that taking one in writes one stretch of memory, and memory is used only as it fills.
    The coupling B has entries for the last columns of V alone, those from `coupled` on. The Ritz vectors that a restart
    has kept have residuals that no block holds any more after `start`: their norms are in `locked`, zero before it.
    Combinations of those vectors get the root of the summed squares, as if these residuals were orthogonal: an
    estimate.

    Args:
        operator: A.
        capacity: vectors that V can hold.
        seed: of random vectors.
    """

    def __init__(self, operator: CurvatureOperator, capacity: int, seed: int) -> None:
        self.operator, self.capacity, self.seed = operator, capacity, seed
        self.generator = torch.Generator().manual_seed(seed)
        self._memory = np.empty((capacity if operator.device.type == "cpu" else 0, operator.shape[0]))
        self.all_rows = (
            torch.from_numpy(self._memory)
            if len(self._memory)
            else torch.empty(capacity, operator.shape[0], dtype=torch.float64, device=operator.device)
        )
        self.projected = torch.zeros(capacity, capacity, dtype=torch.float64, device=operator.device)
        self.size = self.coupled = self.products = self.restarts = 0
        self.norm = 0.0  # of the largest column of A V: ‖A‖ from below
        own = ROUNDING.get(operator.dtype, 10 * torch.finfo(operator.dtype).eps)
        self.rounding = max(own, 10 * operator.roundoff)
        self.B = self.locked = self.all_rows.new_zeros(0)

    @property
    def rows(self) -> Tensor:
        """The basis: shape (size, n)."""
        return self.all_rows[: self.size]

    @property
    def projection(self) -> Tensor:
        """The projected matrix: shape (size, size)."""
        return self.projected[: self.size, : self.size]

    @property
    def is_full(self) -> bool:
        """Whether the next block has no room, or there is none since the basis spans the whole space."""
        return self.size + len(self.Q) > self.capacity or not len(self.Q)

    @property
    def is_reduced(self) -> bool:
        """Whether there was a restart."""
        return len(self.locked) > 0

    def start(self, count: int) -> None:
        """Go on from random vectors that are orthogonal to the basis, which has just been reduced, or is empty."""
        self.locked = torch.hypot(self.locked, torch.linalg.vector_norm(self.B, dim=0))
        self.Q, _ = self._orthonormal(self.all_rows.new_zeros(count, self.all_rows.shape[1]))
        self.B, self.coupled = self.all_rows.new_zeros(len(self.Q), 0), self.size

    def start_at(self, Q: Tensor) -> None:
        """Begin with given orthonormal rows, while the basis is empty."""
        self.Q, self.B, self.coupled = Q, self.all_rows.new_zeros(len(Q), 0), 0

    def expand(self) -> None:
        """Multiply the next block, and take it into the basis."""
        self.take(self.product(self.operator, self.Q))

    def take(self, W: Tensor) -> None:
        """Take the next block Q into the basis, given W = A Q as rows, which is overwritten."""
        Q, B = self.Q, self.B
        first, self.size = self.size, self.size + len(Q)
        self.norm = max(self.norm, float(torch.linalg.vector_norm(W, dim=1).max()))
        largest = float(W.abs().max())
        if not (self.norm > 1 / LARGEST_ENTRY or largest == 0) or largest > LARGEST_ENTRY:
            raise UserError(
                f"a product has entries up to {largest:.3g}, whose squares leave the range of float64; scale the loss "
                f"to bring them between {1 / LARGEST_ENTRY:g} and {LARGEST_ENTRY:g}"
            )
        W -= B @ self.all_rows[self.coupled : first]
        own = W @ Q.T
        self._check_symmetry(own - own.T)
        W -= own @ Q
        before = float(torch.linalg.vector_norm(W, dim=1).max())
        self.all_rows[first : self.size] = Q
        H = W @ self.rows.T  # what rounding has left, and the coupling to vectors that were locked
        W -= H @ self.rows
        self._check_symmetry(H)
        H[:, self.coupled : first] += B
        H[:, first:] += own
        H[:, first:] = (H[:, first:] + H[:, first:].T) / 2
        self.projection[first:] = H
        self.projection[:, first:] = H.T
        self.Q, self.B = self._next(W, before)
        self.coupled = first

    def product(self, operator: CurvatureOperator, rows: Tensor) -> Tensor:
        """A times each row, in float64.

        Raises:
            ProductError: the operator raised, or the product is not a real, finite matrix of the same shape.
        """
        try:
            W = operator.matmat(rows.T.to(operator.dtype))
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise ProductError(f"the operator raised {type(error).__name__}: {lines[0]}") from error
        if not isinstance(W, Tensor) or W.shape != rows.T.shape or W.is_complex():
            found = f"{W.dtype} of shape {tuple(W.shape)}" if isinstance(W, Tensor) else type(W).__name__
            raise ProductError(f"a product must be a real tensor of shape {tuple(rows.T.shape)}, got {found}")
        W = W.T.to(torch.float64, memory_format=torch.contiguous_format)
        if not torch.isfinite(W).all():
            raise ProductError("a product with the operator is not finite; look for overflow in the loss")
        self.products += len(rows)
        return W

    def ritz(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values ascending, shape (size,), their vectors in the basis as columns, and their residual norms."""
        values, S = torch.linalg.eigh(self.projection)
        residuals = torch.linalg.vector_norm(self.B @ S[self.coupled :], dim=0)
        return values, S, torch.hypot(residuals, self._locked_residuals(S))

    def restart(self, S: Tensor, values: Tensor) -> None:
        """Reduce the basis to the Ritz vectors V S; the next block stays."""
        k = S.shape[1]
        for columns in strips(self.rows):
            columns[:k] = S.T @ columns
        self.locked = self._locked_residuals(S)
        self.B, self.coupled = self.B @ S[self.coupled :], 0
        self.size = k
        self.projection[:] = torch.diag(values)

    def shrink(self) -> None:
        """Give the memory back that the basis does not use."""
        self.projected = self.projection.clone()
        if len(self._memory):
            shape, self.all_rows = self.rows.shape, self.all_rows.new_empty(0)
            self._memory.resize(shape, refcheck=False)  # in place, where a copy would exceed the budget
            self.all_rows = torch.from_numpy(self._memory)
        else:
            self.all_rows = self.rows.clone()

    def _locked_residuals(self, S: Tensor) -> Tensor:
        return (self.locked.square() @ S[: len(self.locked)].square()).sqrt()

    def _check_symmetry(self, difference: Tensor) -> None:
        largest = float(difference.abs().max()) if difference.numel() else 0.0
        if largest > math.sqrt(self.rounding) * self.norm + float(self.locked.sum()):
            raise UserError(
                f"the operator is not symmetric: uᵀ(A v) and vᵀ(A u) differ by {largest:.3g}, where ‖A v‖ is up to "
                f"{self.norm:.3g}; what torch takes for the gradient is then none of the loss, as that of an embedding "
                "whose padding_idx is in the data"
            )

    def _next(self, W: Tensor, before: float) -> tuple[Tensor, Tensor]:
        """Q and R as `_orthonormal` gives them; a plain QR where W, orthogonal to the basis but for rounding, is well
        conditioned against its norm before it was made orthogonal.
        """
        if self.size + len(W) <= W.shape[1] and before > _SAFE * self.norm * self.rounding:
            Q, R = torch.linalg.qr(W.T)
            if float(torch.linalg.svdvals(R)[-1]) > before / _SAFE:
                return Q.T.contiguous(), R
        return self._orthonormal(W)

    def _orthonormal(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """Q with orthonormal rows that are orthogonal to the basis, and R with Wᵀ = Qᵀ R but for rounding.

        Directions of W that are nothing but rounding are replaced by random ones, with zeros in R.
        """
        count = min(len(W), W.shape[1] - self.size)
        W = W - (W @ self.rows.T) @ self.rows
        U, singular, Zt = torch.linalg.svd(W.T, full_matrices=False)
        rank = min(count, int((singular > self.rounding * self.norm).sum()))
        Q, R = U.T[:rank], singular[:rank, None] * Zt[:rank]
        if rank < count:
            random = torch.randn(count - rank, W.shape[1], dtype=torch.float64, generator=self.generator)
            Q = torch.cat([Q, random.to(W)])
            R = torch.cat([R, R.new_zeros(count - rank, R.shape[1])])
        for _ in range(2 if count else 0):
            Q = Q - (Q @ self.rows.T) @ self.rows
            orthonormal, upper = torch.linalg.qr(Q.T)
            Q = (orthonormal * torch.where(upper.diagonal() < 0, -1.0, 1.0).to(Q)).T
        return Q.contiguous(), R
