"""Recursive bipartition as an object that an analysis holds: the coupling graph of an operator, cut again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import UserError
from ..operators.operator import CurvatureOperator
from ..results.tree import BipartitionTree, Laplacian, Split
from .graph.bipartition import checked_options, coupling_picture, default_min_size, recursive_bipartition
from .graph.coupling import coupling_graph

MEMORY_FOR_GRAPH = 2**34
"""Bytes that a coupling graph, its matrix and their work space may take."""


@dataclass(frozen=True, kw_only=True)
class Bipartition:
    """A parameter dendrogram, by `recursive_bipartition`.

    Attributes:
        laplacian, split, min_size: as for that function.

    Raises:
        UserError: an option is none of those there are.
    """

    kind: ClassVar[str] = "tree"
    ending: ClassVar[str] = ".fiedler"
    takes_many_products: ClassVar[bool] = False
    laplacian: Laplacian = "normalised"
    split: Split = "sweep"
    min_size: int | None = None

    def __post_init__(self) -> None:
        checked_options(self.laplacian, self.split, self.min_size)

    def check(self, size: int) -> None:
        """Refuse a graph that does not fit in memory."""
        if 3 * 8 * size**2 > MEMORY_FOR_GRAPH:
            raise UserError(
                f"a network of {size:,} parameters has a graph of {8 * size**2 / 1e9:.1f} GB, and three are needed; "
                f"there may be at most {int((MEMORY_FOR_GRAPH / 24) ** 0.5):,} parameters, fewer with `parameters=`"
            )

    def configuration(self, size: int) -> dict[str, Any]:
        """How the graph is cut."""
        smallest = default_min_size(size) if self.min_size is None else self.min_size
        return {"laplacian": self.laplacian, "split": self.split, "min_size": smallest}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> BipartitionTree:  # noqa: ARG002
        """The tree, with the picture of its graph."""
        weights = coupling_graph(operator.to_dense(progress=progress).cpu().numpy())
        tree = recursive_bipartition(weights, laplacian=self.laplacian, split=self.split, min_size=self.min_size)
        picture = coupling_picture(weights, tree).astype(np.float32)
        return replace(tree, picture=picture, provenance=operator.describe())
