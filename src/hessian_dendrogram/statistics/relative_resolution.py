"""Relative resolution: eigenvalue dendrograms over log λ, and with ε in units of λ_max or of the trace.

Where eigenvalues follow the loss through decades, one absolute ε shows mostly their scale.

*Over log λ*, neighbours 0 < λ_i <= λ_{i+1} are in one cluster where log(λ_{i+1} / λ_i) <= ε: for small ε, where they
differ by less than the share ε of their size. An error bound b < λ becomes -log(1 - b / λ), the larger of both sides.
An eigenvalue that is not larger than its bound may be negative and has no logarithm; it is not known where it belongs,
so the tree ends above it, at a hole.

*In units of U*, all values, gaps and ε are divided by one number. The error of U is common to all of them: it moves
every merge by the same factor, and changes neither their order nor which of them are resolved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..errors import UserError
from ..results.density import Density
from ..results.spectrum import Spectrum
from .dendrogram import Dendrogram, single_linkage
from .density import LEVEL, student, trace
from .summary import summarise

UnitName = Literal["largest", "trace"]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A positive number that eigenvalues are measured in.

    Attributes:
        name: `"largest"`, λ_max, or `"trace"`.
        value: of it, in units of the matrix.
        error: bound on its error, or half of an interval where it is estimated.
    """

    name: UnitName
    value: float
    error: float


def log_linkage(spectrum: Spectrum, segment: str | None = None) -> Dendrogram:
    """Cluster the logarithms of the positive eigenvalues of a complete spectrum, or of a segment of a partial one.

    Args:
        spectrum: eigenvalues with error bounds.
        segment: as for `single_linkage`.

    Returns:
        A dendrogram whose `eigenvalues` are natural logarithms, and whose ε are logarithms of ratios. Where values at
        the lower end of the segment are not positive by more than their bounds, it has a hole there.

    Raises:
        UserError: the segment is not there, or its largest value is not positive by more than its bound.
    """
    whole = single_linkage(spectrum, segment)
    values, bounds = whole.eigenvalues, whole.error_bounds
    unclear = np.flatnonzero(values <= bounds)
    start = int(unclear[-1]) + 1 if len(unclear) else 0
    if start == len(values):
        raise UserError(
            f"eigenvalues have logarithms where they are positive by more than their bounds; the largest of these is "
            f"{values[-1]:.4g} ± {bounds[-1]:.1g}"
        )
    return replace(
        whole,
        eigenvalues=np.log(values[start:]),
        error_bounds=-np.log1p(-bounds[start:] / values[start:]),
        hole_below=whole.hole_below or start > 0,
        num_hidden=whole.num_hidden + start,
    )


def unit_of(spectrum: Spectrum, name: UnitName, density: Density | None = None, *, level: float = LEVEL) -> Unit:
    """λ_max or the trace of a spectrum.

    Args:
        spectrum: complete, or partial.
        name: `"largest"` or `"trace"`.
        density: of the same matrix, which gives the trace where the spectrum is partial and has no estimate of its own.
        level: of the interval of an estimated trace.

    Raises:
        UserError: there is no such unit, or it is not known to be positive.
    """
    summary = summarise(spectrum)
    if name == "largest":
        value, error = summary.largest, summary.largest_error
    elif name == "trace":
        value, error = summary.trace, summary.trace_error
        if not spectrum.is_complete and value is not None and error is not None:
            probes = spectrum.provenance["trace"].get("probes")
            if not isinstance(probes, int) or probes < 2:
                raise UserError("the trace of this spectrum is estimated, and it is not known from how many probes")
            error *= student(level, probes - 1)
        elif value is None and density is not None:
            estimate = trace(density)
            value, error = estimate.value, estimate.value - estimate.interval(level)[0]
    else:
        raise UserError(f"eigenvalues are measured in units of the largest or of the trace, got {name!r}")
    if value is None or error is None:
        raise UserError(f"the {name} of this spectrum is not known, so nothing can be measured in units of it")
    if not value > error:
        raise UserError(f"a unit must be positive; the {name} of this spectrum is {value:.4g} ± {error:.1g}")
    return Unit(name=name, value=value, error=error)


def in_units(dendrogram: Dendrogram, unit: Unit) -> Dendrogram:
    """The same tree with eigenvalues, error bounds and ε divided by a unit."""
    return replace(
        dendrogram,
        eigenvalues=dendrogram.eigenvalues / unit.value,
        error_bounds=dendrogram.error_bounds / unit.value,
    )
