"""Eigenvalues counted in bins where they are dense, and one by one where they stand apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum

_ALL = 1000  # up to this number of eigenvalues each of them stands apart
_NEIGHBOURHOOD = 9  # bins
_FEW = 12  # where a neighbourhood of bins has no more eigenvalues than this, each of them stands apart


def split_by_density(spectrum: Spectrum, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tell bins that are dense from eigenvalues that stand apart; unconverged values are in neither.

    Args:
        spectrum: its eigenvalues.
        edges: of the bins, ascending, in units of the eigenvalues.

    Returns:
        The number of eigenvalues in every dense bin, 0 in the others, shape (bins,), and the numbers of the sparse
        eigenvalues, ascending.
    """
    indices = np.flatnonzero(spectrum.converged)
    values = spectrum.eigenvalues[indices]
    counts, few = np.histogram(values, edges)[0], _FEW if len(values) > _ALL else len(values)
    dense = np.convolve(counts, np.ones(_NEIGHBOURHOOD, int), mode="same") > few
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(counts) - 1)
    return np.where(dense, counts, 0), indices[~dense[bins]]
