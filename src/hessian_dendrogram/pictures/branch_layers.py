"""The branches of a parameter dendrogram: how many parameters of each layer they have, and which layer colours them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from .layers import layer_names

Integers = NDArray[np.int64]
CLUSTERS = 6
"""Of a tree that are shown."""
_MAJORITY = 2 / 3  # of a branch's parameters, for the colour of a layer


def layer_counts(tree: BipartitionTree, layers: Integers, count: int) -> Integers:
    """Parameters of each layer in each node: shape (nodes, layers)."""
    ordered = layers[tree.order]
    cumulative = np.zeros((len(ordered) + 1, count), dtype=np.int64)
    np.cumsum(ordered[:, None] == np.arange(count), axis=0, out=cumulative[1:])
    return np.asarray(cumulative[tree.stops] - cumulative[tree.starts])


def branch_layers(counts: Integers) -> Integers:
    """The layer that has two thirds of a node's parameters, -1 where none has: shape (nodes,)."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.where(shares.max(axis=1) >= _MAJORITY, shares.argmax(axis=1), -1)


def cluster_layers(tree: BipartitionTree, layout: Layout, k: int) -> Integers:
    """Parameters of each layer in the k largest clusters of `tree.cut(k)`, by size: shape (<= k, layers)."""
    names, layers = layer_names(layout)
    nodes = tree.cut(k)
    largest = nodes[np.argsort(tree.starts[nodes] - tree.stops[nodes], kind="stable")][:k]
    return layer_counts(tree, layers, len(names))[largest]
