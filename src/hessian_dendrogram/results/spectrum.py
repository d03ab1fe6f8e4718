"""Spectrum: eigenvalues of a symmetric matrix, each with a bound on its error.

A spectrum may be partial: the `num_bottom` smallest and the `num_top` largest of `dim` eigenvalues. What lies between
is unknown, so the two ends are separate *segments*, and the hole between them is never read as a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from .html import card
from .sketch import barcode
from .stored import FLAGS, INDICES, NUMBERS, stored


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrum:
    """Eigenvalues with their errors, and some of the eigenvectors.

    Args:
        eigenvalues: shape (k,), ascending, finite.
        error_bounds: shape (k,), or one number for all: |stored value - true value| is at most this, as far as the
            sources named in `provenance["error_sources"]` go.
        dim: number of rows of the matrix. With k = dim the spectrum is complete.
        num_bottom: how many of the k values are the smallest of the matrix, without omission.
        num_top: how many are the largest. A complete spectrum needs neither; both are then `dim`.
        converged: shape (k,); default all. An unconverged value ends its segment.
        eigenvectors: shape (dim, m), columns of unit length; default none.
        vector_indices: shape (m,): column j belongs to `eigenvalues[vector_indices[j]]`.
        share_indices: the eigenvalues whose eigenvectors' shares are known, though vectors may not be here; shape (s,).
        shares: how much of each of them lies in each tensor of a layout, shape (tensors, s); `None` where not known.
        group_shares: the same in each of its parts, where it has groups, shape (parts, s).
        provenance: where the numbers come from (operator, samples, dtype, solver, products), as JSON-like values.

    Raises:
        UserError: shapes, order, signs or counts contradict each other, or the numbers are too large to be added up;
            the message gives the values.
    """

    eigenvalues: NDArray[np.float64] = stored(*NUMBERS, finite=True)
    error_bounds: NDArray[np.float64] = stored(*NUMBERS, least=0)
    dim: int
    # The defaults below are replaced in __post_init__, so that a reader of a Spectrum never meets None.
    num_bottom: int = None  # type: ignore[assignment]
    num_top: int = None  # type: ignore[assignment]
    converged: NDArray[np.bool_] = stored(*FLAGS, default=None)
    eigenvectors: NDArray[np.float64] = stored("f8", "f4", "f2", axes=2, finite=True, part="vectors", default=None)
    vector_indices: NDArray[np.int64] = stored(*INDICES, least=0, part="vectors", default=None)
    share_indices: NDArray[np.int64] | None = stored(*INDICES, least=0, part="shares", default=None)
    shares: NDArray[np.float64] | None = stored(*NUMBERS, axes=2, least=0, most=1.01, part="shares", default=None)
    group_shares: NDArray[np.float64] | None = stored(*NUMBERS, axes=2, least=0, most=1.01, part="shares", default=None)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = np.asarray(self.eigenvalues, dtype=np.float64)
        if values.ndim != 1 or not 1 <= len(values) <= self.dim:
            raise UserError(f"eigenvalues must have shape (k,) with 1 <= k <= dim = {self.dim}, got {values.shape}")
        if not np.isfinite(values).all():
            raise UserError(f"{(~np.isfinite(values)).sum()} of {len(values)} eigenvalues are not finite")
        bounds = np.asarray(self.error_bounds, dtype=np.float64)
        if bounds.shape not in ((), values.shape) or not (bounds >= 0).all():
            raise UserError(
                f"error_bounds must be {len(values)} numbers >= 0, or one for all, got shape {bounds.shape}"
            )
        self._check_sums(values, bounds)
        if (np.diff(values) < 0).any():
            raise UserError("eigenvalues must ascend; sort them together with their error bounds")
        bottom, top = self.num_bottom, self.num_top
        if len(values) == self.dim:
            if bottom not in (None, self.dim) or top not in (None, self.dim):
                raise UserError(f"a complete spectrum has num_bottom = num_top = {self.dim}, got {bottom} and {top}")
            bottom = top = self.dim
        else:
            bottom, top = bottom or 0, top or 0
            if min(bottom, top) < 0 or bottom + top != len(values):
                raise UserError(
                    f"a partial spectrum needs num_bottom + num_top = {len(values)}, its number of eigenvalues, "
                    f"got {bottom} + {top}"
                )
        converged = np.ones(len(values), bool) if self.converged is None else np.asarray(self.converged, dtype=bool)
        if converged.shape != values.shape:
            raise UserError(f"converged must have shape {values.shape}, got {converged.shape}")
        vectors, indices = self._checked_vectors(self.eigenvectors, self.vector_indices, len(values))
        if self.group_shares is not None and self.shares is None:
            raise UserError("group_shares come with shares")
        if (self.shares is None) != (self.share_indices is None):
            raise UserError("shares and share_indices come together: one index per column")
        for name, value in {
            "eigenvalues": values,
            "error_bounds": np.broadcast_to(bounds, values.shape).copy(),
            "num_bottom": bottom,
            "num_top": top,
            "converged": converged,
            "eigenvectors": vectors,
            "vector_indices": indices,
        }.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def _check_sums(values: NDArray[np.float64], bounds: NDArray[np.float64]) -> None:
        """Refuse numbers so large that a gap, its error or a trace, a sum of at most twice all of them, overflows."""
        finite = np.where(np.isfinite(bounds), bounds, 0.0)  # an infinite bound is one that is not known
        with np.errstate(over="ignore"):
            total = 2 * (np.abs(values) + finite).sum()
        if not np.isfinite(total):
            raise UserError(
                f"eigenvalues of up to {np.abs(values).max():.3g}, with error bounds of up to {finite.max():.3g}, "
                "cannot be added up in float64; divide the matrix by a constant"
            )

    def _checked_vectors(
        self, eigenvectors: ArrayLike | None, vector_indices: ArrayLike | None, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        if (eigenvectors is None) != (vector_indices is None):
            raise UserError("eigenvectors and vector_indices come together: one index per column")
        if eigenvectors is None:
            return np.empty((self.dim, 0)), np.empty(0, np.int64)
        vectors, indices = np.asarray(eigenvectors, dtype=np.float64), np.asarray(vector_indices, dtype=np.int64)
        if vectors.shape != (self.dim, len(indices)):
            raise UserError(f"eigenvectors must have shape ({self.dim}, {len(indices)}), got {vectors.shape}")
        if len(indices) and not (indices.min() >= 0 and indices.max() < count):
            raise UserError(f"vector_indices must lie in 0 to {count - 1}, got {indices.min()} to {indices.max()}")
        return vectors, indices

    def __repr__(self) -> str:
        count, values, failed = len(self.eigenvalues), self.eigenvalues, int((~self.converged).sum())
        parts = [f"{count:,} of {self.dim:,} eigenvalues from {values[0]:.4g} to {values[-1]:.4g}"]
        parts += [f"{failed:,} not converged"] if failed else []
        parts += [f"errors up to {self.error_bounds.max():.1g}", f"{self.eigenvectors.shape[1]:,} eigenvectors"]
        return f"Spectrum({', '.join(parts)})"

    def _repr_html_(self) -> str:
        values, parts = self.eigenvalues, self.segments()
        whole = "" if self.is_complete else f" (the {self.num_bottom:,} smallest, the {self.num_top:,} largest)"
        facts = {"eigenvalues": f"{len(values):,} of {self.dim:,}{whole}"}
        for name, value, bound, is_known in (
            ("largest", values[-1], self.error_bounds[-1], {"all", "top"} & {*parts}),
            ("smallest", values[0], self.error_bounds[0], {"all", "bottom"} & {*parts}),
        ):
            facts[name] = f"{value:.6g} ± {bound:.1g}" if is_known else "not known"
        if failed := int((~self.converged).sum()):
            facts["not converged"] = f"{failed:,}, drawn faint"
        facts["eigenvectors"] = f"{self.eigenvectors.shape[1]:,}"
        facts |= {key: str(self.provenance[key]) for key in ("operator", "samples", "dtype") if key in self.provenance}
        caption = "Each line is an eigenvalue, on a linear axis"
        caption += "; the long one is zero" if values[0] <= 0 <= values[-1] else ""
        caption += "." if self.is_complete else "; the others are not known."
        return card("Spectrum", facts, barcode(values, self.error_bounds, self.converged), caption)

    @property
    def is_complete(self) -> bool:
        """Whether every eigenvalue of the matrix is here."""
        return len(self.eigenvalues) == self.dim

    def segments(self) -> dict[str, slice]:
        """The runs of eigenvalues between which none is missing.

        Returns:
            Slices by name, `"all"` where every eigenvalue is here and converged, else those of `"bottom"` and `"top"`
            that are not empty. A segment grows from its end of the spectrum inwards and stops at the first unconverged
            value.
        """
        count = len(self.eigenvalues)
        failed = np.flatnonzero(~self.converged)
        if self.is_complete and not failed.size:
            return {"all": slice(0, count)}
        end = int(min(self.num_bottom, failed.min(initial=count)))
        start = int(max(count - self.num_top, failed.max(initial=-1) + 1))
        parts = {"bottom": slice(0, end), "top": slice(start, count)}
        return {name: part for name, part in parts.items() if part.stop > part.start}
