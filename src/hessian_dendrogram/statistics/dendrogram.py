"""Eigenvalue dendrogram: single-linkage clustering of eigenvalues on a line.

At resolution ε, neighbours λ_i <= λ_{i+1} with λ_{i+1} - λ_i <= ε are in one cluster. So the clusters at ε are the runs
between gaps larger than ε, their number is n(ε) = 1 + #{gaps > ε}, and the merge heights over all ε are the spectral
gaps themselves. This is single linkage (Florek et al. 1951; Sneath 1957) in one dimension; sorting the gaps gives the
whole tree in O(n log n).

Every gap has an error: the sum of the error bounds of its two ends. A gap not larger than its error is *unresolved*.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from ..results import sketch
from ..results.html import card
from ..results.spectrum import Spectrum

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Gaps:
    """Spectral gaps, the largest first; every array has shape (k,).

    Attributes:
        lower_indices: the gap lies between eigenvalues `lower_indices` and `lower_indices + 1` of the segment.
        sizes: λ_{i+1} - λ_i.
        errors: sum of the error bounds of the two ends.
        num_above: eigenvalues of the segment above the gap.
    """

    lower_indices: Integers
    sizes: Floats
    errors: Floats
    num_above: Integers

    @property
    def resolved(self) -> NDArray[np.bool_]:
        """Which gaps are larger than their errors: shape (k,)."""
        return self.sizes > self.errors


@dataclass(frozen=True, eq=False)
class Barcode:
    """One bar for each cluster of at least two eigenvalues, the longest first; every array has shape (k,).

    Attributes:
        births: the ε at which the cluster is whole, its largest inner gap.
        deaths: the ε at which it merges with a neighbour, the smaller of its two outer gaps.
        errors: error of `deaths - births`.
        starts, stops: the cluster is `eigenvalues[start:stop]` of the segment.
        bounded: False where the cluster touches a hole of a partial spectrum: an eigenvalue in the hole may be nearer
            than the neighbour that is known, so the death is only an upper limit.
    """

    births: Floats
    deaths: Floats
    errors: Floats
    starts: Integers
    stops: Integers
    bounded: NDArray[np.bool_]

    @property
    def lengths(self) -> Floats:
        """`deaths - births`: shape (k,)."""
        return self.deaths - self.births

    @property
    def sizes(self) -> Integers:
        """Number of eigenvalues in each cluster: shape (k,)."""
        return self.stops - self.starts

    @property
    def resolved(self) -> NDArray[np.bool_]:
        """Which bars are longer than their errors: shape (k,)."""
        return self.lengths > self.errors


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """Single linkage of the eigenvalues of one contiguous segment of a spectrum; made by `single_linkage`.

    Args:
        eigenvalues: shape (k,), ascending.
        error_bounds: shape (k,).
        hole_below: whether unknown eigenvalues adjoin the segment there; hole_above likewise.
        num_hidden: how many eigenvalues of the matrix are neither here nor in another segment.
    """

    eigenvalues: Floats
    error_bounds: Floats
    hole_below: bool = False
    hole_above: bool = False
    num_hidden: int = 0

    def __repr__(self) -> str:
        values, sides = self.eigenvalues, {"below": self.hole_below, "above": self.hole_above}
        found = f"{len(values):,} eigenvalues from {values[0]:.4g} to {values[-1]:.4g}"
        parts = [found, f"merges above ε = {self.resolution:.1g} are resolved"]
        others = f"{self.num_hidden:,} others" if self.num_hidden else "others"
        parts += [f"{others} unknown {side}" for side, is_hole in sides.items() if is_hole]
        return f"Dendrogram({', '.join(parts)})"

    def _repr_html_(self) -> str:
        tree = sketch.merges(self.gap_sizes, self.gap_sizes > self.gap_errors)
        return card("Eigenvalue dendrogram", {"": self}, tree, sketch.MERGES if tree else "")

    @cached_property
    def gap_sizes(self) -> Floats:
        """λ_{i+1} - λ_i for every i: shape (k - 1,)."""
        return np.diff(self.eigenvalues)

    @cached_property
    def gap_errors(self) -> Floats:
        """The error of each gap, the sum of the bounds of its two ends: shape (k - 1,)."""
        return self.error_bounds[:-1] + self.error_bounds[1:]

    @cached_property
    def _sorted_gaps(self) -> Floats:
        return np.sort(self.gap_sizes)

    @property
    def resolution(self) -> float:
        """The largest error of any gap. Below it, n(ε) may count nothing but numerical errors."""
        return float(self.gap_errors.max(initial=0.0))

    def num_clusters(self, epsilon: ArrayLike) -> Integers:
        """n(ε), the number of clusters at each resolution, in units of the eigenvalues: the shape of `epsilon`.

        Raises:
            UserError: an ε is negative or not a number.
        """
        resolutions = _checked_resolution(epsilon)
        count = len(self.gap_sizes) - np.searchsorted(self._sorted_gaps, resolutions, side="right")
        return np.asarray(1 + count, dtype=np.int64)

    def labels(self, epsilon: float) -> Integers:
        """The cluster of each eigenvalue at resolution ε, counted from 0 at the smallest: shape (k,).

        Raises:
            UserError: ε is negative or not a number.
        """
        _checked_resolution(epsilon)
        return np.concatenate([[0], np.cumsum(self.gap_sizes > epsilon)]).astype(np.int64)

    def gaps(self, k: int | None = None) -> Gaps:
        """The k largest gaps, or all; equal gaps in ascending order of position."""
        order = np.argsort(-self.gap_sizes, kind="stable")[:k]
        return Gaps(
            lower_indices=order.astype(np.int64),
            sizes=self.gap_sizes[order],
            errors=self.gap_errors[order],
            num_above=len(self.eigenvalues) - 1 - order.astype(np.int64),
        )

    @cached_property
    def _merges(self) -> tuple[Integers, Integers, Integers]:
        """Per merge the first, the middle and the stop index of the run it makes: shape (k - 1,) each, in merge order.

        Every cluster is a run. `other_end` holds, at either border of a run, its other border, so a merge is O(1).
        """
        count = len(self.eigenvalues)
        other_end = np.arange(count).tolist()
        starts, middles, stops = [], [], []
        for left in np.argsort(self.gap_sizes, kind="stable").tolist():
            first, last = other_end[left], other_end[left + 1]
            other_end[first], other_end[last] = last, first
            starts.append(first)
            middles.append(left + 1)
            stops.append(last + 1)
        return tuple(np.array(column, dtype=np.int64) for column in (starts, middles, stops))  # type: ignore[return-value]

    @cached_property
    def linkage(self) -> Floats:
        """The tree in SciPy's format: shape (k - 1, 4).

        Row r merges clusters `linkage[r, 0]` < `linkage[r, 1]` at ε = `linkage[r, 2]` into cluster k + r of
        `linkage[r, 3]` eigenvalues; clusters 0 to k - 1 are the eigenvalues. Equal gaps merge in ascending order.
        """
        starts, middles, stops = self._merges
        count = len(self.eigenvalues)
        cluster_at_end = list(range(count))
        rows = np.empty((count - 1, 4))
        for row, (first, middle, stop) in enumerate(
            zip(starts.tolist(), middles.tolist(), stops.tolist(), strict=True)
        ):
            pair = cluster_at_end[middle - 1], cluster_at_end[middle]
            rows[row] = min(pair), max(pair), self.gap_sizes[middle - 1], stop - first
            cluster_at_end[first] = cluster_at_end[stop - 1] = count + row
        return rows

    def barcode(self) -> Barcode:
        """One bar per cluster of at least two eigenvalues that exists over a range of ε.

        The cluster of all eigenvalues never merges and has no bar. Among equal gaps there is none in between at any ε.
        """
        starts, middles, stops = self._merges
        count = len(self.eigenvalues)
        outer = np.concatenate([[np.inf], self.gap_sizes, [np.inf]])
        outer_errors = np.concatenate([[0.0], self.gap_errors, [0.0]])
        below_is_nearer = outer[starts] <= outer[stops]
        deaths = np.where(below_is_nearer, outer[starts], outer[stops])
        births = self.gap_sizes[middles - 1]
        errors = self.gap_errors[middles - 1] + np.where(below_is_nearer, outer_errors[starts], outer_errors[stops])
        bounded = ~((starts == 0) & self.hole_below | (stops == count) & self.hole_above)
        kept = np.flatnonzero((births < deaths) & np.isfinite(deaths))
        kept = kept[np.argsort(births[kept] - deaths[kept], kind="stable")]
        return Barcode(births[kept], deaths[kept], errors[kept], starts[kept], stops[kept], bounded[kept])


def single_linkage(spectrum: Spectrum, segment: str | None = None) -> Dendrogram:
    """Cluster the eigenvalues of a complete spectrum, or of one segment of a partial one.

    Args:
        spectrum: eigenvalues with error bounds.
        segment: a key of `spectrum.segments()`; needed where there are several.

    Raises:
        UserError: the segment is not there, or several are and none was named.
    """
    segments = spectrum.segments()
    available = ", ".join(repr(name) for name in segments) or "none, since no value converged"
    if segment is None:
        if len(segments) != 1:
            raise UserError(f"a partial spectrum is clustered one segment at a time; name one of: {available}")
        segment = next(iter(segments))
    if segment not in segments:
        raise UserError(f"no segment {segment!r} in this spectrum; there is: {available}")
    part = segments[segment]
    return Dendrogram(
        spectrum.eigenvalues[part],
        spectrum.error_bounds[part],
        hole_below=segment == "top",
        hole_above=segment == "bottom",
        num_hidden=spectrum.dim - sum(one.stop - one.start for one in segments.values()),
    )


def _checked_resolution(epsilon: ArrayLike) -> Floats:
    resolutions = np.asarray(epsilon, dtype=np.float64)
    if not (resolutions >= 0).all():
        raise UserError(f"a resolution epsilon must be >= 0, got {resolutions.min()}")
    return resolutions
