"""Rows of the table that is made from one parameter dendrogram: its nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..results.table import Column
from ..results.tree import BipartitionTree

NODES = {
    "node": Column("whole", "number of the node; 0 has every parameter that is coupled to another one"),
    "parent": Column("whole", "node that it is a part of; node 0 has none"),
    "start": Column("whole", "the node has the parameters order[start:stop] of the tree"),
    "stop": Column("whole", "see start"),
    "parameters": Column("whole", "how many: stop - start"),
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
