"""The dendrograms of every segment of several spectra; the hole between two segments is not a gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..results.spectrum import Spectrum
from .dendrogram import Dendrogram
from .leading import leading_count
from .measured import SCALES, unit_of_tree, written
from .relative_resolution import checked, linkage_in
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


def by_segment(spectra: Sequence[Spectrum], measured_in: str = "absolute") -> dict[str, dict[int, Dendrogram]]:
    """Make the dendrograms of each segment that occurs ("all", "bottom", "top"), keyed by position in `spectra`.

    A partial spectrum is clustered one segment at a time. A spectrum of which nothing converged has no dendrogram, nor
    has one where ε cannot be measured as `linkage_in` is told to; `why_missing` says which it is.

    Raises:
        UserError: ε is never measured in that.
    """
    checked(measured_in)
    found: dict[str, dict[int, Dendrogram]] = {}
    for name in TITLES:
        for position, spectrum in enumerate(spectra):
            with suppress(UserError):
                found.setdefault(name, {})[position] = linkage_in(spectrum, name, measured_in)
    return {name: trees for name, trees in found.items() if trees}


def why_missing(spectrum: Spectrum, segment: str, measured_in: str) -> str:
    """Say why a segment has no dendrogram, and of all of a partial spectrum why its ends have none; else ""."""
    known = list(spectrum.segments())
    if segment not in known and segment == "all" and known:
        return why_missing(spectrum, known[-1], measured_in) or "not all of them are known"
    if segment not in known:
        return "none has converged"
    try:
        linkage_in(spectrum, segment, measured_in)
    except UserError as error:
        return str(error)
    return ""


def why_nothing(spectra: Sequence[Spectrum], measured_in: str) -> str:
    """Say why no segment of several spectra has a dendrogram, by the last of them of which anything has converged."""
    for spectrum in reversed(spectra):
        for segment in reversed(spectrum.segments()):
            return why_missing(spectrum, segment, measured_in)
    return "no eigenvalue has converged at these steps"


def title_of(segment: str, measured_in: str) -> str:
    """Name a segment, of which logarithms leave the positive eigenvalues."""
    return "positive eigenvalues" if segment == "all" and SCALES[measured_in].is_log else TITLES[segment]


def heading(segment: str, trees: Mapping[int, Dendrogram], measured_in: str) -> str:
    """Name a segment, and say how well the units of its dendrograms are known."""
    shares = [unit.share for tree in trees.values() if (unit := unit_of_tree(tree))]
    known = f"; {SCALES[measured_in].unit} known to {100 * max(shares):.2g} %" if shares else ""
    return f"{title_of(segment, measured_in)}{known}"


def largest_gaps(trees: Mapping[int, Dendrogram], segment: str, count: int) -> dict[str, NDArray[Any]]:
    """The largest gaps of the dendrograms of a segment, with what is known of each, as columns.

    Returns:
        Of every gap that is no exact tie the `position` of its dendrogram, its `rank` from 1, `size` and `error`, the
        eigenvalues at its ends, `low` and `high`, and how many lie `beyond` it, on the side where none is missing.
    """
    parts = []
    for position, tree in trees.items():
        gaps, values = tree.gaps(count), written(tree)
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


def num_hidden(spectrum: Spectrum) -> int:
    """How many eigenvalues of the matrix are in no segment."""
    return spectrum.dim - sum(int(part.stop - part.start) for part in spectrum.segments().values())


def hole_of(spectrum: Spectrum) -> tuple[float, float] | None:
    """Tell between which values eigenvalues are missing; infinite where an end of the spectrum is."""
    segments = spectrum.segments()
    if "all" in segments:
        return None
    low = spectrum.eigenvalues[segments["bottom"].stop - 1] if "bottom" in segments else -np.inf
    high = spectrum.eigenvalues[segments["top"].start] if "top" in segments else np.inf
    return float(low), float(high)
