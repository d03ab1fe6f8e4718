"""Relative gaps: each gap over the mean gap around it, so that structure within a dense bulk can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..results.spectrum import Spectrum
from .dendrogram import single_linkage

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RelativeGaps:
    """Gaps over the mean gap around them, in ascending order of position; every array has shape (k,).

    Attributes:
        lower_indices: the gap lies between eigenvalues `lower_indices` and `lower_indices + 1` of the segment.
        sizes: gap / mean of its neighbours, a pure number.
        errors: a bound on the error of `sizes`.
        num_unresolved: gaps left out, since the mean of their neighbours is not larger than its own error.
    """

    lower_indices: NDArray[np.int64]
    sizes: Floats
    errors: Floats
    num_unresolved: int


def relative_gaps(spectrum: Spectrum, *, neighbours: int = 10, segment: str | None = None) -> RelativeGaps:
    """Divide each gap by the mean gap around it, so that structure within a dense bulk can show.

    The mean is over the `neighbours` gaps below and the `neighbours` gaps above, fewer at the ends of the segment; the
    gap itself is left out. With gap g, mean m and bounds a, b on their errors, g/m is wrong by at most
    (a + b g/m) / (m - b). Neighbours on one side add up to a difference of two eigenvalues, so b is the sum of these
    two error bounds, over both sides, divided by the number of neighbours.

    Raises:
        UserError: fewer than three eigenvalues; there is no such segment; `neighbours` is below 1.
    """
    tree = single_linkage(spectrum, segment)
    values, bounds = tree.eigenvalues, tree.error_bounds
    if neighbours < 1 or len(values) < 3:
        raise UserError(f"relative gaps need neighbours >= 1 and 3 eigenvalues, got {neighbours} and {len(values)}")
    lower = np.arange(len(values) - 1)
    start, stop = np.maximum(lower - neighbours, 0), np.minimum(lower + 1 + neighbours, len(values) - 1)
    count = stop - start - 1
    means = (values[lower] - values[start] + values[stop] - values[lower + 1]) / count
    below = np.where(start < lower, bounds[start] + bounds[lower], 0.0)
    above = np.where(stop > lower + 1, bounds[stop] + bounds[lower + 1], 0.0)
    mean_errors = (below + above) / count
    resolved = means > mean_errors
    means, mean_errors = means[resolved], mean_errors[resolved]
    sizes = tree.gap_sizes[resolved] / means
    errors = (tree.gap_errors[resolved] + mean_errors * sizes) / (means - mean_errors)
    return RelativeGaps(lower[resolved], sizes, errors, int((~resolved).sum()))
