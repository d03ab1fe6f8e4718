"""The number of clusters n(ε) over steps and resolutions, as far as the errors of the gaps resolve it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram

Floats = NDArray[np.float64]


def resolved_counts(dendrograms: Mapping[int, Dendrogram], num_steps: int, resolutions: Floats) -> Floats:
    """Count clusters: shape (resolutions, steps), NaN where n(ε) is unresolved or no eigenvalue of a step is known."""
    counts = np.full((len(resolutions), num_steps), np.nan)
    for position, dendrogram in dendrograms.items():
        resolved = resolutions > dendrogram.resolution
        counts[resolved, position] = dendrogram.num_clusters(resolutions[resolved])
    return counts
