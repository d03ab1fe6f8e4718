"""The dendrograms of every segment of several spectra, each of which has a panel: the hole between two is not a gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram, single_linkage
from ..statistics.resolutions import floor_of

TITLES = {"all": "all eigenvalues", "bottom": "smallest eigenvalues", "top": "largest eigenvalues"}
EPSILON = "resolution ε (units of λ)"
MOST_MERGES = 1000  # more lines than a panel has pixels make a solid block
MOST_ON_SCREEN = 500  # a page has fewer pixels than paper, and a slider wants its answer at once
_BELOW_FLOOR = 3.0  # how far the axis goes below the floor, as a factor, to give the shaded region room


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


def resolution_grid(dendrograms: Sequence[Dendrogram], count: int) -> NDArray[np.float64]:
    """Space `count` values of ε equally in log ε, from below the lowest floor to above the largest gap."""
    low = min(floor_of(dendrogram) for dendrogram in dendrograms) / 3
    high = max(float(dendrogram.gap_sizes.max(initial=0.0)) for dendrogram in dendrograms)
    return np.geomspace(low, max(2 * high, 100 * low), count)


def drawing_floor(dendrogram: Dendrogram, most_merges: int = MOST_MERGES) -> float:
    """Return the ε above which merges are drawn: the resolution, or higher where more than `most_merges` exceed it."""
    sizes = np.sort(dendrogram.gap_sizes)
    pruned = float(sizes[-most_merges - 1]) if len(sizes) > most_merges else 0.0
    return max(floor_of(dendrogram), pruned)


def floor_reason(dendrogram: Dendrogram, most_merges: int = MOST_MERGES) -> str:
    """Say why nothing is drawn below the floor."""
    if drawing_floor(dendrogram, most_merges) > floor_of(dendrogram):
        return f"all but {most_merges:,} merges (errors ≤ {dendrogram.resolution:.1g})"
    if dendrogram.resolution > 0:
        return f"ε ≤ largest gap error {dendrogram.resolution:.1g}"
    return "below every positive gap"


def height_limits(dendrograms: Sequence[Dendrogram], most_merges: int = MOST_MERGES) -> tuple[float, float]:
    """Choose one ε axis for all panels of a segment."""
    low = min(drawing_floor(dendrogram, most_merges) for dendrogram in dendrograms) / _BELOW_FLOOR
    high = max(float(dendrogram.gap_sizes.max(initial=0.0)) for dendrogram in dendrograms)
    return low, 3 * max(high, 10 * low)
