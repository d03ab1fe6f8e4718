"""How many clusters a coupling graph has, by a rule: where its eigenvalues, or its cuts, leave the largest gap.

Both rules may say that it is one. Neither has a null of its own: noise has a largest gap, too. So the clusters of a
number by rule are worth reporting beside those of independent draws of the graph (`GroupCouplings.halves`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh

from ...errors import UserError
from ...results.tree import BipartitionTree
from .coupling import coupling_graph

ClusterRule = Literal["eigengap", "conductance"]
CLUSTER_RULES: tuple[ClusterRule, ...] = get_args(ClusterRule)
MOST_CLUSTERS = 20


def number_of_clusters(
    W: ArrayLike,
    tree: BipartitionTree,
    *,
    rule: ClusterRule = "conductance",
    least: int = 1,
    most: int = MOST_CLUSTERS,
) -> int:
    """How many clusters of a tree to take, by a rule, from `least` to `most`.

    Isolated vertices are set aside, as the tree does. Where several gaps agree, the smallest number is taken.

    Args:
        W: weights of the graph, as for `recursive_bipartition`, shape (n, n).
        tree: of that graph.
        rule: `"eigengap"`, the k with the largest gap between the k-th and the next smallest eigenvalue of the
            normalised Laplacian (U. von Luxburg 2007, Statistics and Computing 17, 395, section 8.3), whatever
            Laplacian the tree was cut by; it takes all eigenvalues of a dense matrix. Or `"conductance"`, the k after
            which the conductance of the next cut, in the order of `tree.cut`, rises most; with 0 before the first.
        least: the smallest number that is looked at. Graphs in which everything is coupled to everything, as groups of
            parameters are by noise alone, have their largest gap at 1; 2 asks where it is if there are parts at all.
        most: the largest.

    Raises:
        UserError: no such rule; the numbers are not whole, or not 1 <= least <= most; W is no coupling graph, or of
            another size.
    """
    if rule not in CLUSTER_RULES:
        raise UserError(f"rule must be {' or '.join(CLUSTER_RULES)}, got {rule!r:.60}")
    if not (type(least) is int and type(most) is int and 1 <= least <= most):
        raise UserError(f"least and most must be whole numbers, 1 <= least <= most; got {least!r:.60} and {most!r:.60}")
    weights = coupling_graph(W)
    if len(weights) != tree.size:
        raise UserError(f"the tree has {tree.size} vertices, the graph has {len(weights)}")
    if rule == "eigengap":
        gaps = _eigengaps(weights, most)
        first = min(least, len(gaps))
        return first + int(gaps[first - 1 :].argmax())
    numbers, conductances = _openings(tree, most)
    rises = np.diff(conductances, prepend=0.0)
    allowed = [at for at, k in enumerate(numbers) if k >= least] or [len(numbers) - 1]
    return numbers[max(allowed, key=lambda at: (rises[at], -at))]


def _eigengaps(weights: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The gaps above the first, the second, ... eigenvalue of the normalised Laplacian."""
    there = weights.any(axis=1)
    inner = weights[np.ix_(there, there)]
    inner /= inner.max()  # degrees are then no larger than their number
    roots = np.sqrt(inner.sum(axis=1))
    inner /= -roots[:, None] * roots
    inner[np.diag_indices_from(inner)] += 1
    last = min(len(inner) - 1, most)
    return np.diff(eigvalsh(inner, subset_by_index=[0, last]))


def _openings(tree: BipartitionTree, most: int) -> tuple[list[int], list[float]]:
    """Numbers of clusters that the tree can be cut into, and the conductance of the cut that is made next.

    Where nothing is left to cut it is 1, the largest that there is.
    """
    numbers: list[int] = []
    conductances: list[float] = []
    k = 1
    while k <= most:
        nodes = tree.cut(k)
        inner = [float(tree.conductances[node]) for node in nodes if tree.children[node]]
        if len(nodes) > most and numbers:
            break
        numbers.append(len(nodes))
        conductances.append(min(inner, default=1.0))
        if not inner:
            break
        k = len(nodes) + 1
    return numbers, conductances
