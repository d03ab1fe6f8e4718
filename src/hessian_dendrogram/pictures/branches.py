"""The branches of a tree as few long lines, which a browser draws far faster than a line for each branch.

A branch goes from its parent along the bar at the parent's height, and then down to its node. The pen follows a branch,
goes round all that hangs below it and comes back the same way, so that it is seldom lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .marks import INK, Facts, Line

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Branches:
    """A tree.

    Attributes:
        places: where the nodes stand, shape (n,).
        heights: of the nodes, none above its parent's, shape (n,).
        parents: the node above each, -1 at a root, shape (n,).
        facts: one row a node; said along the bar and the stems that hang from it.
    """

    places: Floats
    heights: Floats
    parents: Integers
    facts: Facts

    def line(self, chosen: Integers, colour: str = INK, width: float = 1.0, label: str = "") -> Line:
        """Some branches, by the nodes at their lower ends."""
        x, y, owners = self.pen(chosen)
        said = Facts(self.facts.template, {name: column[owners] for name, column in self.facts.columns.items()})
        return Line(x, y, colour, width, label=label, facts=said)

    def pen(self, chosen: Integers) -> tuple[Floats, Floats, Integers]:
        """Places and heights of the corners of some branches, and the node whose bar or stem a corner belongs to.

        That is the parent of its branch. Where the pen is lifted the first two are NaN, and the node is -1.
        """
        below: dict[int, list[int]] = {}
        for node in chosen.tolist():
            below.setdefault(int(self.parents[node]), []).append(node)
        hanging = {node for nodes in below.values() for node in nodes}
        corners: list[
            tuple[int, int, int]
        ] = []  # the nodes that a corner has its place, its height and its branch from
        for root in sorted(below.keys() - hanging):
            corners.append((root, root, root))
            waiting = [(node, False) for node in below[root][::-1]]
            while waiting:
                node, is_way_back = waiting.pop()
                parent = int(self.parents[node])
                if is_way_back:  # to the middle of the parent's bar
                    corners += [(node, parent, parent), (parent, parent, parent)]
                else:
                    corners += [(node, parent, parent), (node, node, parent)]
                    waiting += [(node, True), *((child, False) for child in below.get(node, [])[::-1])]
            corners.append((-1, -1, -1))
        across, upright, owners = np.array(corners, dtype=np.int64).reshape(-1, 3).T
        lifted = owners < 0
        return np.where(lifted, np.nan, self.places[across]), np.where(lifted, np.nan, self.heights[upright]), owners
