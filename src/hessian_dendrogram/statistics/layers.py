"""Layers of a model, the tensors of one module together, and what of them is in the parts of a parameter dendrogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..texts import shortened

Integers = NDArray[np.int64]
CLUSTERS = 6
"""Of a tree that are shown."""
MOST_LAYERS = 100
"""That are told apart: nobody reads a longer legend, and drawing would take minutes."""
_LONGEST_NAME = 50  # characters
_MAJORITY = 2 / 3  # of a branch's parameters, for it to be of a layer
_WITHIN = (1.0, 99.0)  # percentiles of block means: a few are far beyond the others


def layer_names(layout: Layout) -> tuple[list[str], Integers]:
    """The layers in the layout's order, and the layer of each parameter: shape (size,).

    A tensor `conv1.weight` belongs to the layer `conv1`, one whose name has no dot is a layer of its own. Where a
    layout has groups, these are shown in place of layers.
    """
    names, of_parts = part_layers(layout)
    return names, of_parts[layout.part_owners()]


def part_layers(layout: Layout) -> tuple[list[str], Integers]:
    """The layers in the layout's order, and the layer of each of its parts: shape (parts,).

    Of more than 100 layers the 99 with most parameters are told apart, and all others are one, which comes last.
    """
    of_parts = list(layout.parts) if layout.groups else [name.rpartition(".")[0] or name for name in layout.names]
    names = list(dict.fromkeys(of_parts))
    numbers = {name: number for number, name in enumerate(names)}
    layers = np.array([numbers[layer] for layer in of_parts], dtype=np.int64)
    shown = [shortened(name, _LONGEST_NAME) for name in names]
    if len(names) <= MOST_LAYERS:
        return shown, layers
    sizes = np.bincount(layers[layout.part_owners()], minlength=len(names))
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_LAYERS - 1])
    merged = np.full(len(names), len(kept))
    merged[kept] = np.arange(len(kept))
    return [*(shown[layer] for layer in kept), f"{len(names) - len(kept):,} smaller layers"], merged[layers]


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


def coupling_limits(means: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Between which values all but a few of several block means of couplings lie; both > 0 unless all are zero."""
    positive = np.concatenate([one[one > 0].ravel() for one in means])
    if not positive.size:
        return 0.0, 0.0
    low, high = np.percentile(positive, _WITHIN).tolist()
    return min(low, high / 10), high
