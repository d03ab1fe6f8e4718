"""An eigenvalue dendrogram as a tree of nodes, whose stems are cut where a resolution ε crosses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clusters import cluster_of, cluster_rows, clusters_at
from .dendrogram import Dendrogram
from .measured import place_of, written_as

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CutTree:
    """The k eigenvalues, the k - 1 merges in the order of `Dendrogram.linkage`, then a node on every stem that is cut.

    Attributes:
        heights: ε of each node, shape (nodes,); an eigenvalue has 0.
        parents: the node above each, -1 at the root.
        at: the eigenvalue or merge above whose place a node stands, which of the first two kinds is its own.
        told: the merge, or the single eigenvalue, that the stem of a node tells of.
        sizes: eigenvalues of each of the first 2k - 1 nodes.
        clusters: the cluster at ε of each node, from 0, -1 above ε.
        roots: of each cluster the node that is all of it.
    """

    heights: Floats
    parents: Integers
    at: Integers
    told: Integers
    sizes: Integers
    clusters: Integers
    roots: Integers


def cut_tree(tree: Dendrogram, epsilon: float, *, above: float) -> CutTree:
    """Cut a tree at ε, in units of the eigenvalues; no stem is cut where ε is not above a least height."""
    count, here, linkage = len(tree.eigenvalues), clusters_at(tree, epsilon), tree.linkage
    heights = np.concatenate([np.zeros(count), linkage[:, 2]])
    parents = np.full(len(heights), -1, dtype=np.int64)
    parents[linkage[:, :2].astype(np.int64)] = count + np.arange(len(linkage))[:, None]
    sizes = np.concatenate([np.ones(count), linkage[:, 3]]).astype(np.int64)
    # The cluster of each node, by one of its eigenvalues; the last node of a cluster is all of it.
    inside = np.concatenate([np.arange(count), np.argsort(tree.gap_sizes, kind="stable")])
    clusters = np.where(heights <= epsilon, here.of(inside), -1)
    roots = np.zeros(len(here.starts), dtype=np.int64)
    np.maximum.at(roots, clusters[clusters >= 0], np.flatnonzero(clusters >= 0))
    cut = np.flatnonzero(heights[roots] < epsilon) if epsilon > above else np.empty(0, int)
    stems, own = roots[cut], np.arange(len(heights))
    over = parents[stems]
    parents[stems] = len(heights) + np.arange(len(cut))
    return CutTree(
        heights=np.append(heights, np.full(len(cut), epsilon)),
        parents=np.append(parents, over),
        at=np.append(own, stems),
        told=np.append(own, np.where(over >= 0, over, stems)),
        sizes=sizes,
        clusters=np.append(clusters, np.full(len(cut), -1)),
        roots=roots,
    )


def chosen_cluster(tree: Dendrogram, epsilon: float, eigenvalue: float | None) -> tuple[int, int, int] | None:
    """`cluster_of` an eigenvalue that is given in units of the matrix; `None` for none, or one without a logarithm."""
    place = None if eigenvalue is None else place_of(tree, eigenvalue)
    return None if place is None else cluster_of(tree, epsilon, place)


def written_rows(tree: Dendrogram, epsilon: float) -> list[dict[str, Any]]:
    """`cluster_rows` with the ends of each cluster as they are written."""
    return [row | {end: written_as(tree, row[end]) for end in ("from", "to")} for row in cluster_rows(tree, epsilon)]
