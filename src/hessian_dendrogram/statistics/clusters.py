"""The clusters of an eigenvalue dendrogram at one resolution ε, as runs of its eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dendrogram import Dendrogram
from .leading import is_lower_end

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters in ascending order; each is `eigenvalues[start:stop]` of its dendrogram.

    Attributes:
        starts, stops: shape (clusters,).
    """

    starts: Integers
    stops: Integers

    @cached_property
    def sizes(self) -> Integers:
        """Number of eigenvalues in each cluster."""
        return self.stops - self.starts

    def by_size(self) -> Integers:
        """Numbers of the clusters, the largest first; of equal ones the higher eigenvalues first."""
        return np.lexsort((-self.starts, -self.sizes))

    def of(self, indices: Any) -> Integers:
        """The number of the cluster that each eigenvalue is in, by its index."""
        return np.asarray(np.searchsorted(self.starts, indices, side="right") - 1)


def clusters_at(tree: Dendrogram, epsilon: float) -> Clusters:
    """Find the clusters at resolution ε, in units of the eigenvalues.

    Raises:
        UserError: ε is negative or not a number.
    """
    starts = np.flatnonzero(np.diff(tree.labels(epsilon), prepend=-1)).astype(np.int64)
    return Clusters(starts, np.append(starts[1:], len(tree.eigenvalues)).astype(np.int64))


def cluster_of(tree: Dendrogram, epsilon: float, eigenvalue: float) -> tuple[int, int, int]:
    """The cluster at ε of the known eigenvalue nearest to one: its number from 0, and where it begins and ends."""
    found = clusters_at(tree, epsilon)
    number = int(found.of(np.abs(tree.eigenvalues - eigenvalue).argmin()))
    return number, int(found.starts[number]), int(found.stops[number])


def shared_positions(tree: Dendrogram, clusters: Clusters, other: Dendrogram, others: Clusters) -> Integers:
    """How many positions, counted from the outer end, clusters of two dendrograms share: shape (clusters, others)."""
    (starts, stops), (first, last) = _from_the_end(tree, clusters), _from_the_end(other, others)
    return np.asarray(np.maximum(np.minimum(stops[:, None], last) - np.maximum(starts[:, None], first), 0))


def _from_the_end(tree: Dendrogram, clusters: Clusters) -> Integers:
    """Where clusters start and stop, counted from the outer end: shape (2, clusters)."""
    if is_lower_end(tree):
        return np.stack([clusters.starts, clusters.stops])
    return len(tree.eigenvalues) - np.stack([clusters.stops, clusters.starts])


def run_text(size: int, low: float, high: float) -> str:
    """A run of neighbouring eigenvalues in words."""
    return f"{size:,} in [{low:.4g}, {high:.4g}]".replace("-", "−")


def cluster_rows(tree: Dendrogram, epsilon: float, *, most: int = 500) -> list[dict[str, Any]]:
    """Describe the `most` largest clusters, the largest first.

    The gaps beside a cluster are texts, since they may be unresolved (not larger than their error), next to a hole, or
    absent.
    """
    clusters, values, rows = clusters_at(tree, epsilon), tree.eigenvalues, []
    for number in clusters.by_size()[:most].tolist():
        start, stop = int(clusters.starts[number]), int(clusters.stops[number])
        low, high = float(values[start]), float(values[stop - 1])
        row: dict[str, Any] = {"cluster": number + 1, "eigenvalues": stop - start}
        row |= {"from": low, "to": high, "width": high - low}
        row["error bound"] = float(tree.error_bounds[start:stop].max())
        row["gap below"] = _gap_text(tree, start - 1, tree.hole_below)
        row["gap above"] = _gap_text(tree, stop - 1, tree.hole_above)
        rows.append(row)
    return rows


def _gap_text(tree: Dendrogram, gap: int, next_to_hole: bool) -> str:
    if not 0 <= gap < len(tree.gap_sizes):
        return "hole: not known" if next_to_hole else "none: end of the spectrum"
    size, error = tree.gap_sizes[gap], tree.gap_errors[gap]
    return f"{size:.3g}" if size > error else f"unresolved (error {error:.1g})"
