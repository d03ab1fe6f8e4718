"""BipartitionTree: nested sets of parameters, or of groups of them, from cutting a coupling graph again and again."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..layout import Layout
from .html import card
from .sketch import nested
from .stored import FLAGS, INDICES, NUMBERS, stored
from .tree_checks import AGREEMENT_AT, confirm_agreement, confirm_numbers, confirm_picture

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Laplacian = Literal["normalised", "plain"]
LAPLACIANS: tuple[Laplacian, ...] = ("normalised", "plain")
Split = Literal["sweep", "sign", "median"]
SPLITS: tuple[Split, ...] = ("sweep", "sign", "median")

Vertices = Literal["parameters", "groups"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BipartitionTree:
    """A tree of nested sets of parameters, or of groups of parameters, which then stand for "parameters" below.

    Node 0 has every parameter that is coupled to another one; a parent comes before its children, and each node is a
    run `order[starts[i]:stops[i]]`. A node that falls into components has one child for each of them and the numbers 0,
    0 and 0; a cut has two children, the larger first; a leaf has none, and NaN for its numbers.

    Attributes:
        size: n, the number of parameters.
        order: shape (m,), the parameters but the isolated ones.
        isolated: shape (n - m,), ascending; not coupled to any other.
        starts: shape (nodes,).
        stops: shape (nodes,).
        parents: shape (nodes,); -1 for node 0.
        eigenvalues: shape (nodes,), of the Laplacian and of the vector that was cut.
        connectivities: shape (nodes,), λ₂ of the plain Laplacian of the node's own graph.
        conductances: shape (nodes,), of the cut, within the node's own graph.
        is_degenerate: shape (nodes,); the vector was one of many, so the cut is arbitrary.
        laplacian: how the tree was made, as for `recursive_bipartition`.
        split: the same.
        min_size: the same.
        picture: means of the graph's weights over blocks, the parameters in the order of the tree and the isolated ones
            last, shape (blocks, blocks); `None` where not known.
        vertices: what is divided, `"parameters"` or `"groups"` of them.
        agreement: adjusted Rand indices of the clusters of trees from halves of the draws, a row for each way to halve
            them, at each k of `AGREEMENT_AT`; `None` for one of a k at which any two trees agree. `None` where nothing
            was drawn.
        provenance: where the matrix comes from (operator, samples, dtype), as JSON-like values.

    Raises:
        UserError: the arrays contradict each other.
    """

    size: int
    order: Integers = stored(*INDICES, least=0)
    isolated: Integers = stored(*INDICES, least=0)
    starts: Integers = stored(*INDICES, least=0)
    stops: Integers = stored(*INDICES, least=0)
    parents: Integers = stored(*INDICES, least=-1)
    eigenvalues: Floats = stored(*NUMBERS)
    connectivities: Floats = stored(*NUMBERS)
    conductances: Floats = stored(*NUMBERS)
    is_degenerate: NDArray[np.bool_] = stored(*FLAGS)
    laplacian: Laplacian
    split: Split
    min_size: int
    picture: NDArray[np.float32] | None = stored("f4", axes=2, least=0, finite=True, part="picture", default=None)
    vertices: Vertices = "parameters"
    agreement: list[list[float | None]] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, nodes = len(self.order), np.arange(len(self.parents))
        columns = (
            self.starts,
            self.stops,
            self.eigenvalues,
            self.connectivities,
            self.conductances,
            self.is_degenerate,
        )
        if not (nodes.size and all(column.shape == nodes.shape for column in columns)):
            raise UserError(
                f"a tree needs one entry per node in each column, got {[len(column) for column in columns]}"
            )
        everyone = np.sort(np.concatenate([self.order, self.isolated]))
        if not np.array_equal(everyone, np.arange(self.size)):
            raise UserError(f"order and isolated must have each of the {self.size} parameters once")
        if self.parents[0] != -1 or not ((self.parents[1:] >= 0) & (self.parents[1:] < nodes[1:])).all():
            raise UserError("a parent must come before its children, and node 0 has none")
        if (self.starts[0], self.stops[0]) != (0, count):
            raise UserError(f"node 0 must have all {count} parameters of the order")
        for node, below in enumerate(self.children):
            edges = [self.starts[node], *(self.stops[child] for child in below)]
            if below and (
                edges[-1] != self.stops[node] or any(self.starts[c] != e for c, e in zip(below, edges, strict=False))
            ):
                raise UserError(f"the children of node {node} must divide its parameters")
            if not below and not self.starts[node] < self.stops[node]:
                raise UserError(f"node {node} has no parameters")
        confirm_picture(self.picture, self.size)
        is_inner = np.array([bool(below) for below in self.children])
        confirm_numbers(is_inner, self.eigenvalues, self.connectivities, self.conductances)
        if self.laplacian not in LAPLACIANS or self.split not in SPLITS or self.min_size < 1:
            raise UserError(
                f"a tree is cut by {' or '.join(LAPLACIANS)}, by {', '.join(SPLITS)}, down to 1 or more; got "
                f"{self.laplacian!r}, {self.split!r}, {self.min_size}"
            )
        if self.vertices not in get_args(Vertices):
            raise UserError(f"a tree divides {' or '.join(get_args(Vertices))}, got {self.vertices!r:.60}")
        confirm_agreement(self.agreement)

    def agreement_at(self, k: int) -> float | None:
        """How far trees from halves of the draws agree at k clusters, 1 for the same and 0 for chance.

        It is the mean over ways to halve them; `None` where it is not known.
        """
        found = [row[k - AGREEMENT_AT.start] for row in self.agreement or []] if k in AGREEMENT_AT else []
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known else None

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each node, in the order of their parameters."""
        found: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                found[parent].append(node)
        return tuple(map(tuple, found))

    def __repr__(self) -> str:
        return (
            f"BipartitionTree({self.size:,} {self.vertices}, {len(self.isolated):,} isolated, "
            f"{len(self.leaves):,} leaves, {self.laplacian} Laplacian, {self.split} cuts)"
        )

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {self.vertices: f"{self.size:,}, {len(self.isolated):,} of them isolated"}
        facts |= {"leaves": f"{len(self.leaves):,}", "made by": f"{self.laplacian} Laplacian, {self.split} cuts"}
        row = np.zeros(len(self.parents), dtype=np.int64)
        for node, parent in enumerate(self.parents[1:].tolist(), 1):
            row[node] = row[parent] + 1
        columns = self.starts / self.size, self.stops / self.size, row, ~self.is_degenerate
        boxes = zip(*(column.tolist() for column in columns), strict=True)
        caption = f"Each box is a part, as wide as its {self.vertices} are many, below the one it was cut from"
        faint = "; faint ones were cut arbitrarily" if self.is_degenerate.any() else ""
        return card("Parameter dendrogram", facts, nested(boxes, int(row.max()) + 1), f"{caption}{faint}.")

    @cached_property
    def leaves(self) -> Integers:
        """The nodes without children, in the order of their parameters."""
        return np.array([node for node, below in enumerate(self.children) if not below])

    @cached_property
    def levels(self) -> Integers:
        """The levels below each node: 0 for a leaf, else one more than the most of its children."""
        levels = np.zeros(len(self.parents), dtype=np.int64)
        for node in range(len(self.parents) - 1, 0, -1):
            parent = self.parents[node]
            levels[parent] = max(levels[parent], levels[node] + 1)
        return levels

    def members(self, node: int) -> Integers:
        """The parameters of a node, ascending."""
        return np.sort(self.order[self.starts[node] : self.stops[node]])

    @cached_property
    def linkage(self) -> Floats:
        """The tree over its leaves in SciPy's format: shape (leaves - 1, 4).

        Leaf i of `leaves` is cluster i. Heights are `levels`: they say how often a node was cut and nothing else, so
        they grow towards the root whatever the eigenvalues do. A node with c children takes c - 1 rows of one height.
        """
        number = {int(leaf): position for position, leaf in enumerate(self.leaves)}
        count = dict.fromkeys(number, 1)
        rows: list[tuple[int, int, int, int]] = []
        inner = [node for node in range(len(self.parents)) if self.children[node]]
        for node in sorted(inner, key=lambda node: (self.levels[node], -node)):
            first, *others = self.children[node]
            merged, total = number[first], count[first]
            for child in others:
                total += count[child]
                pair = min(merged, number[child]), max(merged, number[child])
                rows.append((*pair, int(self.levels[node]), total))
                merged = len(self.leaves) + len(rows) - 1
            number[node], count[node] = merged, total
        return np.array(rows, dtype=np.float64).reshape(-1, 4)

    def cut(self, k: int) -> Integers:
        """The nodes that remain when the tree is opened from the root until there are k.

        Of the nodes that are there, the one whose cut has the smallest conductance is opened next, the larger one where
        two agree. A node that falls into components is opened as a whole, so there may be more than k; there are fewer
        where the leaves are.

        Raises:
            UserError: k is no whole number of 1 or more.
        """
        if not (isinstance(k, Integral) and k >= 1):
            raise UserError(f"a tree is cut into a whole number of clusters, one or more, got {k}")
        closed: list[int] = []
        heap = [self._urgency(0)]
        while heap and len(closed) + len(heap) < k:
            node = heapq.heappop(heap)[-1]
            if self.children[node]:
                for child in self.children[node]:
                    heapq.heappush(heap, self._urgency(child))
            else:
                closed.append(node)
        return np.array(sorted([*closed, *(entry[-1] for entry in heap)], key=lambda node: self.starts[node]))

    def _urgency(self, node: int) -> tuple[float, int, int]:
        conductance = self.conductances[node] if self.children[node] else np.inf
        return float(conductance), int(self.starts[node] - self.stops[node]), node

    def labels(self, k: int) -> Integers:
        """For each parameter the number of its cluster in `cut(k)`, -1 for an isolated one: shape (n,)."""
        labels = np.full(self.size, -1)
        for number, node in enumerate(self.cut(k)):
            labels[self.order[self.starts[node] : self.stops[node]]] = number
        return labels

    def composition(self, layout: Layout, k: int) -> Integers:
        """How many parameters of each group or tensor are in each cluster of `cut(k)`: shape (clusters, layout.parts).

        Raises:
            UserError: the layout has another size.
        """
        if layout.size != self.size:
            raise UserError(f"the tree has {self.size} parameters, the layout has {layout.size}")
        owners, parts = layout.part_owners(), len(layout.parts)
        return np.stack(
            [
                np.bincount(owners[self.order[self.starts[node] : self.stops[node]]], minlength=parts)
                for node in self.cut(k)
            ]
        )
