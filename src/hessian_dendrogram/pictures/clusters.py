"""The clusters of an eigenvalue dendrogram at one resolution ε, as runs of its eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters in ascending order; each is `eigenvalues[start:stop]` of its dendrogram.

    Attributes:
        starts, stops: shape (clusters,).
    """

    starts: Integers
    stops: Integers

    @property
    def sizes(self) -> Integers:
        """Number of eigenvalues in each cluster."""
        return self.stops - self.starts

    def by_size(self) -> Integers:
        """Numbers of the clusters, the largest first; of equal ones the higher eigenvalues first."""
        return np.lexsort((-self.starts, -self.sizes))


def clusters_at(dendrogram: Dendrogram, epsilon: float) -> Clusters:
    """Find the clusters at resolution ε, in units of the eigenvalues.

    Raises:
        UserError: ε is negative or not a number.
    """
    starts = np.flatnonzero(np.diff(dendrogram.labels(epsilon), prepend=-1)).astype(np.int64)
    return Clusters(starts, np.append(starts[1:], len(dendrogram.eigenvalues)).astype(np.int64))


def nearest_eigenvalue(dendrogram: Dendrogram, value: float) -> int:
    """The index of the eigenvalue of the segment that is nearest to a value."""
    return int(np.abs(dendrogram.eigenvalues - value).argmin())


def run_text(size: int, low: float, high: float) -> str:
    """A run of neighbouring eigenvalues in words."""
    return f"{size:,} in [{low:.4g}, {high:.4g}]".replace("-", "−")


def cluster_rows(dendrogram: Dendrogram, epsilon: float, *, most: int = 500) -> list[dict[str, Any]]:
    """Describe the `most` largest clusters, the largest first.

    The gaps beside a cluster are texts, since they may be unresolved (not larger than their error), next to a hole, or
    absent.
    """
    clusters, values, rows = clusters_at(dendrogram, epsilon), dendrogram.eigenvalues, []
    for number in clusters.by_size()[:most].tolist():
        start, stop = int(clusters.starts[number]), int(clusters.stops[number])
        low, high = float(values[start]), float(values[stop - 1])
        row: dict[str, Any] = {"cluster": number + 1, "eigenvalues": stop - start}
        row |= {"from": low, "to": high, "width": high - low}
        row["error bound"] = float(dendrogram.error_bounds[start:stop].max())
        row["gap below"] = _gap_text(dendrogram, start - 1, dendrogram.hole_below)
        row["gap above"] = _gap_text(dendrogram, stop - 1, dendrogram.hole_above)
        rows.append(row)
    return rows


def _gap_text(dendrogram: Dendrogram, gap: int, next_to_hole: bool) -> str:
    if not 0 <= gap < len(dendrogram.gap_sizes):
        return "hole: not known" if next_to_hole else "none: end of the spectrum"
    size, error = dendrogram.gap_sizes[gap], dendrogram.gap_errors[gap]
    return f"{size:.3g}" if size > error else f"unresolved (error {error:.1g})"
