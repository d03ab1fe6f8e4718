"""The outermost eigenvalues and eigenvectors of an operator that is known by its products alone.

Block Lanczos with full reorthogonalisation and thick restarts (Golub & Underwood 1977; Wu & Simon 2000, SIAM J. Matrix
Anal. Appl. 22, 602). With an orthonormal basis V of a block Krylov space, the projected matrix T = Vᵀ A V and the next
block Q,

    A V = V T + Q B,

so that the Ritz pair (θ, V s) with T s = θ s has the residual ‖A V s - θ V s‖ = ‖B s‖. When the basis is full, the Ritz
vectors at both ends and some more are kept, and the iteration goes on from there. Blocks make the orthogonalisation a
matrix product, and find multiplicities up to their size.

What is proved, and what is experience: for a unit vector v, *some* eigenvalue lies within ‖A v - θ v‖ of θ, so each
reported value has a true one within its bound, whatever the iteration did. That no eigenvalue of a converged end is
missing is experience, not a theorem: a vector that is orthogonal to every start block would not be found. So once both
ends have converged, a random block in the complement of all that was found has to find nothing that belongs there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..curvature.operator import CurvatureOperator
from ..errors import UserError
from ..spectrum import Spectrum

MEMORY_BUDGET = 2 * 2**30
_PROBE = 6  # blocks that look for what was missed
_SAFE = 20.0  # digits lost to a plain QR: a factor of this, at most
_ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-14}  # of a product, relative to the norm


def lanczos_spectrum(
    operator: CurvatureOperator,
    *,
    top: int = 200,
    bottom: int = 200,
    tolerance: float = 1e-6,
    bottom_tolerance: float | None = None,
    block_size: int = 8,
    max_products: int = 5000,
    memory_budget: int = MEMORY_BUDGET,
    seed: int = 0,
    progress: bool = False,
) -> Spectrum:
    """The `top` largest and the `bottom` smallest eigenvalues, with eigenvectors and error bounds.

    Args:
        operator: n x n.
        top: how many of the largest; all eigenvalues where `top` and `bottom` add up to n or more.
        bottom: how many of the smallest.
        tolerance: a pair has converged once its residual is at most this times the largest magnitude of its own end.
        bottom_tolerance: the same for the bottom; default `tolerance`.
        block_size: columns of a block, the largest multiplicity that is found. Larger blocks make the orthogonalisation
            cheaper and need more products.
        max_products: products with single vectors before the iteration gives up; the residuals at the end take
            top + bottom more, in float64 whatever the operator's own type is.
        memory_budget: bytes for the basis. It holds twice the wanted vectors at least.
        seed: of the random start.
        progress: show a bar with the number of converged pairs.

    Returns:
        A partial spectrum, or a complete one where everything was asked for. `converged` says which pairs are within
        the tolerance; where `max_products` came first, the others have error bounds that say how far they are.

    Raises:
        UserError: nothing is asked for, a number is out of range, or products are not finite.
    """
    n = operator.shape[0]
    if min(top, bottom) < 0 or top + bottom == 0:
        raise UserError(f"top and bottom must be >= 0 and one of them > 0, got {top} and {bottom}")
    if min(block_size, max_products) < 1 or not tolerance > 0:
        raise UserError(
            f"block_size and max_products must be >= 1 and tolerance > 0, got {block_size}, {max_products} and "
            f"{tolerance}"
        )
    if top + bottom >= n:
        top, bottom = n, 0
    tolerances = {"top": tolerance, "bottom": tolerance if bottom_tolerance is None else bottom_tolerance}
    block_size = min(block_size, n)
    capacity = min(n, max(2 * (top + bottom) + 4 * block_size, memory_budget // (8 * n)))
    krylov = _Krylov(operator, capacity, torch.Generator().manual_seed(seed))
    with tqdm(
        total=top + bottom, desc="eigenpairs", unit="pair", leave=False, disable=None if progress else True
    ) as bar:
        S, restarts = _iterate(krylov, top, bottom, tolerances, block_size, max_products, bar)
    return _verified(krylov, S, top, tolerances, restarts, seed)


class _Krylov:
    """A growing orthonormal basis V, the projected matrix T, and the next block Q with its coupling B.

    Basis vectors are rows, so that taking one in writes one stretch of memory, and memory is used only as it fills.
    The coupling B has entries for the last columns of V alone, those from `coupled` on. After `start`, the Ritz vectors
    kept before have residuals that no block holds: their norms are in `locked`.

    Args:
        operator: A.
        capacity: vectors that V can hold.
        generator: of random vectors.
    """

    def __init__(self, operator: CurvatureOperator, capacity: int, generator: torch.Generator) -> None:
        self.operator, self.capacity, self.generator = operator, capacity, generator
        self.all_rows = torch.empty(capacity, operator.shape[0], dtype=torch.float64, device=operator.device)
        self.projected = torch.zeros(capacity, capacity, dtype=torch.float64, device=operator.device)
        self.size = self.products = self.coupled = 0
        self.norm = 0.0  # of the largest column of A V: ‖A‖ from below
        self.rounding = _ROUNDING[operator.dtype]
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

    def start(self, count: int) -> None:
        """Go on from random vectors that are orthogonal to the basis, which has just been reduced, or is empty."""
        self.locked = self.locked + torch.linalg.vector_norm(self.B, dim=0)
        self.Q, _ = self._orthonormal(self.all_rows.new_zeros(count, self.all_rows.shape[1]))
        self.B, self.coupled = self.all_rows.new_zeros(len(self.Q), 0), self.size

    def expand(self) -> None:
        """Multiply the next block, and take it into the basis."""
        Q, B = self.Q, self.B
        W = self.operator.matmat(Q.T.to(self.operator.dtype)).T.to(torch.float64, memory_format=torch.contiguous_format)
        if not torch.isfinite(W).all():
            raise UserError("a product with the curvature matrix is not finite; look for overflow in the loss")
        first, self.size = self.size, self.size + len(Q)
        self.products += len(Q)
        self.norm = max(self.norm, float(torch.linalg.vector_norm(W, dim=1).max()))
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

    def ritz(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values ascending, shape (size,), their vectors in the basis as columns, and their residual norms."""
        values, S = torch.linalg.eigh(self.projection)
        residuals = torch.linalg.vector_norm(self.B @ S[self.coupled :], dim=0)
        return values, S, residuals + self.locked @ S[: len(self.locked)].abs()

    def restart(self, S: Tensor, values: Tensor) -> None:
        """Reduce the basis to the Ritz vectors V S; the next block stays."""
        k = S.shape[1]
        for columns in self.rows.split(4096, dim=1):  # views: each is replaced before the next is read
            columns[:k] = S.T @ columns
        self.B, self.coupled = self.B @ S[self.coupled :], 0
        self.locked = self.locked @ S[: len(self.locked)].abs()
        self.size = k
        self.projection[:] = torch.diag(values)

    def _check_symmetry(self, difference: Tensor) -> None:
        largest = float(difference.abs().max()) if difference.numel() else 0.0
        if largest > math.sqrt(self.rounding) * self.norm + float(self.locked.sum()):
            raise UserError(
                f"the operator is not symmetric: uᵀ(A v) and vᵀ(A u) differ by {largest:.3g}, where ‖A v‖ is up to "
                f"{self.norm:.3g}"
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


def _iterate(
    krylov: _Krylov, top: int, bottom: int, tolerances: dict[str, float], block_size: int, max_products: int, bar: Any
) -> tuple[Tensor, int]:
    """Expand and restart until both ends have converged and a probe finds nothing more; the wanted Ritz vectors."""
    krylov.start(block_size)
    check, restarts, is_probed = 0, 0, False
    while True:
        krylov.expand()
        is_last = krylov.size == krylov.all_rows.shape[1] or krylov.products >= max_products
        if not (krylov.is_full or is_last or krylov.size >= check):
            continue
        values, S, residuals = krylov.ritz()
        at = torch.arange(len(values), device=values.device)
        wanted = {"top": at >= len(values) - top, "bottom": at < min(bottom, max(0, len(values) - top))}
        scale = {"top": abs(float(values[-1])), "bottom": abs(float(values[0]))}
        least = _ROUNDING[torch.float64] * krylov.norm  # an end at zero has no scale of its own
        converged = {end: wanted[end] & (residuals <= max(tolerances[end] * scale[end], least)) for end in wanted}
        done = {end: int(converged[end].sum()) == {"top": top, "bottom": bottom}[end] for end in wanted}
        bar.set_postfix({end: int(mask.sum()) for end, mask in converged.items()}, refresh=False)
        bar.update(sum(int(mask.sum()) for mask in converged.values()) - bar.n)
        if is_last or (all(done.values()) and is_probed):
            return S[:, wanted["top"] | wanted["bottom"]], restarts
        if is_probed := all(done.values()):
            krylov.restart(*_columns(S, values, wanted["top"] | wanted["bottom"]))
            krylov.start(block_size)
            check = min(krylov.size + _PROBE * block_size, krylov.capacity)
            continue
        check = krylov.size + max(8 * block_size, krylov.size // 8)
        if krylov.is_full:
            spare = max(0, krylov.capacity - len(krylov.Q) - top - bottom) // 2
            # More vectors of an end that has not converged yet speed it up.
            more = {end: 0 if done[end] else spare // sum(not is_done for is_done in done.values()) for end in done}
            kept = (at >= len(values) - top - more["top"]) | (at < bottom + more["bottom"])
            krylov.restart(*_columns(S, values, kept))
            restarts += 1
            check = krylov.size + 8 * block_size


def _columns(S: Tensor, values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    return S[:, kept], values[kept]


def _verified(krylov: _Krylov, S: Tensor, top: int, tolerances: dict[str, float], restarts: int, seed: int) -> Spectrum:
    """The Ritz pairs with residuals of the true operator in float64."""
    operator, n = krylov.operator, krylov.all_rows.shape[1]
    X = torch.linalg.qr(krylov.rows.T @ S)[0]
    AX = operator.with_dtype(torch.float64).matmat(X)
    values, rotation = torch.linalg.eigh((X.T @ AX + AX.T @ X) / 2)
    X, AX = X @ rotation, AX @ rotation
    residuals = torch.linalg.vector_norm(AX - X * values, dim=0).cpu().numpy()
    values, X = values.cpu().numpy(), X.cpu().numpy()
    num_top = min(top, len(values))
    num_bottom = len(values) - num_top
    is_top = np.arange(len(values)) >= num_bottom
    scale = np.where(is_top, tolerances["top"] * abs(values[-1]), tolerances["bottom"] * abs(values[0]))
    rounding = n * np.finfo(np.float64).eps / 2 * krylov.norm
    largest = np.take_along_axis(X, np.abs(X).argmax(axis=0)[None], axis=0)
    return Spectrum(
        eigenvalues=values,
        error_bounds=residuals + rounding,
        dim=n,
        **({} if len(values) == n else {"num_bottom": num_bottom, "num_top": num_top}),
        converged=residuals <= np.maximum(scale, _ROUNDING[torch.float64] * krylov.norm),
        eigenvectors=X * np.where(largest < 0, -1.0, 1.0),
        vector_indices=np.arange(len(values)),
        provenance={
            **operator.describe(),
            "solver": "lanczos",
            "products": krylov.products + X.shape[1],
            "tolerances": tolerances,
            "restarts": restarts,
            "seed": seed,
            "error_sources": {"largest_residual": float(residuals.max()), "rounding": float(rounding)},
        },
    )
