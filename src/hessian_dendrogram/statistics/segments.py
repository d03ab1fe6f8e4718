"""The dendrograms of every segment of several spectra; the hole between two segments is not a gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from .dendrogram import Dendrogram, single_linkage
from .leading import leading_count
from .resolutions import first_epsilon, resolution_grid

Floats = NDArray[np.float64]
TITLES = {"all": "all eigenvalues", "bottom": "smallest eigenvalues", "top": "largest eigenvalues"}
SIDES = {"all": "above", "bottom": "below", "top": "above"}
"""Of a gap, where no eigenvalue is missing."""
_RESOLUTIONS = 121


@dataclass(frozen=True, eq=False)
class MovingDendrogram:
    """The dendrograms of one segment over training, by position of the step; what is chosen is that for the last."""

    trees: dict[int, Dendrogram]

    @cached_property
    def count(self) -> int:
        """How many eigenvalues lead at every step."""
        return leading_count(self.trees[max(self.trees)])

    @cached_property
    def epsilon(self) -> float:
        """The resolution to begin with: it leaves the six largest gaps of the last step open."""
        return first_epsilon(self.trees[max(self.trees)])

    @cached_property
    def resolutions(self) -> list[float]:
        """Values of ε to choose from: equally spaced in log ε, three digits each, and the one to begin with."""
        grid = resolution_grid(list(self.trees.values()), _RESOLUTIONS)
        return sorted({self.epsilon, *(float(f"{epsilon:.3g}") for epsilon in grid)})


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


def largest_gaps(trees: Mapping[int, Dendrogram], segment: str, count: int) -> dict[str, NDArray[Any]]:
    """The largest gaps of the dendrograms of a segment, with what is known of each, as columns.

    Returns:
        Of every gap that is no exact tie the `position` of its dendrogram, its `rank` from 1, `size` and `error`, the
        eigenvalues at its ends, `low` and `high`, and how many lie `beyond` it, on the side where none is missing.
    """
    parts = []
    for position, tree in trees.items():
        gaps, values = tree.gaps(count), tree.eigenvalues
        beyond = gaps.lower_indices + 1 if SIDES[segment] == "below" else gaps.num_above
        low, high = values[gaps.lower_indices], values[gaps.lower_indices + 1]
        ranks = np.arange(1, len(gaps.sizes) + 1)
        known = np.full(len(ranks), position), ranks, gaps.sizes, gaps.errors, low, high, beyond
        parts.append(np.stack(known)[:, gaps.sizes > 0])
    names = "position", "rank", "size", "error", "low", "high", "beyond"
    columns: dict[str, NDArray[Any]] = dict(zip(names, np.concatenate(parts, axis=1), strict=True))
    return columns | {name: columns[name].astype(int) for name in ("position", "rank", "beyond")}


def resolved_counts(trees: Mapping[int, Dendrogram], num_steps: int, resolutions: Floats) -> Floats:
    """Count clusters: shape (resolutions, steps), NaN where n(ε) is unresolved or no eigenvalue of a step is known."""
    counts = np.full((len(resolutions), num_steps), np.nan)
    for position, tree in trees.items():
        resolved = resolutions > tree.resolution
        counts[resolved, position] = tree.num_clusters(resolutions[resolved])
    return counts


def outermost(spectrum: Spectrum, end: str, most: int) -> NDArray[np.int64]:
    """The numbers of up to `most` values at one end, "top" or "bottom", converged or not."""
    count = len(spectrum.eigenvalues)
    number = min(most, spectrum.num_top if end == "top" else spectrum.num_bottom)
    return np.arange(count - number, count) if end == "top" else np.arange(number)


def hole_of(spectrum: Spectrum) -> tuple[float, float] | None:
    """Tell between which values eigenvalues are missing; infinite where an end of the spectrum is."""
    segments = spectrum.segments()
    if "all" in segments:
        return None
    low = spectrum.eigenvalues[segments["bottom"].stop - 1] if "bottom" in segments else -np.inf
    high = spectrum.eigenvalues[segments["top"].start] if "top" in segments else np.inf
    return float(low), float(high)
