"""Density: how the eigenvalues of a symmetric matrix are spread, from quadratures of random vectors, with errors.

The matrix is A = X Θ Xᵀ + P A P but for the residuals of the eigenpairs (Θ, X), with P = 1 - X Xᵀ. Each probe z is a
random unit vector of the complement of X, and its quadrature has the nodes θ_j and the weights w_j >= 0 of

    zᵀ f(A) z ≈ Σ_j w_j f(θ_j),

exactly so for polynomials f of degree up to 2 · steps - 1. The mean over z is tr P f(A) P / (dim - known eigenvalues).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .html import card
from .sketch import barcode
from .spectrum import Spectrum
from .stored import FLAGS, NUMBERS, stored

Floats = NDArray[np.float64]
_ROUNDING = 1e-6  # of the sum of a probe's weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Density:
    """Quadratures of random vectors, and the eigenvalues at both ends that were found beside them.

    Args:
        dim: number of rows of the matrix.
        nodes: shape (probes, steps), ascending for each probe; where it needed fewer steps, the last node again.
        weights: shape (probes, steps), >= 0, those of a probe add up to 1; 0 where a node is there again.
        is_exact: shape (probes,); the probe lies in an invariant subspace that its steps span, so that its nodes are
            eigenvalues and its quadrature has no error.
        node_bounds: shape (probes,): the quadrature is one of a matrix at most this far from the true one, in the
            spectral norm.
        eigenvalues: those that are known, ascending, shape (k,): with `num_bottom` and `num_top` as in `Spectrum`.
            The probes are orthogonal to their eigenvectors.
        error_bounds: of these, shape (k,).
        num_bottom: how many of the known eigenvalues are the smallest of the matrix.
        num_top: how many are the largest.
        diagonal: estimates of the matrix' diagonal, shape (dim,); `None` where not asked for.
        diagonal_errors: their standard errors, shape (dim,).
        provenance: where the numbers come from, as JSON-like values.

    Raises:
        UserError: shapes, counts or sums contradict each other.
    """

    dim: int
    nodes: Floats = stored(*NUMBERS, axes=2, finite=True)
    weights: Floats = stored(*NUMBERS, axes=2, least=0, most=1 + _ROUNDING)
    is_exact: NDArray[np.bool_] = stored(*FLAGS)
    node_bounds: Floats = stored(*NUMBERS, least=0)
    eigenvalues: Floats = stored(*NUMBERS, finite=True)
    error_bounds: Floats = stored(*NUMBERS, least=0)
    num_bottom: int
    num_top: int
    diagonal: Floats | None = stored("f8", "f4", finite=True, part="diagonal", default=None)
    diagonal_errors: Floats | None = stored("f8", "f4", least=0, finite=True, part="diagonal", default=None)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known, probes = len(self.eigenvalues), len(self.nodes)
        if self.dim < 1 or self.nodes.ndim != 2 or self.nodes.shape != self.weights.shape:
            raise UserError(f"nodes and weights have one shape, got {self.nodes.shape} and {self.weights.shape}")
        if self.is_exact.shape != (probes,) or self.node_bounds.shape != (probes,):
            raise UserError(f"is_exact and node_bounds need one entry for each of the {probes} probes")
        ends = self.num_bottom + self.num_top
        if self.error_bounds.shape != (known,) or ends != (2 * known if known == self.dim else known):
            raise UserError(f"{known} eigenvalues need as many error_bounds, and num_bottom + num_top = {known}")
        if known > self.dim or (np.diff(self.eigenvalues) < 0).any():
            raise UserError(f"there are at most dim = {self.dim} eigenvalues, and they ascend; got {known}")
        if (known < self.dim and probes < 2) or (known == self.dim and self.nodes.size):
            raise UserError(f"two probes at least, where {known} of {self.dim} eigenvalues are known, got {probes}")
        sums = self.weights.sum(axis=1)
        if (np.abs(sums - 1) > _ROUNDING).any() or (np.diff(self.nodes, axis=1) < 0).any():
            raise UserError("the weights of a probe should add up to 1, and its nodes ascend")
        if (self.diagonal is None) != (self.diagonal_errors is None):
            raise UserError("diagonal and diagonal_errors come together")
        if any(array is not None and len(array) != self.dim for array in (self.diagonal, self.diagonal_errors)):
            raise UserError(f"a diagonal has dim = {self.dim} entries")

    def __repr__(self) -> str:
        parts = [f"{self.dim:,} eigenvalues, {len(self.eigenvalues):,} of them known"]
        parts += [f"{len(self.nodes):,} probes of {self.nodes.shape[1]:,} steps"] if self.nodes.size else []
        return f"Density({', '.join(parts)})"

    def _repr_html_(self) -> str:
        facts = {"eigenvalues": f"{self.dim:,}, of which {len(self.eigenvalues):,} are known one by one"}
        if self.nodes.size:
            facts["probes"] = f"{len(self.nodes):,} random vectors, {self.nodes.shape[1]:,} steps each"
        facts |= {key: str(self.provenance[key]) for key in ("operator", "samples", "dtype") if key in self.provenance}
        values = np.concatenate([self.eigenvalues, self.nodes[:1].ravel()])
        order = np.argsort(values, kind="stable")
        is_known = np.arange(len(values)) < len(self.eigenvalues)
        picture = barcode(values[order], np.zeros(len(values)), is_known[order])
        return card("Density", facts, picture, "Known eigenvalues, and faint the nodes of one probe.")

    @property
    def num_hidden(self) -> int:
        """How many eigenvalues are not known one by one: those that the probes tell of."""
        return self.dim - len(self.eigenvalues)

    def ends(self) -> Spectrum | None:
        """The eigenvalues that are known one by one, as a spectrum; `None` where there are none."""
        if not len(self.eigenvalues):
            return None
        return Spectrum(
            eigenvalues=self.eigenvalues,
            error_bounds=self.error_bounds,
            dim=self.dim,
            num_bottom=self.num_bottom,
            num_top=self.num_top,
            provenance=self.provenance,
        )
