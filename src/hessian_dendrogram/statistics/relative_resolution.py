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

import numpy as np

from ..errors import UserError
from ..results.density import Density
from ..results.spectrum import Spectrum
from .dendrogram import Dendrogram, single_linkage
from .density import LEVEL, student, trace
from .measured import KNOWN_TO, SCALES, RelativeDendrogram, Unit, UnitName
from .summary import summarise


def log_linkage(spectrum: Spectrum, segment: str | None = None, *, known_to: float = 1.0) -> RelativeDendrogram:
    """Cluster the logarithms of the positive eigenvalues of a complete spectrum, or of a segment of a partial one.

    Args:
        spectrum: eigenvalues with error bounds.
        segment: as for `single_linkage`.
        known_to: eigenvalues whose bound is this share of them or more are left out, with all below; at most 1.

    Returns:
        A dendrogram whose `eigenvalues` are natural logarithms, and whose ε are logarithms of ratios. Where values at
        the lower end of the segment are left out, it has a hole there.

    Raises:
        UserError: the segment is not there, its largest value is left out, or `known_to` is no such share.
    """
    if not 0 < known_to <= 1:
        raise UserError(f"known_to is a share above 0 and up to 1, got {known_to}")
    whole = single_linkage(spectrum, segment)
    values, bounds = whole.eigenvalues, whole.error_bounds
    unclear = np.flatnonzero(known_to * values <= bounds)
    start = int(unclear[-1]) + 1 if len(unclear) else 0
    if start == len(values):
        needed = "eigenvalues have logarithms where they are positive by more than their bounds"
        if known_to < 1:
            needed = f"over log λ, eigenvalues must be positive and known to {100 * known_to:.2g} %"
        raise UserError(f"{needed}; the largest of these is {values[-1]:.4g} ± {bounds[-1]:.1g}")
    return RelativeDendrogram(
        eigenvalues=np.log(values[start:]),
        error_bounds=-np.log1p(-bounds[start:] / values[start:]),
        hole_below=whole.hole_below or start > 0,
        hole_above=whole.hole_above,
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


def in_units(dendrogram: Dendrogram, unit: Unit) -> RelativeDendrogram:
    """The same tree with eigenvalues, error bounds and ε divided by a unit."""
    return RelativeDendrogram(
        eigenvalues=dendrogram.eigenvalues / unit.value,
        error_bounds=dendrogram.error_bounds / unit.value,
        hole_below=dendrogram.hole_below,
        hole_above=dendrogram.hole_above,
        num_hidden=dendrogram.num_hidden,
        unit=unit,
    )


def linkage_in(spectrum: Spectrum, segment: str, measured_in: str) -> Dendrogram:
    """Make the dendrogram of a segment with ε `"absolute"`, in units of the `"largest"` or the `"trace"`, or `"log"`.

    Raises:
        UserError: ε cannot be measured so in this segment.
    """
    checked(measured_in)
    if measured_in == "absolute":
        return single_linkage(spectrum, segment)
    if measured_in == "log":
        if segment == "bottom":
            raise UserError("logarithms are taken of the largest eigenvalues, which are positive")
        return log_linkage(spectrum, segment, known_to=KNOWN_TO)
    unit = unit_of(spectrum, "trace" if measured_in == "trace" else "largest")
    return in_units(single_linkage(spectrum, segment), unit)


def checked(measured_in: str) -> str:
    """What ε is measured in, if there is such a thing.

    Raises:
        UserError: there is not.
    """
    if measured_in not in SCALES:
        raise UserError(f"ε is measured in one of {', '.join(SCALES)}; got {measured_in!r}")
    return measured_in
