"""How far trees that were cut from independent draws agree: the adjusted Rand index of their clusters.

For two partitions of n things with n_ij in cluster i of the one and j of the other, and pairs C(m) = m (m - 1) / 2,

    index = (Σ C(n_ij) - E) / ((Σ C(n_i.) + Σ C(n_.j)) / 2 - E),    E = Σ C(n_i.) Σ C(n_.j) / C(n)

(Hubert & Arabie 1985): 1 where they are the same, 0 in the mean where one is shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from ..results.tree import BipartitionTree
from ..results.tree_checks import AGREEMENT_AT

Integers = NDArray[np.int64]


def adjusted_rand_index(one: ArrayLike, other: ArrayLike) -> float:
    """The adjusted Rand index of two partitions, given as labels: NaN where both are trivial, and any two would agree.

    Raises:
        UserError: they are not of the same things.
    """
    first, second = (np.unique(np.asarray(labels), return_inverse=True)[1].ravel() for labels in (one, other))
    n = len(first)
    if len(second) != n:
        raise UserError(f"two partitions must be of the same things, got labels of {n} and of {len(second)}")
    joint = np.unique(np.stack([first, second]), axis=1, return_counts=True)[1] if n else np.empty(0, np.int64)
    together, rows, columns = (_pairs(counts) for counts in (joint, np.bincount(first), np.bincount(second)))
    if n < 2 or rows == columns == 0 or rows == columns == _pairs(np.array([n])):
        return float("nan")
    expected = rows * columns / _pairs(np.array([n]))
    return float((together - expected) / ((rows + columns) / 2 - expected))


def agreement(
    whole: BipartitionTree, pairs: Sequence[tuple[BipartitionTree, BipartitionTree]]
) -> list[list[float | None]]:
    """For each pair of trees how far their cuts into 2 to 20 clusters agree: `None` where there is nothing to agree on.

    Vertices that are isolated in the whole tree are left out: they belong to no cluster, whatever is drawn.

    Args:
        whole: the tree of all draws.
        pairs: of trees of the same vertices, each from a half of the draws.
    """
    return [[_at(whole, one, other, k) for k in AGREEMENT_AT] for one, other in pairs]


def _at(whole: BipartitionTree, one: BipartitionTree, other: BipartitionTree, k: int) -> float | None:
    if k > len(whole.leaves):  # it has no k clusters
        return None
    index = adjusted_rand_index(_labels(one, k)[whole.order], _labels(other, k)[whole.order])
    return index if np.isfinite(index) else None


def _labels(tree: BipartitionTree, k: int) -> Integers:
    """Those of `cut(k)`; a vertex that is isolated in this half alone is a cluster of its own."""
    labels = tree.labels(k)
    alone = np.flatnonzero(labels < 0)
    labels[alone] = labels.max(initial=0) + 1 + np.arange(len(alone))
    return labels


def _pairs(counts: Integers) -> int:
    return sum(count * (count - 1) // 2 for count in counts.tolist())
