r"""Every eigenvalue of an assembled matrix, the outermost eigenvectors, and bounds on their errors.

For some of the eigenvectors the matrix is reduced to tridiagonal form once (LAPACK `sytrd`); all eigenvalues (`sterf`)
and the chosen eigenvectors (`stebz`, `stein`, back-transformed by `ormqr`) come from that form, which costs a fraction
of computing every vector. Without eigenvectors, or with all of them, torch's `eigvalsh` and `eigh` are faster
(`benchmarks/dense_eigensolver.py`).

The bound of an eigenvalue is the sum of

- *solver*: n·u·‖A‖₂ with u the unit roundoff, the usual form of LAPACK's backward-error bound |λ̂_i - λ_i(A)| <= p(n) u
  ‖A‖₂ (LAPACK Users' Guide, section 4.7) with the generous p(n) = n, or the measured residual ‖A v - θ v‖₂ where that
  is larger;
- *assembly*: a bound on ‖E‖₂ for E = H - A, the difference between the true operator and the assembled matrix. By
  Weyl's inequality no eigenvalue is further off. E is sampled through float64 products with Gaussian vectors ω: for any
  k, ‖E‖₂ <= (10 √(2/π) max_i ‖E^k ω_i‖₂)^{1/k} with probability at least 1 - 10^{-r} for r vectors (Halko, Martinsson &
  Tropp 2011, lemma 4.1, applied to E^k). The rounding of those float64 products counts as error, too. A Hessian of
  more than 256 samples is checked on 256 of them, evenly spaced in the data: the error of a mean is at most the mean of
  the errors, of which these are a sample, so there the bound is an estimate, and one that data with a few samples of
  far larger curvature can outgrow. To it is added N·u·‖A‖_F for summing so many parts.

- *arithmetic*: what arithmetic inside the model that is coarser than float64 does to the true operator, see
  `operators/arithmetic.py`.

All pair the i-th computed with the i-th true eigenvalue, multiplicities included. They say nothing of the sampling
error of the data, nor of the model's own float32 weights being what they are.
"""

from __future__ import annotations

import math
import os
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal, lapack

from ..errors import UserError
from ..operators.operator import CurvatureOperator
from ..results.spectrum import Spectrum
from .krylov import LARGEST_ENTRY

_MATRICES_AT_ONCE = 5
_SAMPLE_VECTORS = 4
_SAMPLE_POWER = 3


def exact_spectrum(
    operator: CurvatureOperator, *, vectors: int | Literal["all"] = 50, seed: int = 0, progress: bool = False
) -> Spectrum:
    """Every eigenvalue of the operator, and the eigenvectors of its `vectors` smallest and `vectors` largest.

    Args:
        operator: n x n; the dense matrix, n² float64 numbers, must fit in memory about five times.
        vectors: eigenvectors wanted at each end; all of them where 2 · vectors >= n, or for `"all"`.
        seed: of the random vectors that sample the assembly error.
        progress: show a bar while the matrix is assembled.

    Returns:
        A complete spectrum; its provenance names the operator, the solver, the number of products and the parts of the
        bound.

    Raises:
        UserError: `vectors` is negative, the matrix does not fit in memory, or it is not finite.
    """
    n = operator.shape[0]
    vectors = n if vectors == "all" else vectors
    if isinstance(vectors, str) or vectors < 0:
        raise UserError(f'vectors must be >= 0 or "all", got {vectors!r}')
    dense, assembly, arithmetic = assembled(operator, seed=seed, progress=progress)
    A = dense.cpu().double().numpy()
    del dense
    wanted = np.arange(n) if 2 * vectors >= n else np.r_[0:vectors, n - vectors : n]
    values, V = symmetric_eigenpairs(A, wanted)
    residuals = np.linalg.norm(A @ V - V * values[wanted], axis=0)
    solver = float(n * np.finfo(np.float64).eps / 2 * np.abs(values).max())
    bounds = np.full(n, solver)
    bounds[wanted] = np.maximum(bounds[wanted], residuals)
    facts: dict[str, Any] = {
        **operator.describe(),
        "solver": "exact",
        "products": _SAMPLE_VECTORS * _SAMPLE_POWER + (n if operator.assembled_by == "products" else 0),
        "error_sources": {
            "assembly": assembly,
            "arithmetic": arithmetic,
            "solver": solver,
            "largest_residual": float(residuals.max(initial=0)),
        },
    }
    return Spectrum(
        eigenvalues=values,
        error_bounds=bounds + assembly + arithmetic,
        dim=n,
        eigenvectors=V,
        vector_indices=wanted,
        provenance=facts,
    )


def assembled(operator: CurvatureOperator, *, seed: int, progress: bool) -> tuple[torch.Tensor, float, float]:
    """The whole matrix, and the parts of the bound that it brings along: of its assembly, and of coarse arithmetic.

    Raises:
        UserError: the matrix does not fit in memory, or it is not finite.
    """
    checked_memory(operator.shape[0])
    dense = operator.to_dense(progress=progress)
    _check_range(float(dense.abs().max()))
    checked = operator.for_error_check()
    if checked is operator:
        assembly = assembly_error(operator, dense, seed=seed)
    else:
        summing = operator.num_samples * np.finfo(np.float64).eps / 2 * float(torch.linalg.matrix_norm(dense))
        assembly = assembly_error(checked, checked.to_dense(), seed=seed) + summing
    return dense, assembly, operator.arithmetic_error(seed)


def _check_range(largest: float) -> None:
    """Refuse a matrix whose squares leave the range of float64, or that is not finite."""
    if not math.isfinite(largest):
        raise UserError("the curvature matrix has entries that are not finite; look for overflow in the loss")
    if largest > LARGEST_ENTRY or 0 < largest < 1 / LARGEST_ENTRY:
        raise UserError(
            f"the matrix has entries up to {largest:.3g}, whose squares leave the range of float64; scale the loss to "
            f"bring them between {1 / LARGEST_ENTRY:g} and {LARGEST_ENTRY:g}"
        )


def checked_memory(n: int) -> None:
    """Refuse a matrix that could not be held, before anything is computed."""
    needed = _MATRICES_AT_ONCE * 8 * n * n
    if hasattr(os, "sysconf"):  # not on Windows
        present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > present:
            raise UserError(
                f"the exact spectrum of {n} parameters needs about {needed / 1e9:.0f} GB of memory, this machine has "
                f"{present / 1e9:.0f} GB; take fewer parameters, by parameters= or in the experiment"
            )


def assembly_error(operator: CurvatureOperator, dense: torch.Tensor, *, seed: int = 0) -> float:
    """A bound on ‖H - A‖₂ that holds with probability 0.9999, for A the assembled matrix (module docstring).

    Args:
        operator: H, whose products are taken in float64.
        dense: A, of shape (n, n).
        seed: of the Gaussian vectors.
    """
    reference = operator.with_dtype(torch.float64)
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(operator.shape[0], _SAMPLE_VECTORS, dtype=torch.float64, generator=generator).to(operator.device)
    A = dense.double()
    log_growth = 0.0  # of the largest column norm: E^k ω itself would underflow
    for _ in range(_SAMPLE_POWER):
        X = reference.matmat(X) - A @ X
        norm = float(torch.linalg.vector_norm(X, dim=0).max())
        if norm == 0:
            return 0.0
        X /= norm
        log_growth += math.log(norm)
    return math.exp((math.log(10 * math.sqrt(2 / math.pi)) + log_growth) / _SAMPLE_POWER)


def symmetric_eigenpairs(
    A: NDArray[np.float64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All eigenvalues of a symmetric matrix, ascending, and the eigenvectors with the wanted indices.

    Args:
        A: shape (n, n), float64, symmetric to the last bit.
        wanted: indices into the ascending eigenvalues, ascending, shape (m,).

    Returns:
        Eigenvalues (n,), eigenvectors (n, m) of unit length, each with its largest entry positive.

    Raises:
        UserError: LAPACK did not converge.
    """
    n = len(A)
    if n == 1:
        return A[0].copy(), np.ones((1, len(wanted)))
    if len(wanted) in (0, n):
        return _with_none_or_all_vectors(A, len(wanted))
    workspace = int(lapack.dsytrd_lwork(n, lower=1)[0])
    # Read by columns, as LAPACK does, the upper triangle is the lower one.
    reflectors, diagonal, off_diagonal, tau, status = lapack.dsytrd(A.T, lower=1, lwork=workspace)
    values, failed = lapack.dsterf(diagonal, off_diagonal)
    if status or failed:
        raise UserError(f"the eigensolver did not converge: sytrd returned {status}, sterf {failed}")
    V = np.asfortranarray(_tridiagonal_eigenvectors(diagonal, off_diagonal, wanted))
    # Q = H(1)...H(n-1) acts on rows 1.. only; its reflectors lie below the first subdiagonal.
    V[1:], _, status = lapack.dormqr(
        "L", "N", np.asfortranarray(reflectors[1:, :-1]), tau, np.asfortranarray(V[1:]), lwork=64 * V.shape[1]
    )
    return values, _normalised(V)


def _with_none_or_all_vectors(A: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All eigenvalues, with all eigenvectors or none."""
    try:
        if not count:
            return torch.linalg.eigvalsh(torch.from_numpy(A)).numpy(), np.empty((len(A), 0))
        values, V = torch.linalg.eigh(torch.from_numpy(A))
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise UserError(f"the eigensolver did not converge: {error}") from None
    return values.numpy(), _normalised(V.numpy())


def _normalised(V: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns at unit length, each with its largest entry positive."""
    largest = np.take_along_axis(V, np.abs(V).argmax(axis=0)[None], axis=0)
    V *= np.where(largest < 0, -1.0, 1.0) / np.linalg.norm(V, axis=0)
    return V


def _tridiagonal_eigenvectors(
    diagonal: NDArray[np.float64], off_diagonal: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Orthonormal eigenvectors of a tridiagonal matrix with the wanted indices, ascending: shape (n, m)."""
    runs = np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1) if len(wanted) else []
    try:
        parts = [
            eigh_tridiagonal(diagonal, off_diagonal, select="i", select_range=(run[0], run[-1]))[1] for run in runs
        ]
        V = np.hstack([np.empty((len(diagonal), 0)), *parts])
        are_good = bool(np.abs(V.T @ V - np.eye(len(wanted))).max(initial=0) <= 1e-10)
    except np.linalg.LinAlgError:  # stebz and stein give up on many equal values
        are_good = False
    if not are_good:
        # Two runs reach into one cluster of nearly equal values, where each chose its vectors without the other.
        V = eigh_tridiagonal(diagonal, off_diagonal, lapack_driver="stevd")[1][:, wanted]
    return V
