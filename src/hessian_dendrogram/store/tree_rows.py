"""Rows of the table that is made from one dendrogram of parameters, or of groups of them: its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..results.table import Column
from ..results.tree import BipartitionTree
from ..texts import shortened

NODES = {
    "node": Column("whole", "number of the node; 0 has every parameter, or group, that is coupled to another one"),
    "parent": Column("whole", "node that it is a part of; node 0 has none"),
    "start": Column("whole", "the node has the parameters, or groups, order[start:stop] of the tree"),
    "stop": Column("whole", "see start"),
    "parameters": Column("whole", "how many, of groups in a tree of groups: stop - start"),
    "children": Column("whole", "number of nodes that it is divided into: 0 of a leaf, 2 of a cut, else components"),
    "levels": Column("whole", "levels below it, 0 of a leaf"),
    "eigenvalue": Column("number", "of the Laplacian that was cut, of its Fiedler vector; not known of a leaf"),
    "connectivity": Column("number", "algebraic connectivity of the node, in units of the matrix; not known of a leaf"),
    "conductance": Column("number", "of the cut, 0 to 1; not known of a leaf"),
    "degenerate": Column("flag", "whether the Fiedler vector was one of many, so that the cut is arbitrary"),
}


def node_rows(tree: BipartitionTree) -> dict[str, Any]:
    """Every node, parents before their children."""
    return {
        "node": np.arange(len(tree.parents)),
        "parent": np.where(tree.parents < 0, np.nan, tree.parents),
        "start": tree.starts,
        "stop": tree.stops,
        "parameters": tree.stops - tree.starts,
        "children": np.array([len(below) for below in tree.children]),
        "levels": tree.levels,
        "eigenvalue": tree.eigenvalues,
        "connectivity": tree.connectivities,
        "conductance": tree.conductances,
        "degenerate": tree.is_degenerate,
    }


def cluster_rows(tree: BipartitionTree, names: Sequence[str], k: int) -> list[dict[str, Any]]:
    """The clusters of `cut(k)` of a tree of groups, the largest first, with the names of what is in each.

    Clusters are numbered from 1 in the order of the tree; isolated groups come last.
    """
    found = [tree.members(node).tolist() for node in tree.cut(k)]
    order = sorted(range(len(found)), key=lambda number: (-len(found[number]), number))
    clusters = [(str(number + 1), found[number]) for number in order]
    if tree.isolated.size:
        clusters.append(("isolated", tree.isolated.tolist()))
    return [{"cluster": name, "groups": len(of), "names": _joined(names, of)} for name, of in clusters]


def _joined(names: Sequence[str], members: Sequence[int]) -> str:
    return ", ".join(shortened(names[at], 40) for at in members)
