"""The dendrograms of every segment of several spectra, so that a figure can give each segment a panel of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram, Gaps, single_linkage

TITLES = {"all": "all eigenvalues", "bottom": "smallest eigenvalues", "top": "largest eigenvalues"}


def by_segment(spectra: Sequence[Spectrum]) -> dict[str, dict[int, Dendrogram]]:
    """Make the dendrograms of each segment that occurs ("all", "bottom", "top"), keyed by position in `spectra`.

    A partial spectrum is clustered one segment at a time; a spectrum of which nothing converged has no dendrogram.
    """
    found: dict[str, dict[int, Dendrogram]] = {}
    for name in TITLES:
        there = {i: single_linkage(spectrum, name) for i, spectrum in enumerate(spectra) if name in spectrum.segments()}
        if there:
            found[name] = there
    return found


def counted_from_the_end(gaps: Gaps, segment: str) -> tuple[NDArray[np.int64], str]:
    """Count the eigenvalues on the side of each gap where none is missing, and say which side that is.

    Returns:
        Shape (k,), and "below" for the segment "bottom", above which some are unknown, or "above" for the others.
    """
    return (gaps.lower_indices + 1, "below") if segment == "bottom" else (gaps.num_above, "above")


def floor_of(dendrogram: Dendrogram) -> float:
    """Return the lowest ε at which a figure may show structure, > 0 and finite, as a logarithmic axis needs.

    That is the dendrogram's resolution. Without any error it is half the smallest positive gap, or without any gap
    either the distance of neighbouring float64 numbers at the largest eigenvalue (at least at 1). Where an error bound
    is infinite it is above every gap.
    """
    values, positive = dendrogram.eigenvalues, dendrogram.gap_sizes[dendrogram.gap_sizes > 0]
    if np.isinf(dendrogram.resolution):
        return 10 * float(values[-1] - values[0]) or 1.0
    if dendrogram.resolution > 0:
        return dendrogram.resolution
    if positive.size:
        return float(positive.min()) / 2
    return float(np.spacing(max(1.0, float(np.abs(values).max()))))


def resolution_grid(dendrograms: Sequence[Dendrogram], count: int) -> NDArray[np.float64]:
    """Space `count` values of ε equally in log ε, from below the lowest floor to above the largest gap."""
    low = min(floor_of(dendrogram) for dendrogram in dendrograms) / 3
    high = max(float(dendrogram.gap_sizes.max(initial=0.0)) for dendrogram in dendrograms)
    return np.geomspace(low, max(2 * high, 100 * low), count)
