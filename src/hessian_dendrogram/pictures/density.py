"""Many eigenvalues on one axis: dense ones counted in bins, sparse ones kept one by one; and where some are missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from .eigenvalue_axis import EigenvalueAxis

BINS = 160
_ALL = 1000  # up to this number of eigenvalues a step shows each of them
_NEIGHBOURHOOD = 9  # bins
_FEW = 12  # where a neighbourhood of bins has no more eigenvalues than this, each of them is drawn


def bin_edges(axis: EigenvalueAxis) -> NDArray[np.float64]:
    """Cut an axis into bins of equal length on the page: shape (BINS + 1,), in units of the eigenvalues."""
    low, high = axis.to_axis([axis.low, axis.high]).tolist()
    return axis.from_axis(np.linspace(low, high, BINS + 1))


def split_by_density(spectrum: Spectrum, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tell bins that are dense from eigenvalues that stand apart; unconverged values are in neither.

    Returns:
        The number of eigenvalues in every dense bin, 0 in the others, shape (bins,), and the numbers of the sparse
        eigenvalues, ascending.
    """
    indices = np.flatnonzero(spectrum.converged)
    values = spectrum.eigenvalues[indices]
    counts = np.histogram(values, edges)[0]
    dense = np.convolve(counts, np.ones(_NEIGHBOURHOOD, int), mode="same") > (
        _FEW if len(values) > _ALL else len(values)
    )
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(counts) - 1)
    return np.where(dense, counts, 0), indices[~dense[bins]]


def hole_of(spectrum: Spectrum) -> tuple[float, float] | None:
    """Tell between which values eigenvalues are missing; infinite where an end of the spectrum is."""
    segments = spectrum.segments()
    if "all" in segments:
        return None
    low = spectrum.eigenvalues[segments["bottom"].stop - 1] if "bottom" in segments else -np.inf
    high = spectrum.eigenvalues[segments["top"].start] if "top" in segments else np.inf
    return float(low), float(high)
