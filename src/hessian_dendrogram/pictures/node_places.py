"""The eigenvalue dendrogram as lines, and what of it is worth drawing.

The tree stands on the eigenvalue axis: a leaf is at its eigenvalue, a cluster at the mean of its leaves as the axis
places them, a merge at the height of its gap. SciPy's `dendrogram` is no help: it recurses once per level, and a chain
of a few thousand single-linkage merges is too deep for Python.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram
from .by_segment import floor_of
from .eigenvalue_axis import EigenvalueAxis

Floats = NDArray[np.float64]
MOST_MERGES = 1000  # more lines than a panel has pixels make a solid block
MOST_ON_SCREEN = 500  # a page has fewer pixels than paper, and a slider wants its answer at once
_BELOW_FLOOR = 3.0  # how far the axis goes below the floor, as a factor, to give the shaded region room


def node_points(dendrogram: Dendrogram, axis: EigenvalueAxis) -> tuple[Floats, Floats]:
    """Where the tree's nodes stand: the k eigenvalues, then the k - 1 merges in the order of `dendrogram.linkage`.

    Returns:
        Positions in units of the eigenvalues and heights ε, shape (2k - 1,) each; an eigenvalue has height 0.
    """
    linkage, count = dendrogram.linkage, len(dendrogram.eigenvalues)
    children = linkage[:, :2].astype(np.int64)
    places = [*axis.to_axis(dendrogram.eigenvalues).tolist(), *[0.0] * (count - 1)]
    sizes = [1] * count + [0] * (count - 1)
    for row, (one, other) in enumerate(children.tolist()):
        size = sizes[one] + sizes[other]
        sizes[count + row] = size
        places[count + row] = (sizes[one] * places[one] + sizes[other] * places[other]) / size
    return axis.from_axis(places), np.concatenate([np.zeros(count), linkage[:, 2]])


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
