"""Blocks: the spectra or densities of several diagonal blocks of one matrix, such as those of the layers of a network.

What is of one eigenvalue, or of one probe, stands in one array for all blocks, block after block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .density import Density
from .html import card
from .spectrum import Spectrum
from .stored import FLAGS, INDICES, NUMBERS, stored

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Spectra of diagonal blocks, or densities where the rest of a block is known by probes.

    Args:
        names: of the blocks, all different.
        sizes: rows of each block, shape (blocks,).
        counts: eigenvalues known of each, shape (blocks,).
        num_bottom: as in `Spectrum`, shape (blocks,).
        num_top: likewise.
        traces: of the blocks, NaN where not known, shape (blocks,).
        trace_errors: the bound of a sum of eigenvalues, the standard error of an estimate, shape (blocks,).
        eigenvalues: of all blocks, one after another, as in `Spectrum`, shape (sum of counts,).
        error_bounds: likewise.
        converged: likewise.
        probes: of each block, 0 where there are none, shape (blocks,).
        nodes: of all probes, as in `Density`, shape (sum of probes, steps).
        weights: likewise.
        is_exact: of all probes, shape (sum of probes,).
        node_bounds: likewise.
        provenance: where the numbers come from, as JSON-like values.

    Raises:
        UserError: the arrays contradict each other.
    """

    names: tuple[str, ...]
    sizes: Integers = stored(*INDICES, least=1)
    counts: Integers = stored(*INDICES, least=0)
    num_bottom: Integers = stored(*INDICES, least=0)
    num_top: Integers = stored(*INDICES, least=0)
    traces: Floats = stored(*NUMBERS)
    trace_errors: Floats = stored(*NUMBERS)
    eigenvalues: Floats = stored(*NUMBERS, finite=True)
    error_bounds: Floats = stored(*NUMBERS, least=0)
    converged: NDArray[np.bool_] = stored(*FLAGS)
    probes: Integers = stored(*INDICES, least=0)
    nodes: Floats = stored(*NUMBERS, axes=2, finite=True)
    weights: Floats = stored(*NUMBERS, axes=2, least=0)
    is_exact: NDArray[np.bool_] = stored(*FLAGS)
    node_bounds: Floats = stored(*NUMBERS, least=0)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names: Any = self.names
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
            raise UserError(f"blocks need names, got {str(names)[:60]}")
        object.__setattr__(self, "names", tuple(names))
        if len({*names}) < len(names):
            raise UserError("blocks need names that are all different")
        columns = self.sizes, self.counts, self.num_bottom, self.num_top, self.traces, self.trace_errors, self.probes
        if any(column.shape != (len(names),) for column in columns):
            raise UserError(f"blocks need one entry for each of {len(names)} names in each column")
        known, probes = int(self.counts.sum()), int(self.probes.sum())
        if any(len(one) != known for one in (self.eigenvalues, self.error_bounds, self.converged)):
            raise UserError(f"the counts of the blocks add up to {known}, got {len(self.eigenvalues)} eigenvalues")
        if any(len(one) != probes for one in (self.nodes, self.weights, self.is_exact, self.node_bounds)):
            raise UserError(f"the probes of the blocks add up to {probes}, got nodes for {len(self.nodes)}")
        for _, result in self.items():
            assert isinstance(result, Spectrum | Density)

    def __repr__(self) -> str:
        names = ", ".join(self.names[:5])
        return f"Blocks({len(self.names):,} blocks of {int(self.sizes.sum()):,} parameters: {names})"

    def _repr_html_(self) -> str:
        facts = {name: repr(result) for name, result in self.items()}
        return card("Blocks", dict(list(facts.items())[:20]), caption="")

    def __getitem__(self, name: str) -> Spectrum | Density:
        """The density of a block that has probes, the spectrum of another one.

        Raises:
            UserError: there is no such block.
        """
        at = self._position(name)
        return self.density(name) if self.probes[at] else self.spectrum(name)

    def items(self) -> Iterator[tuple[str, Spectrum | Density]]:
        """Name and result of each block."""
        return ((name, self[name]) for name in self.names)

    def spectrum(self, name: str) -> Spectrum:
        """The eigenvalues of a block that are known one by one.

        Raises:
            UserError: there is no such block, or none of its eigenvalues is known.
        """
        at, part = self._position(name), self._part(name, self.counts)
        if part.start == part.stop:
            raise UserError(f"no eigenvalue of block {name!r} is known one by one; it has a density")
        return Spectrum(
            eigenvalues=self.eigenvalues[part],
            error_bounds=self.error_bounds[part],
            converged=self.converged[part],
            dim=int(self.sizes[at]),
            num_bottom=int(self.num_bottom[at]),
            num_top=int(self.num_top[at]),
            provenance=self.provenance,
        )

    def density(self, name: str) -> Density:
        """The density of a block: of its probes, or of all its eigenvalues.

        Raises:
            UserError: there is no such block, or a part of its eigenvalues is known and there are no probes.
        """
        at, part, rows = self._position(name), self._part(name, self.counts), self._part(name, self.probes)
        if not self.probes[at] and not (self.counts[at] == self.sizes[at] and self.converged[part].all()):
            raise UserError(f"block {name!r} has no density: {self.counts[at]:,} eigenvalues of {self.sizes[at]:,}")
        steps = self.nodes.shape[1] if self.probes[at] else 0
        return Density(
            dim=int(self.sizes[at]),
            nodes=self.nodes[rows, :steps],
            weights=self.weights[rows, :steps],
            is_exact=self.is_exact[rows],
            node_bounds=self.node_bounds[rows],
            eigenvalues=self.eigenvalues[part],
            error_bounds=self.error_bounds[part],
            num_bottom=int(self.num_bottom[at]),
            num_top=int(self.num_top[at]),
            provenance=self.provenance,
        )

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise UserError(f"there is no block {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def _part(self, name: str, counts: Integers) -> slice:
        """Where the entries of a block are, in an array of all."""
        at = self._position(name)
        stop = int(counts[: at + 1].sum())
        return slice(stop - int(counts[at]), stop)
