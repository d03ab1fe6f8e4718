"""The upper triangle of a symmetric matrix as a vector, diagonal included, row after row: half of the numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def triangle_of(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper triangles of symmetric matrices of shape (..., g, g): shape (..., g (g + 1) / 2)."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices[..., rows, columns])


def symmetric_from(triangles: NDArray[np.floating], g: int) -> NDArray[np.float64]:
    """The symmetric matrices of such triangles, in float64: shape (..., g, g)."""
    rows, columns = np.triu_indices(g)
    matrices = np.empty((*triangles.shape[:-1], g, g))
    matrices[..., rows, columns] = triangles
    matrices[..., columns, rows] = triangles
    return matrices
