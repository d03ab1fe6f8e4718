"""The clusters of an eigenvalue dendrogram at one resolution ε, as runs of its eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dendrogram import Dendrogram

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


def cluster_rows(dendrogram: Dendrogram, epsilon: float, *, most: int = 500) -> list[dict[str, Any]]:
    """Describe the `most` largest clusters, the largest first.

    A gap beside a cluster is its distance to the neighbour; `None` where there is none, or only a hole. It is resolved
    where it is larger than its error.
    """
    clusters = clusters_at(dendrogram, epsilon)
    values, gaps, errors = dendrogram.eigenvalues, dendrogram.gap_sizes, dendrogram.gap_errors
    rows = []
    for number in clusters.by_size()[:most].tolist():
        start, stop = int(clusters.starts[number]), int(clusters.stops[number])
        row: dict[str, Any] = {
            "cluster": number + 1,
            "eigenvalues": stop - start,
            "from": float(values[start]),
            "to": float(values[stop - 1]),
            "width": float(values[stop - 1] - values[start]),
            "largest error bound": float(dendrogram.error_bounds[start:stop].max()),
        }
        for name, gap in (("gap below", start - 1), ("gap above", stop - 1)):
            there = 0 <= gap < len(gaps)
            row[name] = float(gaps[gap]) if there else None
            row[f"{name} resolved"] = bool(gaps[gap] > errors[gap]) if there else None
        rows.append(row)
    return rows
