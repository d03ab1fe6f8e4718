"""Resolutions ε at which an eigenvalue dendrogram shows its structure, in units of the eigenvalues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dendrogram import Dendrogram

MOST_MERGES = 1000
"""That are drawn of a dendrogram: more lines than a panel has pixels make a solid block."""
_OPEN_GAPS = 6  # that the first ε leaves open
_ROOM = 3.0  # how far an axis of ε goes beyond what is drawn, as a factor


def floor_of(dendrogram: Dendrogram) -> float:
    """Return the lowest ε at which structure may be shown, > 0 and finite, as a logarithmic axis needs.

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


def first_epsilon(dendrogram: Dendrogram) -> float:
    """An ε that leaves the six largest gaps open, three digits of it; with ties as few more or less as possible."""
    sizes = dendrogram.gaps(_OPEN_GAPS + 1).sizes.tolist()
    if len(sizes) <= _OPEN_GAPS or sizes[-2] == 0:
        return floor_of(dendrogram)
    opened, closed = sizes[-2:]
    middle = float(f"{(opened * closed) ** 0.5 or opened / 2:.3g}")
    return middle if closed <= middle < opened else closed or floor_of(dendrogram)


def resolution_grid(trees: Sequence[Dendrogram], count: int) -> NDArray[np.float64]:
    """Space `count` values of ε equally in log ε, from below the lowest floor to above the largest gap."""
    low = min(floor_of(tree) for tree in trees) / 3
    high = max(float(tree.gap_sizes.max(initial=0.0)) for tree in trees)
    return np.geomspace(low, max(2 * high, 100 * low), count)


def corners(tree: Dendrogram, grid: NDArray[np.float64], *, every: bool) -> tuple[NDArray[Any], ...]:
    """The curve of n(ε) over a grid of ε, and which points are of its unresolved and its resolved part.

    The first resolved point belongs to both parts, so that the curve does not break. Unless `every` point is wanted,
    only those where something changes are in either.
    """
    counts, resolved = tree.num_clusters(grid), grid > tree.resolution
    kept = (np.diff(counts, prepend=counts[0] + 1) != 0) | np.diff(resolved, prepend=False) | every
    kept[-1] = True
    return counts, kept & np.concatenate([[True], ~resolved[:-1]]), kept & resolved


def drawing_floor(tree: Dendrogram, most_merges: int = MOST_MERGES) -> float:
    """Return the ε above which merges are drawn: the resolution, or higher where more than `most_merges` exceed it."""
    sizes = np.sort(tree.gap_sizes)
    pruned = float(sizes[-most_merges - 1]) if len(sizes) > most_merges else 0.0
    return max(floor_of(tree), pruned)


def floor_reason(tree: Dendrogram, most_merges: int = MOST_MERGES) -> str:
    """Say why nothing is drawn below the floor."""
    if drawing_floor(tree, most_merges) > floor_of(tree):
        return f"all but {most_merges:,} merges (errors ≤ {tree.resolution:.1g})"
    return f"ε ≤ largest gap error {tree.resolution:.1g}" if tree.resolution > 0 else "below every positive gap"


def height_limits(trees: Sequence[Dendrogram], most_merges: int = MOST_MERGES) -> tuple[float, float]:
    """Choose one range of ε for several dendrograms, with room below the lowest floor and above the largest gap."""
    low = min(drawing_floor(tree, most_merges) for tree in trees) / _ROOM
    high = max(float(tree.gap_sizes.max(initial=0.0)) for tree in trees)
    return low, _ROOM * max(high, 10 * low)
