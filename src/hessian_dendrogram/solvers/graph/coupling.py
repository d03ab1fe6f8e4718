"""The coupling graph of a matrix: its parameters are the vertices, the weights are |A_ij|."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UserError

Floats = NDArray[np.float64]

_CHUNK = 256  # rows that are handled at once


def coupling_graph(H: ArrayLike, *, threshold: float = 0.0) -> Floats:
    """The weights |H_ij| between parameters, with a zero diagonal.

    Args:
        H: symmetric, shape (n, n).
        threshold: couplings up to this magnitude, such as the error of H, count as none.

    Returns:
        Shape (n, n), float64.

    Raises:
        UserError: not square, not finite or not symmetric, or there is no edge at all.
    """
    W = real_matrix(H).copy()
    if W.ndim != 2 or W.shape[0] != W.shape[1] or len(W) < 2:
        raise UserError(f"a coupling graph needs a symmetric matrix of two or more parameters, got shape {W.shape}")
    if not threshold >= 0:
        raise UserError(f"threshold must be >= 0, got {threshold}")
    asymmetry = largest = 0.0
    for start in range(0, len(W), _CHUNK):
        rows = slice(start, start + _CHUNK)
        if not np.isfinite(W[rows]).all():
            raise UserError(f"{(~np.isfinite(W)).sum()} of {W.size} entries of the matrix are not finite")
        with np.errstate(over="ignore"):
            asymmetry = max(asymmetry, float(np.abs(W[rows] - W[:, rows].T).max()))
        largest = max(largest, float(np.abs(W[rows]).max()))
    if asymmetry > 1e-6 * largest:
        raise UserError(
            f"the matrix is not symmetric: entries differ by up to {asymmetry:.3g} from their mirror images, where the "
            f"largest is {largest:.3g}"
        )
    np.abs(W, out=W)
    if asymmetry:
        for start in range(0, len(W), _CHUNK):
            rows = slice(start, start + _CHUNK)
            W[rows, start:] = W[rows, start:] / 2 + W[start:, rows].T / 2  # the sum of two may overflow
            W[start:, rows] = W[rows, start:].T
    np.fill_diagonal(W, 0.0)
    W[threshold >= W] = 0.0
    if not W.any():
        raise UserError(
            f"no two of the {len(W)} parameters are coupled by more than {threshold:g}: there is nothing to cut"
        )
    return W


def real_matrix(H: ArrayLike) -> Floats:
    """A matrix as float64, without a copy where it is that.

    Raises:
        UserError: its entries are not real numbers.
    """
    try:
        matrix = np.asarray(H)  # a torch tensor warns where `np.array` copies it
        if np.iscomplexobj(matrix):
            raise TypeError("its entries are complex")
        return np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a coupling graph needs a dense matrix of real numbers, got {type(H).__name__}: {error}"
        ) from None
