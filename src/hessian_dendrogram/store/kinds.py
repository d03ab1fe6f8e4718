"""The kinds of results that a run can hold, and what commands do with each of them beside storing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layout import Layout
from ..results.blocks import Blocks
from ..results.couplings import GroupCouplings
from ..results.density import Density
from ..results.directions import Directions
from ..results.spectrum import Spectrum
from ..results.stored import arrays_of, facts_of
from ..results.tree import BipartitionTree
from .blocks import block_cells, block_facts, check_blocks, describe_blocks
from .couplings import check_couplings, compacted_couplings, coupling_cells, describe_couplings
from .density import check_density, compacted_density, density_cells, density_facts, describe_density
from .directions import check_directions, compacted_directions, describe_directions, directions_cells, directions_facts
from .spectra import check_spectrum, compacted, describe, spectrum_cells, spectrum_facts
from .trees import check_tree, describe_tree, tree_cells, tree_facts


def _any(result: Any, layout: Layout) -> None:
    """Nothing is known that a result would have to agree with."""


def _plain(result: Any) -> dict[str, Any]:
    """All facts of a result, and the shapes of its arrays."""
    arrays = {name: getattr(result, name) for name in arrays_of(result)}
    shapes = {name: list(array.shape) for name, array in arrays.items() if array is not None}
    return {name: getattr(result, name) for name in facts_of(result)} | shapes


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    Attributes:
        result: the dataclass; its fields say what is stored (see `results.stored`).
        summary: for `info`: numbers of a result, as JSON-like values.
        words: for `info`: the summary in one line.
        cells: for `info`: the summary as a row of a table, by the names of its columns.
        compacted: for `compact`: a result with so many eigenvectors, and the arrays to be stored in a coarser type.
        check: raises ValueError where a result does not go with the layout of its analysis.
        core: the parts of a result that `summary` does not need.
        places: under which keys `info --json` lists its analyses, and the results of each.
    """

    result: type[Any]
    summary: Callable[[Any], dict[str, Any]] = _plain
    words: Callable[[dict[str, Any]], str] = lambda row: ", ".join(f"{key} {value}" for key, value in row.items())
    cells: Callable[[dict[str, Any]], dict[str, str]] = lambda row: {key: str(value) for key, value in row.items()}
    compacted: Callable[[Any, Layout, int], tuple[Any, dict[str, type[np.floating]]]] = lambda result, *_: (result, {})
    check: Callable[[Any, Layout], None] = _any
    places: tuple[str, str] = ("analyses", "results")


KINDS: dict[str, Kind] = {
    "spectrum": Kind(
        Spectrum, spectrum_facts, describe, spectrum_cells, compacted, check_spectrum, ("analyses", "spectra")
    ),
    "tree": Kind(
        BipartitionTree,
        tree_facts,
        describe_tree,
        tree_cells,
        check=check_tree,
        places=("bipartitions", "trees"),
    ),
    "density": Kind(Density, density_facts, describe_density, density_cells, compacted_density, check_density),
    "directions": Kind(
        Directions, directions_facts, describe_directions, directions_cells, compacted_directions, check_directions
    ),
    "blocks": Kind(Blocks, block_facts, describe_blocks, block_cells, check=check_blocks),
    "couplings": Kind(
        GroupCouplings,
        GroupCouplings.facts,
        describe_couplings,
        coupling_cells,
        compacted=compacted_couplings,
        check=check_couplings,
    ),
}
"""By the name of the kind, which is that of its JSON file, too."""


def kind_of(result: object) -> str:
    """The name of a result's kind."""
    return next(name for name, kind in KINDS.items() if type(result) is kind.result)
